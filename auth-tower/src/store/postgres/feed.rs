//! Following the revocation log.
//!
//! `NOTIFY` wakes a reader that waits. The reader also polls, because a notification can be lost with its connection, and
//! behind some proxies none ever comes.

#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a wait, which no record is dated by"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Error, Executor as _, PgPool};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::functions::{Argument, REVOCATIONS_AFTER};
use super::pool::Pool;
use super::rows;
use super::source::Source;
use crate::store::FEED_PAGE;
use crate::store::error::StoreError;
use crate::store::feed::{Cursor, RevocationPage};

/// How often a quiet listener checks that its connection is alive.
const CHECK: Duration = Duration::from_secs(30);

/// How long connecting to listen, or that check, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest wait, so that its end can be computed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

pub(super) struct Feed {
    /// Changes when the log may have grown.
    news: watch::Sender<()>,
    /// How often a waiting reader polls.
    poll_interval: Duration,
    /// The channel to listen on, if any.
    channel: Option<String>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.get_mut().take() {
            listener.abort();
        }
    }
}

impl Feed {
    pub(super) fn new(poll_interval: Duration, channel: Option<String>) -> Self {
        Self {
            news: watch::Sender::new(()),
            poll_interval,
            channel,
            listener: Mutex::default(),
        }
    }

    /// Wakes this process's own readers.
    pub(super) fn tell(&self) {
        self.news.send_replace(());
    }

    pub(super) async fn revocations_since(
        &self,
        pool: &Pool,
        cursor: Cursor,
        wait: Duration,
    ) -> Result<RevocationPage, StoreError> {
        let until = Instant::now() + wait.min(LONGEST_WAIT);
        let mut place = Place::of(&cursor)?;
        // Before the log is read, so that no notification comes in between.
        let mut news = self.news.subscribe();
        if !wait.is_zero() {
            self.listen(pool);
        }
        loop {
            let (page, reached) = page(pool, &place).await?;
            let left = until.saturating_duration_since(Instant::now());
            if !page.entries.is_empty() || left.is_zero() {
                return Ok(page);
            }
            place = reached;
            // Woken or not, the reader finds what is new in the log. The sender is `self`: it cannot be gone.
            let _ = timeout(left.min(self.poll_interval), news.changed()).await;
        }
    }

    /// Starts the task that listens, unless it runs.
    fn listen(&self, pool: &Pool) {
        let Some(channel) = &self.channel else {
            return;
        };
        let mut listener = self.listener.lock();
        if listener.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let pool = match &pool.source {
            Source::Shared(pool) => pool.clone(),
            Source::Own { options, .. } => PgPoolOptions::new()
                .max_connections(1)
                .acquire_timeout(PATIENCE)
                .test_before_acquire(false)
                .connect_lazy_with((**options).clone()),
        };
        let (channel, news) = (channel.clone(), self.news.clone());
        *listener = Some(tokio::spawn(async move {
            loop {
                if let Err(error) = listen_once(&pool, &channel, &news).await {
                    let error = super::error::of_step(&error);
                    tracing::debug!(target: "auth_tower::store", %error, "revocations cannot be listened for; they are polled");
                }
                sleep(Duration::from_millis(250)).await;
            }
        }));
    }
}

/// Listens until the connection is lost.
async fn listen_once(pool: &PgPool, channel: &str, news: &watch::Sender<()>) -> Result<(), Error> {
    let late = |_| Error::PoolTimedOut;
    let mut listener = timeout(PATIENCE, PgListener::connect_with(pool))
        .await
        .map_err(late)??;
    timeout(PATIENCE, listener.listen(channel)).await.map_err(late)??;
    loop {
        // Also the first time: earlier notifications were missed.
        news.send_replace(());
        match timeout(CHECK, listener.try_recv()).await {
            Ok(notification) => {
                if notification?.is_none() {
                    return Ok(());
                }
            }
            Err(_) => {
                timeout(PATIENCE, listener.execute("SELECT 1")).await.map_err(late)??;
            }
        }
    }
}

/// A place in a log: the log's name, and the number and moment of the last entry that was read.
struct Place {
    log: Arc<str>,
    number: i64,
    at: i64,
}

impl Place {
    fn of(cursor: &Cursor) -> Result<Self, StoreError> {
        let Some(place) = cursor.place() else {
            return Ok(Self {
                log: "".into(),
                number: 0,
                at: 0,
            });
        };
        let mut parts = place.split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(log), Some(number), Some(at), None) => {
                number.parse().ok().zip(at.parse().ok()).map(|(number, at)| Self {
                    log: log.into(),
                    number,
                    at,
                })
            }
            _ => None,
        }
        .ok_or(StoreError::Corrupt("the cursor is not of this store"))
    }

    fn cursor(&self) -> Cursor {
        Cursor::at(format!("{}.{}.{}", self.log, self.number, self.at))
    }
}

/// A page of the log, and the place that it ends at.
async fn page(pool: &Pool, place: &Place) -> Result<(RevocationPage, Place), StoreError> {
    let limit = i64::try_from(FEED_PAGE + 1).unwrap_or(i64::MAX);
    let arguments = [
        Argument::Text(Some(place.log.as_ref().to_owned())),
        Argument::Number(place.number),
        Argument::Number(place.at),
        Argument::Number(limit),
    ];
    let found = pool.call(REVOCATIONS_AFTER, &arguments).await?;
    let first = found.first().ok_or(StoreError::Corrupt("the revocation log is gone"))?;
    let after: i64 = rows::column(first, 7)?;
    let mut reached = Place {
        log: rows::column::<String>(first, 0)?.into(),
        number: after,
        at: if after == place.number { place.at } else { 0 },
    };
    let mut entries = Vec::new();
    for row in found.iter().take(FEED_PAGE) {
        if let Some((number, revocation)) = rows::revocation(row)? {
            reached.number = number;
            reached.at = revocation.at.as_millis();
            entries.push(revocation);
        }
    }
    let revocations = RevocationPage {
        entries,
        cursor: reached.cursor(),
        complete: found.len() <= FEED_PAGE,
        now: rows::moment(first, 1)?,
    };
    Ok((revocations, reached))
}
