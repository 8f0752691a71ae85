//! Sessions in an SQLite file.
//!
//! One thread writes, and commits all requests that are waiting for it together. One thread reads. One thread watches for
//! revocations that other processes write into the same file. No call takes longer than its deadline.

mod address;
mod error;
mod feed;
mod file;
mod follower;
mod open;
mod options;
mod purge;
mod reader;
mod requests;
mod rows;
mod steps;
#[cfg(test)]
mod tests;
mod threads;
mod transaction;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::file::DatabaseFile;
use self::requests::Kind;
use self::threads::Threads;
use super::error::StoreError;
use super::feed::{Cursor, RevocationPage};
use super::session::{Acknowledgement, Advance, Advanced, AllEnded, Found, NewSession, Retention, SessionStore};
use crate::id::{SessionId, Subject};
use crate::session::{EndReason, SessionRecord};
use crate::store::feed::RevocationFeed;

pub use self::options::SqliteOptions;

/// Sessions in an SQLite file, shared by all processes of one machine that open it.
///
/// * The file may be the application's own database: every table is named `auth_…`, and the history of its migrations is in
///   `auth_migrations`. It is put into WAL mode. It must lie on a local disk, as SQLite asks.
/// * A revocation is on disk when it is answered. A rotation survives a crash of the process at once, and a power cut a moment
///   later; the rotation rules repair one that was lost.
/// * Every call has the deadline of the [`Auth`](crate::Auth) that makes it, and 2 s outside of one. A call that was given up
///   before its turn came is not carried out, and a call that finds too many waiting before it fails at once. Time is real
///   time, so a runtime whose clock is paused sees timeouts.
/// * A new file can be read by its owner only (mode 0600). A damaged one is refused and left as it is.
/// * Where the file is removed or replaced while the store is open, the store goes on with what lies at the path as soon as
///   that is a sound database of this library, a backup for instance; until then every call fails. A file is made only by
///   [`connect`](Self::connect).
///
/// Clones share their connections, which are closed with the last clone, after its calls are done: dropping the last clone
/// waits for that, for 2 s at most. [`close`](Self::close) waits without holding up an async thread.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use auth_tower::SqliteStore;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("auth.db");
/// let store = SqliteStore::connect(&path).await?;
/// # drop(store);
/// std::fs::write(folder.path().join("notes.txt"), "This is not a database.")?;
/// let refused = SqliteStore::connect(folder.path().join("notes.txt")).await;
/// assert!(refused.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    threads: Arc<Threads>,
}

impl SqliteStore {
    /// Opens the file at `location` (a path, `sqlite:path` or `sqlite://path`), making it if there is none, and brings its
    /// tables up to date.
    ///
    /// A path after `sqlite:` is taken literally: nothing in it is decoded, and parameters after a `?` are refused.
    ///
    /// # Errors
    /// [`StoreError::Open`] with a reason that a person can act on, if the file cannot be used;
    /// [`StoreError::Unavailable`] if another program keeps it locked.
    pub async fn connect(location: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteOptions::new().connect(location).await
    }

    /// Waits until the file is closed, which is after all clones are gone and what was asked of them is done.
    pub async fn close(self) {
        let closed = self.threads.closed();
        // Dropping the last clone waits, which an async thread must not.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
        closed.await;
    }
}

impl SqliteOptions {
    /// Opens the file; see [`SqliteStore::connect`].
    ///
    /// # Errors
    /// As [`SqliteStore::connect`].
    pub async fn connect(self, location: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let path = address::parse(location.as_ref())?;
        let opening = tokio::task::spawn_blocking(move || {
            let (file, opened) = DatabaseFile::open(path, self.deadline)?;
            Threads::start(file, self, opened)
        });
        let threads = opening.await.map_err(StoreError::unavailable)??;
        Ok(SqliteStore {
            threads: threads.into(),
        })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl RevocationFeed for SqliteStore {
    async fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Result<RevocationPage, StoreError> {
        self.threads.revocations_since(cursor, wait).await
    }
}

impl SessionStore for SqliteStore {
    async fn create(&self, session: NewSession) -> Result<SessionRecord, StoreError> {
        session.check()?;
        self.threads
            .write(Kind::Single, move |transaction| steps::create(transaction, &session))
            .await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Found>, StoreError> {
        self.threads.read(move |transaction| transaction.find(&id)).await
    }

    async fn advance(&self, id: SessionId, step: Advance) -> Result<Option<Advanced>, StoreError> {
        self.threads
            .write(Kind::Single, move |transaction| steps::advance(transaction, &id, &step))
            .await
    }

    async fn acknowledge(&self, acknowledgements: Vec<Acknowledgement>) -> Result<(), StoreError> {
        if acknowledgements.is_empty() {
            return Ok(());
        }
        self.threads
            .write(Kind::Several, move |transaction| {
                steps::acknowledge(transaction, &acknowledgements)
            })
            .await
    }

    async fn end(&self, id: SessionId, reason: EndReason) -> Result<Option<Found>, StoreError> {
        self.threads
            .write(Kind::Revocation, move |transaction| {
                steps::end(transaction, &id, reason)
            })
            .await?
    }

    async fn end_all(
        &self,
        subject: &Subject,
        keep: Option<SessionId>,
        reason: EndReason,
    ) -> Result<AllEnded, StoreError> {
        let key = subject.key();
        self.threads
            .write(Kind::Revocation, move |transaction| {
                steps::end_all(transaction, &key, keep.as_ref(), reason)
            })
            .await
    }

    async fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        let subject = subject.clone();
        self.threads
            .read(move |transaction| transaction.list(&subject, limit))
            .await
    }

    async fn purge(&self, retention: Retention) -> Result<u64, StoreError> {
        loop {
            let swept = self
                .threads
                .write(Kind::Several, move |transaction| purge::sweep(transaction, retention))
                .await?;
            // A portion can consist of sessions that were refreshed since they were queued. Then none is removed, although more may be due.
            if swept.removed > 0 || !swept.more {
                return Ok(swept.removed);
            }
        }
    }
}
