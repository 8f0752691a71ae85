//! Where connections come from: our own, or a pool of the application's.

#![expect(
    clippy::disallowed_methods,
    reason = "the age of a connection, which no record is dated by"
)]

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Error, PgPool};
use tokio::sync::{Notify, Semaphore};

use super::backend::{Abandoned, Backend};
use super::outage::Outage;

/// How many connections are opened at once: a server that is busy is not helped by more.
const CONNECTING: usize = 4;

/// Where connections come from.
pub(super) enum Source {
    /// Our own.
    Own {
        options: Box<PgConnectOptions>,
        /// Whether the server keeps a `statement_timeout` for each of them.
        limited: bool,
        /// One for each connection that may be open.
        permits: Semaphore,
        idle: Mutex<Vec<Idle>>,
        connecting: Semaphore,
        /// Notified when a connection was given back.
        returned: Notify,
        outage: Outage,
        abandoned: Abandoned,
    },
    /// The application's.
    Shared(PgPool),
}

impl Source {
    pub(super) fn own(options: PgConnectOptions, limited: bool, connections: usize) -> Self {
        Self::Own {
            options: options.into(),
            limited,
            permits: Semaphore::new(connections),
            idle: Mutex::default(),
            connecting: Semaphore::new(CONNECTING),
            returned: Notify::new(),
            outage: Outage::default(),
            abandoned: Abandoned::default(),
        }
    }
}

/// A connection that waits for its next call.
pub(super) struct Idle {
    pub(super) connection: PgConnection,
    pub(super) backend: Option<Backend>,
    pub(super) opened: Instant,
    pub(super) since: Instant,
    /// Its `statement_timeout`, if the server keeps one for it.
    limit: Option<Duration>,
}

impl Idle {
    /// Has the server give a statement up after `deadline`, as its caller does. This costs a round trip only where calls with
    /// different deadlines share the connection.
    pub(super) async fn limit_statements(&mut self, deadline: Duration) -> Result<(), Error> {
        if self.limit.is_some_and(|limit| limit != deadline) {
            let set = format!("SET statement_timeout = {}", millis(deadline));
            sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut self.connection).await?;
            self.limit = Some(deadline);
        }
        Ok(())
    }
}

/// A new connection for a call with this deadline.
pub(super) async fn connect(options: &PgConnectOptions, limit: Option<Duration>) -> Result<Idle, Error> {
    let mut connection = match limit {
        Some(limit) => {
            let options = options.clone().options([("statement_timeout", millis(limit))]);
            PgConnection::connect_with(&options).await?
        }
        None => PgConnection::connect_with(options).await?,
    };
    let now = Instant::now();
    Ok(Idle {
        backend: Backend::of(&mut connection).await?,
        connection,
        opened: now,
        since: now,
        limit,
    })
}

/// A `statement_timeout`. Zero would be none at all.
pub(super) fn millis(limit: Duration) -> u128 {
    limit.as_millis().max(1)
}
