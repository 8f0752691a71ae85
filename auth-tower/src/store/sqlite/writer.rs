//! The thread that writes: everything that waits goes into one transaction.
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Error};

use super::error::{busy, moved, spoiled_by};
use super::feed::LastRevocation;
use super::file::{DatabaseFile, Files, Incarnation, Opened};
use super::open::{BRIEFLY, WAL_LIMIT};
use super::requests::{Kind, Write};
use super::transaction::WriteTransaction;
use super::{feed, open};
use crate::clock::Clock;
use crate::store::error::StoreError;

/// The most requests that share a transaction, so that the first of them does not wait long for the others.
const BATCH: usize = 256;

/// The size of the write-ahead log is checked once in so many commits.
const COMMITS_PER_CHECK: u32 = 64;

/// How long a truncation of the write-ahead log may wait for readers, and keep writers waiting.
const TRUNCATION: Duration = Duration::from_millis(250);

/// How long a file that was refused is not checked again. One that is replaced is another.
const REFUSED_FOR: Duration = Duration::from_millis(200);

pub(super) struct Writer {
    file: Arc<DatabaseFile>,
    clock: Clock,
    last_revocation: LastRevocation,
    /// `None` after it broke, until the next request.
    opened: Option<Opened>,
    /// What was opened last.
    last: Arc<Incarnation>,
    /// What was refused last, and when.
    refused: Option<(Files, Instant)>,
    /// Why nothing can be written, once that was logged.
    outage: Option<&'static str>,
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
    pub(super) fn new(file: Arc<DatabaseFile>, clock: Clock, last_revocation: LastRevocation, opened: Opened) -> Self {
        Self {
            file,
            clock,
            last_revocation,
            last: Arc::clone(&opened.incarnation),
            opened: Some(opened),
            refused: None,
            outage: None,
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

    /// Sees to it that the connection is one to what lies at the path now.
    fn settle(&mut self, patience: Duration) -> rusqlite::Result<()> {
        if self.file.is_in_use()
            && let Some(opened) = &self.opened
            && opened.incarnation.is_in_place()
        {
            return Ok(());
        }
        let changed = self.change_over(patience);
        if changed.is_ok()
            && let Some(before) = self.outage.take()
        {
            tracing::warn!(target: "auth_tower::store", before, "sqlite writes again");
        }
        changed
    }

    fn change_over(&mut self, patience: Duration) -> rusqlite::Result<()> {
        let seen = self.file.look();
        if let Some(opened) = &self.opened {
            if opened.incarnation.is_in_place() {
                opened.stay()?;
                self.use_from_now(&Arc::clone(&opened.incarnation));
                return Ok(());
            }
            self.file.leave();
            self.last_revocation.change(None);
            // Half of the time, so that some is left to open what has come.
            let parted = open::wait_for_locks(&opened.connection, patience / 2).and_then(|()| opened.part_from());
            if let Err(error) = parted {
                self.tell("the log of the database that lay there is still in use, or cannot be removed");
                return Err(error);
            }
        }
        if seen.are_without_database() {
            // What is open stays open: the file may come back, and meanwhile no other can be taken for it.
            self.tell(
                "there is no file at its path; put it back, or start the process anew to begin with an empty one",
            );
            return Err(moved());
        }
        if let Some((refused, at)) = self.refused
            && refused == seen
            && at.elapsed() < REFUSED_FOR
        {
            return Err(moved());
        }
        self.opened = None;
        self.wait_for_followers();
        if self.file.look().are_mixed_up() {
            self.tell("this process still has what lay there before open elsewhere");
            return Err(busy());
        }
        match self.file.reopen(&self.last, patience) {
            Ok(opened) => {
                if !self.last.is_same_database(&opened.incarnation) {
                    tracing::warn!(target: "auth_tower::store", "the database file was replaced; the one that lies there now is used");
                }
                self.durable = false;
                self.refused = None;
                self.last = Arc::clone(&opened.incarnation);
                self.use_from_now(&opened.incarnation);
                self.opened = Some(opened);
                Ok(())
            }
            Err(StoreError::Open { reason, .. }) => {
                self.refused = Some((seen, Instant::now()));
                self.tell(reason);
                Err(moved())
            }
            Err(error) => {
                self.tell("the database file cannot be opened again");
                Err(spoiled_by(error))
            }
        }
    }

    /// A follower closes what it has open as soon as it is done with one request.
    fn wait_for_followers(&self) {
        let until = Instant::now() + BRIEFLY;
        while self.file.look().are_mixed_up() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn use_from_now(&self, incarnation: &Arc<Incarnation>) {
        self.file.enter(incarnation);
        self.last_revocation.change(Some(incarnation.number()));
    }

    /// Logs an outage once, and what else is found during it more quietly.
    fn tell(&mut self, reason: &'static str) {
        match self.outage.replace(reason) {
            None => {
                tracing::error!(target: "auth_tower::store", reason, "the database file was removed or replaced, or cannot be opened again; calls fail until it can");
            }
            Some(before) if before != reason => {
                tracing::warn!(target: "auth_tower::store", reason, "the database file cannot be opened yet");
            }
            Some(_) => {}
        }
    }

    /// Carries out what is still wanted, in one transaction, and answers.
    pub(super) fn commit(&mut self, mut batch: Vec<Box<dyn Write>>) {
        let settled = self.settle(time_left(&batch).max(BRIEFLY));
        batch.retain(|request| !request.given_up());
        if batch.is_empty() {
            return;
        }
        match settled.map_err(Undone::All).and_then(|()| self.transact(&mut batch)) {
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
        let opened = self.opened.take().ok_or_else(|| Undone::All(moved()))?;
        let connection = &opened.connection;
        let done = self.transact_on(connection, opened.incarnation.number(), batch);
        let sound = match &done {
            Ok(()) => !batch.iter().any(|request| request.spoils_connection()),
            Err(Undone::All(error)) => is_busy(error) && connection.is_autocommit(),
            Err(Undone::ByOne) => false,
        };
        // A new connection is cheap, and one that met an error of the disk may be in any state.
        let in_place = opened.incarnation.is_in_place();
        self.opened = sound.then_some(opened);
        // What went into files that nobody else finds any more is lost: nobody is told that it is done.
        if in_place { done } else { Err(Undone::All(moved())) }
    }

    fn transact_on(
        &mut self,
        connection: &Connection,
        incarnation: u64,
        batch: &mut Vec<Box<dyn Write>>,
    ) -> Result<(), Undone> {
        let durable = batch.iter().any(|request| request.kind() == Kind::Revocation);
        if durable != self.durable {
            // Has no effect inside a transaction.
            connection
                .pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })
                .map_err(Undone::All)?;
            self.durable = durable;
        }
        // For as long as the most patient of the callers waits. The others give up by themselves.
        open::wait_for_locks(connection, time_left(batch)).map_err(Undone::All)?;
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
                    self.last_revocation.tell(incarnation, last);
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
        let opened = self.opened.as_ref().unwrap();
        opened
            .connection
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
        let Some(Opened {
            connection,
            incarnation,
            ..
        }) = &self.opened
        else {
            return;
        };
        if incarnation.log_size() <= 2 * WAL_LIMIT {
            return;
        }
        let cut = connection
            .busy_timeout(TRUNCATION)
            .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
        if cut.is_err() {
            self.opened = None;
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

/// For how long the most patient of the callers still waits.
fn time_left(batch: &[Box<dyn Write>]) -> Duration {
    let until = batch.iter().map(|request| request.deadline()).max();
    until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
}
