//! A connection that is borrowed for one call, or for opening the store.
#![expect(
    clippy::disallowed_methods,
    reason = "the age of a connection and its pauses, which no record is dated by"
)]

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Error, Postgres};
use tokio::sync::SemaphorePermit;

use super::pool;
use super::pool::{Idle, Pool, Source};

/// Connections that a burst left over are closed after this long.
const IDLE_FOR: Duration = Duration::from_secs(10 * 60);

pub(super) enum Borrowed<'a> {
    Own(Idle, SemaphorePermit<'a>),
    Shared(PoolConnection<Postgres>),
}

/// A borrowed connection. Dropped without being given back, it is closed, and the server told to stop what it does for it.
pub(super) struct Connection<'a> {
    /// `None` only while it is being dropped.
    pub(super) held: Option<Borrowed<'a>>,
    /// Whether it was open before.
    pub(super) was_idle: bool,
    pub(super) pool: &'a Pool,
}

impl Connection<'_> {
    pub(super) fn give_back(mut self) {
        match (self.held.take(), &self.pool.source) {
            (Some(Borrowed::Own(mut own, permit)), Source::Own { idle, returned, .. }) => {
                let mut idle = idle.lock();
                own.since = Instant::now();
                idle.push(own);
                let old = idle.first().is_some_and(|oldest| oldest.since.elapsed() > IDLE_FOR);
                let old = old.then(|| idle.remove(0));
                drop(idle);
                // Whoever waits for it finds the connection.
                drop(permit);
                returned.notify_waiters();
                drop(old);
            }
            (held, _) => drop(held),
        }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        match (&mut self.held, &self.pool.source) {
            (Some(Borrowed::Shared(connection)), _) => connection.close_on_drop(),
            (Some(Borrowed::Own(own, _)), Source::Own { options, abandoned, .. }) => {
                if let Some(backend) = own.backend.take() {
                    abandoned.stop(backend, options);
                }
            }
            _ => {}
        }
    }
}

impl Deref for Connection<'_> {
    type Target = PgConnection;

    #[expect(clippy::panic, reason = "taken only by those that consume the connection")]
    fn deref(&self) -> &PgConnection {
        match &self.held {
            Some(Borrowed::Own(own, _)) => &own.connection,
            Some(Borrowed::Shared(connection)) => connection,
            None => panic!("a connection that was given back"),
        }
    }
}

impl DerefMut for Connection<'_> {
    #[expect(clippy::panic, reason = "taken only by those that consume the connection")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.held {
            Some(Borrowed::Own(own, _)) => &mut own.connection,
            Some(Borrowed::Shared(connection)) => connection,
            None => panic!("a connection that was given back"),
        }
    }
}

/// A connection for opening the store, outside of the calls' number.
pub(super) async fn connect(source: &Source) -> Result<Opening, Error> {
    Ok(match source {
        Source::Own { options, .. } => Opening::Own(pool::connect(options).await?.into()),
        Source::Shared(pool) => Opening::Shared(pool.acquire().await?),
    })
}

pub(super) enum Opening {
    Own(Box<Idle>),
    Shared(PoolConnection<Postgres>),
}

impl Opening {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Own(own) => &mut own.connection,
            Self::Shared(connection) => connection,
        }
    }

    /// Keeps the connection for the first call.
    pub(super) fn give_back(self, source: &Source) {
        if let (Self::Own(mut own), Source::Own { idle, .. }) = (self, source) {
            own.since = Instant::now();
            idle.lock().push(*own);
        }
    }
}
