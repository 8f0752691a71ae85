//! Connections: borrowed for one call each, closed when in doubt, replaced when they are missed.
//!
//! A connection belongs to its call. If the caller gives up half way, the connection is dropped with the call and closed, so
//! that no call ever gets the answer of another. The server's part of the call ends with the `statement_timeout`, unless it
//! waits for something else, such as a standby. So the server is also told to stop.
//!
//! By hand, because sqlx's `Pool` could not do what the tests ask:
//!
//! * It keeps the connection of a call that was given up until the server has finished the call. A commit that waits for a
//!   standby is under no timeout of the server's, so a few such calls leave no connection for any other call. Test:
//!   `calls_that_were_given_up_do_not_use_up_the_servers_connections`.
//! * While the server refuses connections, each `acquire` tries again until its own timeout, so every request waits for all of
//!   that. Here one call at a time tries to connect, and the others fail at once. Test:
//!   `a_restart_is_an_outage_that_ends_by_itself`.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use parking_lot::Mutex;
use sqlx::Connection as _;
use sqlx::postgres::PgRow;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::connection::{Borrowed, Connection};
use super::error::Refused;
use super::functions::{Argument, Calls, Function};
use super::source::{Idle, Source};
use super::{error, source};
use crate::store::deadline::deadline;
use crate::store::error::StoreError;

/// A connection that was idle for longer is pinged before it is used.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// A connection is closed after this long, so that the load moves to where the address leads by now.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

pub(super) struct Pool {
    pub(super) source: Source,
    calls: Calls,
    /// One for each call that may be under way or waiting.
    places: Semaphore,
    /// For calls that come without one.
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
        let deadline = deadline().unwrap_or(self.deadline);
        timeout(deadline, self.attempt(deadline, function, arguments))
            .await
            .unwrap_or(Err(StoreError::Timeout))
    }

    async fn attempt(
        &self,
        deadline: Duration,
        function: Function,
        arguments: &[Argument],
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut again = function.repeatable;
        loop {
            let mut connection = self.connection(deadline).await?;
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

    async fn connection(&self, deadline: Duration) -> Result<Connection<'_>, StoreError> {
        match &self.source {
            Source::Shared(pool) => {
                let connection = pool.acquire().await.map_err(|error| error::of_step(&error))?;
                Ok(Connection::new(Borrowed::Shared(connection), true, &self.source))
            }
            Source::Own { permits, idle, .. } => {
                // A call that had waited for longer would be given up half way, and its connection closed with it.
                let permit = timeout(deadline / 2, permits.acquire()).await;
                let permit = permit.ok().and_then(Result::ok).ok_or(StoreError::Timeout)?;
                loop {
                    while let Some(found) = pop(idle) {
                        if let Some(found) = self.revived(found, deadline).await {
                            return Ok(self.own(found, true, permit));
                        }
                        self.forget_idle();
                    }
                    if let Some(made) = self.connect_or_wait(deadline).await? {
                        return Ok(self.own(made, false, permit));
                    }
                }
            }
        }
    }

    fn own<'a>(&'a self, idle: Idle, was_idle: bool, permit: SemaphorePermit<'a>) -> Connection<'a> {
        Connection::new(Borrowed::Own(idle, permit), was_idle, &self.source)
    }

    /// A new connection; `None` if one was given back before it was this call's turn to connect.
    async fn connect_or_wait(&self, deadline: Duration) -> Result<Option<Idle>, StoreError> {
        let Source::Own {
            options,
            limited,
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
        // A little less than the deadline, so that a failure is noted as one before the call is given up.
        let limit = limited.then_some(deadline);
        let connected = timeout(deadline / 5 * 4, source::connect(options, limit)).await;
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
    async fn revived(&self, mut found: Idle, deadline: Duration) -> Option<Idle> {
        if found.opened.elapsed() > LIFETIME {
            return None;
        }
        let ready = async {
            if found.since.elapsed() > TRUSTED_FOR {
                found.connection.ping().await?;
            }
            found.limit_statements(deadline).await
        };
        let ready = timeout(deadline / 4, ready).await;
        matches!(ready, Ok(Ok(()))).then_some(found)
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

/// The connection that was used last, so that connections which are not needed grow old.
fn pop(idle: &Mutex<Vec<Idle>>) -> Option<Idle> {
    idle.lock().pop()
}
