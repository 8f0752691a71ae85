//! How a server is used.

#[cfg(feature = "conformance")]
use std::sync::Arc;
#[cfg(feature = "conformance")]
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use super::time::ClockOffset;
use crate::config::defaults;

/// The longest time that a session may live or be remembered.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);

/// Settings of a [`RedisStore`](super::RedisStore), for applications that need other than the defaults.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_tower::store::StoreError> {
/// use auth_tower::RedisOptions;
///
/// let store = RedisOptions::new()
///     .with_prefix("shop:")
///     .with_replicas(1)
///     .connect("rediss://:password@cache.example.com")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisOptions {
    pub(super) prefix: String,
    pub(super) deadline: Duration,
    pub(super) queue: usize,
    pub(super) replicas: u32,
    pub(super) root_certificates: Option<Vec<u8>>,
    pub(super) retention: Duration,
    pub(super) clock_offset: ClockOffset,
}

impl RedisOptions {
    /// The prefix `auth:`, up to 1,024 waiting calls, no waiting for replicas, the system's root certificates.
    pub fn new() -> Self {
        Self {
            prefix: "auth:".to_owned(),
            deadline: defaults::STORE_DEADLINE,
            queue: 1_024,
            replicas: 0,
            root_certificates: None,
            retention: defaults::SESSION_RETENTION,
            clock_offset: ClockOffset::default(),
        }
    }

    /// What the name of every key begins with, `auth:` by default: at most 64 visible ASCII characters, and neither `{` nor
    /// `}`, which choose the slot in a cluster. Stores with different prefixes know nothing of each other. A `prefix` in the
    /// address (`redis://localhost?prefix=shop:`) comes before this one.
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a call may take that comes from outside of an [`Auth`](crate::Auth): for tests, whose calls come from there.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(Duration::from_millis(10), Duration::from_secs(60));
        self
    }

    /// How many calls may be under way at once: 1 at least, 1,024 by default. One more fails at once with
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable).
    pub fn with_queue(mut self, calls: usize) -> Self {
        self.queue = calls.clamp(1, 1_000_000);
        self
    }

    /// How many replicas must have a revocation before it is answered: none by default. A connection of its own waits for them.
    ///
    /// If fewer replicas have it within the deadline, the call fails with
    /// [`StoreError::Timeout`](crate::store::StoreError::Timeout). The revocation is in force on the primary and in the log all
    /// the same, and another call waits for the replicas again. See [`RedisStore`](super::RedisStore) for what this is good for.
    pub fn with_replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Trusts the certificates that these authorities (PEM) have signed, and no others, for `rediss://`.
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// How long sessions that are over are remembered until the first [`purge`](super::super::SessionStore::purge) sets another
    /// span: 24 h by default, 400 days at most. Redis is told with every write when it may forget the session.
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention.min(LONGEST);
        self
    }

    /// Adds `clock_offset` milliseconds to the server's clock, so that a test need not wait.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    pub fn with_shifted_clock(mut self, clock_offset: Arc<AtomicI64>) -> Self {
        self.clock_offset = ClockOffset::of(clock_offset);
        self
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self::new()
    }
}
