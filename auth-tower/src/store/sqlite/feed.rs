//! The revocation log: reading it, and noticing what other processes write into it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::watch;

use super::error::of_step;
use super::file::Opened;
use super::follower::Follower;
use super::rows;
use super::transaction::ReadTransaction;
use crate::store::FEED_PAGE;
use crate::store::error::StoreError;
use crate::store::feed::{Cursor, RevocationPage};

/// How often the file is checked for writes of other processes while a reader waits for revocations.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

const PAGE: &str = "SELECT seq, session, subject, keep, at FROM auth_revocations WHERE seq > ?1 ORDER BY seq LIMIT ?2";

const LAST: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'auth_revocations'";

/// The last revocation that is known to be committed.
#[derive(Clone)]
pub(super) struct LastRevocation(watch::Sender<Known>);

/// A place in the log of one incarnation of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    incarnation: u64,
    number: i64,
}

/// What is known of the log; nothing, while there is no file that is to be used.
type Known = Option<Reached>;

impl LastRevocation {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Some(Reached {
            incarnation: 0,
            number: 0,
        })))
    }

    /// There is a revocation with this number in the log of this incarnation.
    pub(super) fn tell(&self, incarnation: u64, number: i64) {
        self.0.send_if_modified(|known| match known {
            Some(known) if known.incarnation == incarnation && known.number < number => {
                known.number = number;
                true
            }
            // One that only just hears of the change tells of the file before.
            Some(_) | None => false,
        });
    }

    /// From here on the log is that of `incarnation`, or none.
    pub(super) fn change(&self, incarnation: Option<u64>) {
        self.0
            .send_replace(incarnation.map(|incarnation| Reached { incarnation, number: 0 }));
    }

    /// Returns when a revocation after `reached` is known, or the log is another. The file is polled while a caller waits here.
    pub(super) async fn after(&self, reached: Reached, watcher: impl FnOnce()) {
        let mut last = self.0.subscribe();
        watcher();
        // The sender is `self`: it cannot be gone.
        let _ = last
            .wait_for(|last| {
                last.is_none_or(|last| last.incarnation != reached.incarnation || last.number > reached.number)
            })
            .await;
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

/// A place in the log that cursors call `feed`.
fn place(feed: &str, cursor: &Cursor) -> Result<i64, StoreError> {
    let Some(place) = cursor.place() else {
        return Ok(0);
    };
    let (log, number) = place
        .split_once('.')
        .and_then(|(log, number)| Some((log, number.parse().ok()?)))
        .ok_or(StoreError::Corrupt("the cursor is not of this store"))?;
    // Another file has taken this one's place: all of its entries are new.
    Ok(if log == feed { number } else { 0 })
}

/// A page of the log, and the place that it ends with.
pub(super) fn page(
    transaction: &ReadTransaction<'_>,
    cursor: &Cursor,
) -> Result<(RevocationPage, Reached), StoreError> {
    let after = place(transaction.incarnation.feed(), cursor)?;
    let now = transaction.clock.now();
    // One snapshot for both queries.
    let snapshot = transaction.connection.unchecked_transaction().map_err(of_step)?;
    // A file that was overwritten with a copy numbers anew what it has lost.
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
        cursor: Cursor::at(format!("{}.{reached}", transaction.incarnation.feed())),
        complete,
        now,
    };
    let reached = Reached {
        incarnation: transaction.incarnation.number(),
        number: reached,
    };
    Ok((page, reached))
}

/// Polls the file while a reader waits for revocations, and sleeps otherwise. Ends with the last handle.
pub(super) fn watch(mut file: Follower, last_revocation: &LastRevocation, calls: &Receiver<()>) {
    let mut seen = None;
    while calls.recv().is_ok() {
        while last_revocation.is_awaited() {
            // After an error, anew at the next poll.
            seen = file
                .take()
                .and_then(|opened| {
                    let polled = poll(&opened, seen, last_revocation)?;
                    file.keep(opened);
                    Ok(polled)
                })
                .ok();
            match calls.recv_timeout(POLL_INTERVAL) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// An incarnation, and the state of its file that a connection to it has seen.
type Polled = (u64, i64);

fn poll(opened: &Opened, seen: Option<Polled>, last_revocation: &LastRevocation) -> rusqlite::Result<Polled> {
    let state: i64 = opened
        .connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))?;
    let present = (opened.incarnation.number(), state);
    if seen != Some(present) {
        last_revocation.tell(opened.incarnation.number(), last(&opened.connection)?);
    }
    Ok(present)
}
