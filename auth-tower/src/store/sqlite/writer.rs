//! The thread that writes: everything that waits goes into one transaction.

#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Error};

use super::feed::LastRevocation;
use super::open::WAL_LIMIT;
use super::requests::{Kind, Write};
use super::transaction::WriteTransaction;
use super::{feed, open};
use crate::clock::Clock;

/// The most requests that share a transaction, so that the first of them does not wait long for the others.
const BATCH: usize = 256;

/// The size of the write-ahead log is checked once in so many commits.
const COMMITS_PER_CHECK: u32 = 64;

/// How long a truncation of the write-ahead log may wait for readers, and keep writers waiting.
const TRUNCATION: Duration = Duration::from_millis(250);

pub(super) struct Writer {
    path: PathBuf,
    clock: Clock,
    last_revocation: LastRevocation,
    /// `None` after it broke, until the next request.
    connection: Option<Connection>,
    /// Whether commits now wait for the disk.
    durable: bool,
    commits: u32,
}

/// How a transaction failed.
enum Undone {
    /// Nothing was carried out, and trying again now would not help.
    All(Error),
    /// One of the requests took the whole transaction with it; on their own, the others may go well.
    ByOne,
}

impl Writer {
    pub(super) fn new(path: PathBuf, clock: Clock, last_revocation: LastRevocation, connection: Connection) -> Self {
        Self {
            path,
            clock,
            last_revocation,
            connection: Some(connection),
            durable: false,
            commits: 0,
        }
    }

    /// Serves until the last handle is gone and the queue is empty.
    pub(super) fn serve(&mut self, requests: &Receiver<Box<dyn Write>>) {
        while let Ok(first) = requests.recv() {
            let mut batch = Vec::with_capacity(16);
            batch.push(first);
            batch.extend(requests.try_iter().take(BATCH - 1));
            self.commit(batch);
            self.bound_wal();
        }
    }

    /// Carries out what is still wanted, in one transaction, and answers.
    pub(super) fn commit(&mut self, mut batch: Vec<Box<dyn Write>>) {
        batch.retain(|request| !request.given_up());
        if batch.is_empty() {
            return;
        }
        match self.transact(&mut batch) {
            Ok(()) => answer(batch, None),
            Err(Undone::ByOne) if batch.len() > 1 => {
                for request in batch {
                    self.commit(vec![request]);
                }
            }
            // Its own error is the answer.
            Err(Undone::ByOne) => answer(batch, None),
            Err(Undone::All(error)) => {
                tracing::warn!(target: "auth_tower::store", waiting = batch.len(), code = ?error.sqlite_error_code(), "sqlite could not commit");
                answer(batch, Some(&error));
            }
        }
    }

    /// Carries out the batch and commits it. After an error nothing of it was carried out.
    fn transact(&mut self, batch: &mut Vec<Box<dyn Write>>) -> Result<(), Undone> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                self.durable = false;
                open::writer(&self.path).map_err(Undone::All)?
            }
        };
        let done = self.transact_on(&connection, batch);
        let sound = match &done {
            Ok(()) => !batch.iter().any(|request| request.spoils_connection()),
            Err(Undone::All(error)) => is_busy(error) && connection.is_autocommit(),
            Err(Undone::ByOne) => false,
        };
        // A new connection is cheap, and one that met an error of the disk may be in any state.
        self.connection = sound.then_some(connection);
        done
    }

    fn transact_on(&mut self, connection: &Connection, batch: &mut Vec<Box<dyn Write>>) -> Result<(), Undone> {
        let durable = batch.iter().any(|request| request.kind() == Kind::Revocation);
        if durable != self.durable {
            // Has no effect inside a transaction.
            connection
                .pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })
                .map_err(Undone::All)?;
            self.durable = durable;
        }
        // For as long as the most patient of the callers waits. The others give up by themselves.
        let until = batch.iter().map(|request| request.deadline()).max();
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        open::wait_for_locks(connection, left).map_err(Undone::All)?;
        let work = WriteTransaction::new(connection, &self.clock);
        work.execute("BEGIN IMMEDIATE").map_err(Undone::All)?;
        // The wait for the lock may have outlasted the deadline of some.
        batch.retain(|request| !request.given_up());
        for request in batch.iter_mut() {
            run_alone(&work, &mut **request)?;
        }
        let last = if work.appended() {
            Some(feed::last(connection).map_err(Undone::All))
        } else {
            None
        };
        let committed = last
            .transpose()
            .and_then(|last| work.execute("COMMIT").map(|()| last).map_err(Undone::All));
        match committed {
            Ok(last) => {
                if let Some(last) = last {
                    self.last_revocation.tell(last);
                }
                Ok(())
            }
            Err(error) => {
                // If this fails too, dropping the connection undoes the rest.
                let _ = work.execute("ROLLBACK");
                Err(error)
            }
        }
    }

    #[cfg(test)]
    pub(super) fn synchronous(&self) -> i64 {
        let connection = self.connection.as_ref().unwrap();
        connection
            .query_row("PRAGMA synchronous", [], |row| row.get(0))
            .unwrap()
    }

    /// SQLite starts its write-ahead log anew whenever no connection reads from it, which under endless load may never be
    /// the case. Then all callers wait for a moment while the log is truncated.
    fn bound_wal(&mut self) {
        self.commits = self.commits.wrapping_add(1);
        if !self.commits.is_multiple_of(COMMITS_PER_CHECK) {
            return;
        }
        let Some(connection) = &self.connection else {
            return;
        };
        let size = std::fs::metadata(wal_of(&self.path)).map_or(0, |about| about.len());
        if size <= 2 * WAL_LIMIT {
            return;
        }
        let cut = connection
            .busy_timeout(TRUNCATION)
            .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        if cut.is_err() {
            self.connection = None;
        }
    }
}

/// Runs one request so that, if it fails, it leaves nothing behind and the others are not touched.
fn run_alone(work: &WriteTransaction<'_>, request: &mut dyn Write) -> Result<(), Undone> {
    let before = work.appended();
    let undoable = request.kind() != Kind::Single;
    if undoable {
        work.execute("SAVEPOINT request").map_err(Undone::All)?;
    }
    let done = request.run(work);
    if !done {
        work.restore_appended(before);
        if work.connection.is_autocommit() {
            // A full disk, or an error of the disk: SQLite has undone the whole transaction.
            return Err(Undone::ByOne);
        }
        if undoable {
            work.execute("ROLLBACK TO request").map_err(|_| Undone::ByOne)?;
        }
    }
    if undoable {
        work.execute("RELEASE request").map_err(|_| Undone::ByOne)?;
    }
    Ok(())
}

fn answer(batch: Vec<Box<dyn Write>>, undone: Option<&Error>) {
    for request in batch {
        request.answer(undone);
    }
}

fn is_busy(error: &Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// The name that SQLite gives to a file's write-ahead log.
fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
