//! Notices an [`Auth`](auth_tower::Auth) that is made once per worker.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::thread::ThreadId;

use actix_web::rt::System;
use auth_tower::adapter::HandleSource;

static WORKERS: Mutex<Workers> = Mutex::new(Workers {
    served: Vec::new(),
    entered: 0,
    told: false,
});

/// What the workers of this process serve.
struct Workers {
    served: Vec<Served>,
    entered: u64,
    /// Whether the log has been told.
    told: bool,
}

struct Served {
    number: u64,
    server: Option<usize>,
    thread: ThreadId,
    handles: HandleSource,
}

/// A worker that serves an `Auth`; it is forgotten when it stops.
#[derive(Debug)]
pub(crate) struct Worker(u64);

/// Enters a worker's service. A second worker of the same server that has built the same `Auth` anew is an error, logged once.
///
/// Only the workers of one server are compared: tests that each build their own app are none of its business.
pub(crate) fn enter(handles: &HandleSource) -> Option<Worker> {
    let thread = thread::current();
    let server = System::try_current().map(|system| system.id());
    // Without an actix system, as under `#[tokio::main]`, workers are known by their name only.
    if server.is_none()
        && !thread
            .name()
            .is_some_and(|name| name.starts_with("actix-server worker"))
    {
        return None;
    }
    let mut workers = workers();
    let is_duplicate = workers
        .served
        .iter()
        .any(|other| other.server == server && other.thread != thread.id() && handles.is_duplicate_of(&other.handles));
    if is_duplicate && !workers.told {
        workers.told = true;
        tracing::error!(
            target: "auth",
            "every worker builds an `Auth` of its own, with its own caches and its own exchanges: build it once, outside of \
             `HttpServer::new`, and let the closure use that one"
        );
    }
    workers.entered += 1;
    let number = workers.entered;
    workers.served.push(Served {
        number,
        server,
        thread: thread.id(),
        handles: handles.clone(),
    });
    Some(Worker(number))
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut workers = workers();
        let left = workers.served.iter().position(|served| served.number == self.0);
        let left = left.map(|position| workers.served.swap_remove(position));
        // What goes with the last `Auth` is the application's, and none of the lock's.
        drop(workers);
        drop(left);
    }
}

fn workers() -> MutexGuard<'static, Workers> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}
