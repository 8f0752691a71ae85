//! The thread that writes: everything that waits goes into one transaction.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, Error};

use super::error::of_step;
use super::feed::LastRevocation;
use super::open::WAL_LIMIT;
use super::requests::{Kind, Write};
use super::{feed, open};
use crate::clock::{Clock, Timestamp};
use crate::store::error::StoreError;

/// The most requests that share a transaction, so that the first of them does not wait long.
const BATCH: usize = 256;

/// After how many commits the size of the write-ahead log is looked at.
const COMMITS_PER_LOOK: u32 = 64;

/// What a step of a request works with.
pub(super) struct WriteTransaction<'a> {
    connection: &'a Connection,
    clock: &'a Clock,
    appended: Cell<bool>,
}

impl WriteTransaction<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn prepare(&self, sql: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection.prepare_cached(sql).map_err(of_step)
    }

    /// Notes that the log of feed grew, so that its readers are woken after the commit.
    pub(super) fn appended(&self) {
        self.appended.set(true);
    }

    fn execute(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.raw_execute().map(drop)
    }
}

pub(super) struct Writer {
    path: PathBuf,
    patience: Duration,
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
    pub(super) fn new(
        path: PathBuf,
        patience: Duration,
        clock: Clock,
        last_revocation: LastRevocation,
        connection: Connection,
    ) -> Self {
        Self {
            path,
            patience,
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
                open::writer(&self.path, self.patience).map_err(Undone::All)?
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
        let durable = batch.iter().any(|request| request.kind() == Kind::RevocationEvent);
        if durable != self.durable {
            // Has no effect inside a transaction.
            connection
                .pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })
                .map_err(Undone::All)?;
            self.durable = durable;
        }
        let work = WriteTransaction {
            connection,
            clock: &self.clock,
            appended: Cell::new(false),
        };
        work.execute("BEGIN IMMEDIATE").map_err(Undone::All)?;
        // Waiting for the lock may have taken longer than some had time for.
        batch.retain(|request| !request.given_up());
        for request in batch.iter_mut() {
            run_alone(&work, &mut **request)?;
        }
        let last = if work.appended.get() {
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

    /// SQLite starts its log anew whenever nobody reads from it; under endless load somebody may always be. Then everybody
    /// is asked to wait for a moment.
    fn bound_wal(&mut self) {
        self.commits = self.commits.wrapping_add(1);
        if !self.commits.is_multiple_of(COMMITS_PER_LOOK) {
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
            .busy_timeout(self.patience / 8)
            .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)))
            .and_then(|_| connection.busy_timeout(self.patience / 2));
        if cut.is_err() {
            self.connection = None;
        }
    }
}

/// Runs one request so that, if it fails, it leaves nothing behind and the others are not touched.
fn run_alone(work: &WriteTransaction<'_>, request: &mut dyn Write) -> Result<(), Undone> {
    let before = work.appended.get();
    let undoable = request.kind() != Kind::Single;
    if undoable {
        work.execute("SAVEPOINT request").map_err(Undone::All)?;
    }
    let done = request.run(work);
    if !done {
        work.appended.set(before);
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
