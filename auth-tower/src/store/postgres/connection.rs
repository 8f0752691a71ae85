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

use super::source;
use super::source::{Idle, Source};

/// Connections that a burst left over are closed after this long.
const IDLE_FOR: Duration = Duration::from_secs(10 * 60);

pub(super) enum Borrowed<'a> {
    Own(Idle, SemaphorePermit<'a>),
    Shared(PoolConnection<Postgres>),
}

/// A borrowed connection. Dropped without being given back, it is closed, and the server is told to stop the call.
pub(super) struct Connection<'a> {
    /// `None` only while it is being dropped.
    borrowed: Option<Borrowed<'a>>,
    /// Whether it was open before.
    pub(super) was_idle: bool,
    source: &'a Source,
}

impl<'a> Connection<'a> {
    pub(super) fn new(borrowed: Borrowed<'a>, was_idle: bool, source: &'a Source) -> Self {
        Self {
            borrowed: Some(borrowed),
            was_idle,
            source,
        }
    }

    pub(super) fn give_back(mut self) {
        match (self.borrowed.take(), self.source) {
            (Some(Borrowed::Own(mut own, permit)), Source::Own { idle, returned, .. }) => {
                let mut idle = idle.lock();
                own.since = Instant::now();
                idle.push(own);
                let old = idle.first().is_some_and(|oldest| oldest.since.elapsed() > IDLE_FOR);
                let old = old.then(|| idle.remove(0));
                drop(idle);
                // The call that waits for the permit finds the connection.
                drop(permit);
                returned.notify_waiters();
                drop(old);
            }
            (borrowed, _) => drop(borrowed),
        }
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        match (&mut self.borrowed, self.source) {
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
        match &self.borrowed {
            Some(Borrowed::Own(own, _)) => &own.connection,
            Some(Borrowed::Shared(connection)) => connection,
            None => panic!("a connection that was given back"),
        }
    }
}

impl DerefMut for Connection<'_> {
    #[expect(clippy::panic, reason = "taken only by those that consume the connection")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.borrowed {
            Some(Borrowed::Own(own, _)) => &mut own.connection,
            Some(Borrowed::Shared(connection)) => connection,
            None => panic!("a connection that was given back"),
        }
    }
}

/// A connection for opening the store, beyond the number of those for calls.
pub(super) enum Opening {
    Own(Box<Idle>),
    Shared(PoolConnection<Postgres>),
}

impl Opening {
    /// `limit`: the connection's `statement_timeout`, if the server keeps one.
    pub(super) async fn begin(source: &Source, limit: Option<Duration>) -> Result<Self, Error> {
        Ok(match source {
            Source::Own { options, .. } => Self::Own(source::connect(options, limit).await?.into()),
            Source::Shared(pool) => Self::Shared(pool.acquire().await?),
        })
    }

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
