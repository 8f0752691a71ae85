//! Connections: borrowed for one call each, thrown away when in doubt, replaced when they are missed.
//!
//! A connection belongs to whoever calls. If the caller gives up half way, it is dropped with the call and closed, so that
//! nobody ever gets another one's answer. What the server still does about it ends with its `statement_timeout`, unless it waits
//! for something else, such as a standby; so it is also told to stop.
#![expect(
    clippy::disallowed_methods,
    reason = "the age of a connection and its pauses, which no record is dated by"
)]

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{Connection as _, Error, PgPool};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::backend::{Abandoned, Backend};
use super::connection::{Borrowed, Connection};
use super::error;
use super::error::Refused;
use super::functions::{Argument, Calls, Function};
use super::outage::Outage;
use crate::store::error::StoreError;

/// A connection that was idle for longer is asked whether it still lives before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// After this long a connection is closed, so that the load moves to where the address leads by now.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How many connections are opened at once.
const CONNECTING: usize = 4;

/// Where connections come from.
pub(super) enum Source {
    /// Our own.
    Own {
        options: Box<PgConnectOptions>,
        /// One for each connection that may be open.
        permits: Semaphore,
        idle: Mutex<Vec<Idle>>,
        /// Few connect at once: a server that is busy is not helped by more.
        connecting: Semaphore,
        /// Told when a connection was given back.
        returned: Notify,
        outage: Outage,
        abandoned: Abandoned,
    },
    /// The application's.
    Shared(PgPool),
}

impl Source {
    pub(super) fn own(options: PgConnectOptions, connections: usize) -> Self {
        Self::Own {
            options: options.into(),
            permits: Semaphore::new(connections),
            idle: Mutex::default(),
            connecting: Semaphore::new(CONNECTING),
            returned: Notify::new(),
            outage: Outage::default(),
            abandoned: Abandoned::default(),
        }
    }
}

pub(super) struct Idle {
    pub(super) connection: PgConnection,
    pub(super) backend: Option<Backend>,
    pub(super) opened: Instant,
    pub(super) since: Instant,
}

pub(super) struct Pool {
    pub(super) source: Source,
    calls: Calls,
    /// One for each call that may be under way or waiting.
    places: Semaphore,
    deadline: Duration,
}

impl Pool {
    pub(super) fn new(source: Source, calls: Calls, places: usize, deadline: Duration) -> Self {
        Self {
            source,
            calls,
            places: Semaphore::new(places),
            deadline,
        }
    }

    /// Calls a function, within the deadline.
    pub(super) async fn call(&self, function: Function, arguments: &[Argument]) -> Result<Vec<PgRow>, StoreError> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| StoreError::unavailable(Refused::TooMany))?;
        timeout(self.deadline, self.attempt(function, arguments))
            .await
            .unwrap_or(Err(StoreError::Timeout))
    }

    async fn attempt(&self, function: Function, arguments: &[Argument]) -> Result<Vec<PgRow>, StoreError> {
        let mut again = function.repeatable;
        loop {
            let mut connection = self.connection().await?;
            // Only one that had been idle may have been broken before it was used.
            again &= connection.was_idle;
            let answer = self.calls.run(&mut connection, function, arguments).await;
            match answer {
                Ok(rows) => {
                    connection.give_back();
                    self.answered();
                    return Ok(rows);
                }
                Err(error) if error::leaves_connection_sound(&error) => {
                    connection.give_back();
                    return Err(error::of_step(&error));
                }
                Err(error) => {
                    drop(connection);
                    // What broke one connection has most likely broken them all.
                    self.forget_idle();
                    if !std::mem::take(&mut again) {
                        return Err(error::of_step(&error));
                    }
                }
            }
        }
    }

    async fn connection(&self) -> Result<Connection<'_>, StoreError> {
        match &self.source {
            Source::Shared(pool) => {
                let connection = pool.acquire().await.map_err(|error| error::of_step(&error))?;
                Ok(Connection {
                    held: Some(Borrowed::Shared(connection)),
                    was_idle: true,
                    pool: self,
                })
            }
            Source::Own { permits, idle, .. } => {
                // Whoever waited for longer would be cut off half way, and take the connection along.
                let permit = timeout(self.deadline / 2, permits.acquire()).await;
                let permit = permit.ok().and_then(Result::ok).ok_or(StoreError::Timeout)?;
                loop {
                    while let Some(found) = pop(idle) {
                        if let Some(found) = self.revived(found).await {
                            return Ok(self.own(found, true, permit));
                        }
                        self.forget_idle();
                    }
                    if let Some(made) = self.connect_or_wait().await? {
                        return Ok(self.own(made, false, permit));
                    }
                }
            }
        }
    }

    fn own<'a>(&'a self, idle: Idle, was_idle: bool, permit: SemaphorePermit<'a>) -> Connection<'a> {
        Connection {
            held: Some(Borrowed::Own(idle, permit)),
            was_idle,
            pool: self,
        }
    }

    /// A new connection; `None` if one was given back before it was this one's turn to connect.
    async fn connect_or_wait(&self) -> Result<Option<Idle>, StoreError> {
        let Source::Own {
            options,
            connecting,
            returned,
            outage,
            ..
        } = &self.source
        else {
            return Ok(None);
        };
        let turn = match connecting.try_acquire() {
            Ok(turn) => turn,
            Err(_) => match select(pin!(connecting.acquire()), pin!(returned.notified())).await {
                Either::Left((turn, _)) => turn.map_err(|_| StoreError::Timeout)?,
                Either::Right(_) => return Ok(None),
            },
        };
        let probe = outage.probe().map_err(StoreError::unavailable)?;
        // A little less, so that whoever tries in vain finds out before the deadline.
        let connected = timeout(self.deadline / 5 * 4, connect(options)).await;
        drop(turn);
        let error = match connected {
            Ok(Ok(connection)) => {
                outage.answered();
                return Ok(Some(connection));
            }
            Ok(Err(error)) => error::of_step(&error),
            Err(_) => StoreError::Timeout,
        };
        probe.failed();
        tracing::warn!(target: "auth_tower::store", %error, "postgresql cannot be reached");
        Err(error)
    }

    fn answered(&self) {
        if let Source::Own { outage, .. } = &self.source {
            outage.answered();
        }
    }

    /// An idle connection, if it can be trusted or answers at once.
    async fn revived(&self, mut found: Idle) -> Option<Idle> {
        if found.opened.elapsed() > LIFETIME {
            return None;
        }
        if found.since.elapsed() <= TRUSTED_FOR {
            return Some(found);
        }
        let alive = timeout(self.deadline / 4, found.connection.ping()).await;
        matches!(alive, Ok(Ok(()))).then_some(found)
    }

    fn forget_idle(&self) {
        if let Source::Own { idle, .. } = &self.source {
            let forgotten = std::mem::take(&mut *idle.lock());
            drop(forgotten);
        }
    }

    pub(super) fn idle(&self) -> usize {
        match &self.source {
            Source::Own { idle, .. } => idle.lock().len(),
            Source::Shared(pool) => pool.num_idle(),
        }
    }
}

/// A new connection, and what the server calls it.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<Idle, Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let now = Instant::now();
    Ok(Idle {
        backend: Backend::of(&mut connection).await?,
        connection,
        opened: now,
        since: now,
    })
}

/// The one that was used last, so that those which are not needed grow old.
fn pop(idle: &Mutex<Vec<Idle>>) -> Option<Idle> {
    idle.lock().pop()
}
