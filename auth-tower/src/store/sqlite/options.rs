//! How a file is opened and used.

use std::time::Duration;

use crate::clock::Clock;
use crate::config::defaults;

/// Settings of a [`SqliteStore`](super::SqliteStore), for applications that need other than the defaults.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_tower::store::StoreError> {
/// use auth_tower::SqliteOptions;
///
/// let store = SqliteOptions::new()
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
    /// The system's clock, and up to 1,024 waiting calls.
    pub fn new() -> Self {
        Self {
            clock: Clock::system(),
            deadline: defaults::STORE_DEADLINE,
            queue: 1_024,
        }
    }

    /// Reads the time from `clock`. All processes that share a file should read the system's, the default.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long a call may take that comes from outside of an [`Auth`](crate::Auth), and how long opening waits for a locked
    /// file: for tests, whose calls come from there.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(Duration::from_millis(10), Duration::from_secs(60));
        self
    }

    /// How many calls may wait for their turn, for writing and for reading each: 1 at least, 1,024 by default. One more
    /// fails at once with [`StoreError::Unavailable`](crate::store::StoreError::Unavailable).
    pub fn with_queue(mut self, calls: usize) -> Self {
        self.queue = calls.max(1);
        self
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::new()
    }
}
