//! The threads behind a store, and how a call reaches them.
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

use std::future::Future;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::feed::{LastRevocation, Reached};
use super::file::{DatabaseFile, Opened};
use super::follower::Follower;
use super::options::SqliteOptions;
use super::requests::{Call, Kind, Read, Write};
use super::transaction::{ReadTransaction, WriteTransaction};
use super::writer::Writer;
use super::{feed, reader};
use crate::store::deadline::deadline;
use crate::store::error::StoreError;
use crate::store::feed::{Cursor, RevocationPage};

/// The threads of a store. Dropping it waits until they have closed the file, but no longer than a call of its own may take.
pub(super) struct Threads {
    queues: Queues,
    last_revocation: LastRevocation,
    /// For calls that come without a deadline, and for closing.
    deadline: Duration,
    closed: watch::Receiver<()>,
    ended: Mutex<mpsc::Receiver<()>>,
}

/// The ends of the queues. The threads serve them until they are gone.
struct Queues {
    writer: SyncSender<Box<dyn Write>>,
    reader: SyncSender<Box<dyn Read>>,
    watcher: SyncSender<()>,
}

impl Queues {
    /// Queues without a thread that serves them.
    fn nowhere() -> Self {
        let (writer, reader, watcher) = (mpsc::sync_channel(0), mpsc::sync_channel(0), mpsc::sync_channel(0));
        Self {
            writer: writer.0,
            reader: reader.0,
            watcher: watcher.0,
        }
    }
}

impl Drop for Threads {
    /// A process that ends right after would otherwise leave the newest sessions in the write-ahead log. They are safe there,
    /// but missing from a copy of the file alone.
    fn drop(&mut self) {
        self.queues = Queues::nowhere();
        // Only an error says that the threads are gone.
        let _ = self.ended.lock().recv_timeout(self.deadline);
    }
}

/// Why a call was not accepted.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("too many calls are waiting")]
    TooMany,
    #[error("the thread that serves calls is gone")]
    Gone,
}

impl Threads {
    pub(super) fn start(file: Arc<DatabaseFile>, options: SqliteOptions, opened: Opened) -> Result<Self, StoreError> {
        let SqliteOptions { clock, deadline, queue } = options;
        let (writer, writes) = mpsc::sync_channel(queue);
        let (reader, reads) = mpsc::sync_channel(queue);
        let (watcher, calls) = mpsc::sync_channel(1);
        let (closing, closed) = watch::channel(());
        let (alive, ended) = mpsc::sync_channel::<()>(0);
        let last_revocation = LastRevocation::new();

        let reading = {
            let (file, clock) = (Follower::new(Arc::clone(&file), writer.clone()), clock.clone());
            spawn("auth-read", move || reader::serve(file, clock, &reads))?
        };
        let watching = {
            let file = Follower::new(Arc::clone(&file), writer.clone());
            let last_revocation = last_revocation.clone();
            spawn("auth-watch", move || feed::watch(file, &last_revocation, &calls))?
        };
        let mut writing = Writer::new(file, clock, last_revocation.clone(), opened);
        spawn("auth-write", move || {
            writing.serve(&writes);
            // The last to close the file puts its write-ahead log into it, which only this connection can.
            let _ = reading.join();
            let _ = watching.join();
            drop(writing);
            drop((closing, alive));
        })?;
        Ok(Self {
            queues: Queues {
                writer,
                reader,
                watcher,
            },
            last_revocation,
            deadline,
            closed,
            ended: Mutex::new(ended),
        })
    }

    pub(super) async fn write<T, F>(&self, kind: Kind, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&WriteTransaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let deadline = self.deadline();
        let (call, answer) = Call::new(kind, Instant::now() + deadline, run);
        self.queues.writer.try_send(call).map_err(refused)?;
        wait(deadline, answer).await
    }

    pub(super) async fn read<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&ReadTransaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let deadline = self.deadline();
        let (call, answer) = Call::new(Kind::Single, Instant::now() + deadline, run);
        self.queues.reader.try_send(call).map_err(refused)?;
        wait(deadline, answer).await
    }

    /// How long the call that runs now may take.
    fn deadline(&self) -> Duration {
        deadline().unwrap_or(self.deadline)
    }

    pub(super) async fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Result<RevocationPage, StoreError> {
        let (page, reached) = self.feed(cursor).await?;
        if !page.entries.is_empty() || wait.is_zero() {
            return Ok(page);
        }
        let news = self.last_revocation.after(reached, || {
            // Full means that it is awake already.
            let _ = self.queues.watcher.try_send(());
        });
        // With or without news, the answer states what is known now, so the log has to be read now.
        let _ = timeout(wait, news).await;
        Ok(self.feed(page.cursor).await?.0)
    }

    async fn feed(&self, cursor: Cursor) -> Result<(RevocationPage, Reached), StoreError> {
        self.read(move |transaction| feed::page(transaction, &cursor)).await
    }

    /// Resolves when all threads have ended.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.closed.clone();
        async move {
            // Never changes: an error says that the sender is gone, and with it the threads.
            let _ = closed.changed().await;
        }
    }
}

async fn wait<T>(deadline: Duration, answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(deadline, answer).await {
        Ok(Ok(answer)) => answer,
        // Dropped unanswered, because its time was over, or unanswered until now.
        Ok(Err(_)) | Err(_) => Err(StoreError::Timeout),
    }
}

fn refused<T>(error: TrySendError<T>) -> StoreError {
    StoreError::unavailable(match error {
        TrySendError::Full(_) => Refused::TooMany,
        TrySendError::Disconnected(_) => Refused::Gone,
    })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, StoreError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error: io::Error| StoreError::unavailable(error))
}
