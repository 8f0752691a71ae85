//! How a file is opened and used.

use std::path::Path;
use std::time::Duration;

use super::file::DatabaseFile;
use super::threads::Threads;
use super::{SqliteStore, address};
use crate::clock::Clock;
use crate::store::error::StoreError;

/// Settings of a [`SqliteStore`], for those who need other than the defaults.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_tower::store::StoreError> {
/// use auth_tower::SqliteOptions;
/// use std::time::Duration;
///
/// let store = SqliteOptions::new()
///     .with_deadline(Duration::from_millis(500))
///     .with_queue(256)
///     .connect("auth.db")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SqliteOptions {
    pub(super) clock: Clock,
    pub(super) deadline: Duration,
    pub(super) queue: usize,
}

impl SqliteOptions {
    /// The system's clock, a deadline of 2 s, and up to 1,024 waiting calls.
    pub fn new() -> Self {
        Self {
            clock: Clock::system(),
            deadline: Duration::from_secs(2),
            queue: 1_024,
        }
    }

    /// Reads the time from `clock`. All processes that share a file should read the system's, the default.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long a call may take before it is given up: 10 ms at least, 60 s at most, 2 s by default. A request that was
    /// given up before its turn came is not carried out. It also bounds how long opening waits for a locked file.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(Duration::from_millis(10), Duration::from_secs(60));
        self
    }

    /// How many calls may wait for their turn, for writing and for reading each: 1 at least, 1,024 by default. One more
    /// fails at once with [`StoreError::Unavailable`].
    pub fn with_queue(mut self, calls: usize) -> Self {
        self.queue = calls.max(1);
        self
    }

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

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::new()
    }
}
