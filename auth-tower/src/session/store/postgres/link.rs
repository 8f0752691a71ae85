//! A connection that is borrowed for one call, or for opening the store.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Error, Postgres};
use tokio::sync::SemaphorePermit;

use super::links::{Idle, Links, Source};

/// Connections that a burst left over are closed after this long.
const IDLE_FOR: Duration = Duration::from_secs(10 * 60);

pub(super) enum Held<'a> {
    Own(PgConnection, Instant, SemaphorePermit<'a>),
    Shared(PoolConnection<Postgres>),
}

/// A borrowed connection. Dropped without being given back, it is closed.
pub(super) struct Link<'a> {
    /// `None` only while it is being dropped.
    pub(super) held: Option<Held<'a>>,
    /// Whether it was open before.
    pub(super) was_idle: bool,
    pub(super) links: &'a Links,
}

impl Link<'_> {
    pub(super) fn give_back(mut self) {
        match (self.held.take(), &self.links.source) {
            (Some(Held::Own(connection, opened, permit)), Source::Own { idle, returned, .. }) => {
                let mut idle = idle.lock();
                let since = Instant::now();
                idle.push(Idle {
                    connection,
                    opened,
                    since,
                });
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

impl Drop for Link<'_> {
    fn drop(&mut self) {
        if let Some(Held::Shared(connection)) = &mut self.held {
            connection.close_on_drop();
        }
    }
}

impl Deref for Link<'_> {
    type Target = PgConnection;

    #[expect(clippy::panic, reason = "taken only by those that consume the link")]
    fn deref(&self) -> &PgConnection {
        match &self.held {
            Some(Held::Own(connection, ..)) => connection,
            Some(Held::Shared(connection)) => connection,
            None => panic!("a link that was given back"),
        }
    }
}

impl DerefMut for Link<'_> {
    #[expect(clippy::panic, reason = "taken only by those that consume the link")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.held {
            Some(Held::Own(connection, ..)) => connection,
            Some(Held::Shared(connection)) => connection,
            None => panic!("a link that was given back"),
        }
    }
}

/// A connection for opening the store, outside of the calls' number.
pub(super) async fn connect(source: &Source) -> Result<Opening, Error> {
    Ok(match source {
        Source::Own { options, .. } => Opening::Own(PgConnection::connect_with(options).await?),
        Source::Shared(pool) => Opening::Shared(pool.acquire().await?),
    })
}

pub(super) enum Opening {
    Own(PgConnection),
    Shared(PoolConnection<Postgres>),
}

impl Opening {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Own(connection) => connection,
            Self::Shared(connection) => connection,
        }
    }

    /// Keeps the connection for the first call.
    pub(super) fn give_back(self, source: &Source) {
        if let (Self::Own(connection), Source::Own { idle, .. }) = (self, source) {
            let now = Instant::now();
            idle.lock().push(Idle {
                connection,
                opened: now,
                since: now,
            });
        }
    }
}
