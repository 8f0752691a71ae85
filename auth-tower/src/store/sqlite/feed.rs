//! The revocation log: reading it, and noticing what other processes write into it.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::watch;

use super::error::of_step;
use super::transaction::ReadTransaction;
use super::{open, rows};
use crate::store::FEED_PAGE;
use crate::store::error::StoreError;
use crate::store::feed::{Cursor, RevocationPage};

/// How often the file is checked for writes of other processes while a reader waits for revocations.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

const PAGE: &str = "SELECT seq, session, subject, keep, at FROM auth_revocations WHERE seq > ?1 ORDER BY seq LIMIT ?2";

const LAST: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'auth_revocations'";

/// The number of the last revocation that is known to be committed.
#[derive(Clone)]
pub(super) struct LastRevocation(watch::Sender<i64>);

impl LastRevocation {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(super) fn tell(&self, number: i64) {
        self.0.send_if_modified(|known| {
            let news = number > *known;
            if news {
                *known = number;
            }
            news
        });
    }

    /// Returns when a revocation after `number` is known. The file is polled while a caller waits here.
    pub(super) async fn after(&self, number: i64, watcher: impl FnOnce()) {
        let mut last = self.0.subscribe();
        watcher();
        // The sender is `self`: it cannot be gone.
        let _ = last.wait_for(|last| *last > number).await;
    }

    fn is_awaited(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

/// The number of the last revocation ever appended, as this connection sees it.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<i64> {
    let last = connection
        .prepare_cached(LAST)?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0))
}

/// A place in this file's log.
pub(super) fn place(log_id: &str, cursor: &Cursor) -> Result<i64, StoreError> {
    let Some(place) = cursor.place() else {
        return Ok(0);
    };
    let (log, number) = place
        .split_once('.')
        .and_then(|(log, number)| Some((log, number.parse().ok()?)))
        .ok_or(StoreError::Corrupt("the cursor is not of this store"))?;
    // Another file has taken this one's place: all of its entries are new.
    Ok(if log == log_id { number } else { 0 })
}

/// A page of the log, and the number that it ends with.
pub(super) fn page(
    transaction: &ReadTransaction<'_>,
    log_id: &str,
    after: i64,
) -> Result<(RevocationPage, i64), StoreError> {
    let now = transaction.clock.now();
    // One snapshot for both queries.
    let snapshot = transaction.connection.unchecked_transaction().map_err(of_step)?;
    // A file that was restored from a copy numbers anew what it has lost.
    let after = if after > last(transaction.connection).map_err(of_step)? {
        0
    } else {
        after
    };
    let mut entries = Vec::new();
    let mut reached = after;
    let mut complete = true;
    {
        let mut statement = transaction.prepare(PAGE)?;
        let limit = i64::try_from(FEED_PAGE + 1).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, limit]).map_err(of_step)?;
        while let Some(row) = rows.next().map_err(of_step)? {
            if entries.len() == FEED_PAGE {
                complete = false;
                break;
            }
            let (number, revocation) = rows::revocation(row)?;
            entries.push(revocation);
            reached = number;
        }
    }
    snapshot.finish().map_err(of_step)?;
    let page = RevocationPage {
        entries,
        cursor: Cursor::at(format!("{log_id}.{reached}")),
        complete,
        now,
    };
    Ok((page, reached))
}

/// Polls the file while a reader waits for revocations, and sleeps otherwise. Ends with the last handle.
pub(super) fn watch(path: PathBuf, last_revocation: &LastRevocation, calls: &Receiver<()>) {
    let mut file: Option<(Connection, Option<i64>)> = None;
    while calls.recv().is_ok() {
        while last_revocation.is_awaited() {
            let polled = match file.take() {
                Some(opened) => Ok(opened),
                None => open::reader(&path).map(|connection| (connection, None)),
            }
            .and_then(|(connection, version)| poll(connection, version, last_revocation));
            // After an error, anew at the next poll.
            file = polled.ok();
            match calls.recv_timeout(POLL_INTERVAL) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

type Polled = (Connection, Option<i64>);

fn poll(connection: Connection, version: Option<i64>, last_revocation: &LastRevocation) -> rusqlite::Result<Polled> {
    let present: i64 = connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))?;
    if version != Some(present) {
        last_revocation.tell(last(&connection)?);
    }
    Ok((connection, Some(present)))
}
