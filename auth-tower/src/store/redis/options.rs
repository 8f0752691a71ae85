//! How a server is reached and used.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::error::refuse;
use super::{RedisStore, address, open};
use crate::config::defaults;
use crate::store::error::StoreError;
use crate::store::session::Retention;

/// Settings of a [`RedisStore`], for those who need other than the defaults.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_tower::store::StoreError> {
/// use auth_tower::RedisOptions;
/// use std::time::Duration;
///
/// let store = RedisOptions::new()
///     .with_prefix("shop:")
///     .with_deadline(Duration::from_millis(500))
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
    /// The prefix `auth:`, a deadline of 2 s, up to 1,024 waiting calls, no waiting for replicas, the system's root
    /// certificates.
    pub fn new() -> Self {
        Self {
            prefix: "auth:".to_owned(),
            deadline: Duration::from_secs(2),
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

    /// How long a call may take before it is given up: 10 ms at least, 60 s at most, 2 s by default. The server may
    /// nevertheless have done what it was asked.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(Duration::from_millis(10), Duration::from_secs(60));
        self
    }

    /// How many calls may be under way at once: 1 at least, 1,024 by default. One more fails at once with
    /// [`StoreError::Unavailable`].
    pub fn with_queue(mut self, calls: usize) -> Self {
        self.queue = calls.clamp(1, 1_000_000);
        self
    }

    /// How many replicas must have an ending before it is answered: none by default. They are waited for on a connection of
    /// its own.
    ///
    /// If fewer have it within the deadline, the call fails with [`StoreError::Timeout`]; the ending is in force on the
    /// primary and in the log all the same, and asking again waits for the replicas again. See [`RedisStore`] for what this
    /// is good for.
    pub fn with_replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Trusts the certificates that these authorities (PEM) have signed, and no others, for `rediss://`.
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// For how long sessions that are over are remembered until the first [`purge`](super::super::SessionStore::purge) says
    /// otherwise, as Redis is told with every write when it may forget: 24 h by default, 400 days at most.
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention.min(LONGEST);
        self
    }

    /// Adds to the server's clock what `clock_offset` says, so that a test need not wait.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    pub fn with_shifted_clock(mut self, clock_offset: Arc<AtomicI64>) -> Self {
        self.clock_offset = ClockOffset(Some(clock_offset));
        self
    }

    /// Opens the store; see [`RedisStore::connect`].
    ///
    /// # Errors
    /// As [`RedisStore::connect`].
    pub async fn connect(mut self, address: impl AsRef<str>) -> Result<RedisStore, StoreError> {
        let location = address::parse(address.as_ref())?;
        self.prefix = address::prefix(location.prefix.as_deref().unwrap_or(&self.prefix))?;
        if self.root_certificates.is_some() && !location.is_tls {
            return Err(refuse(
                "root certificates are for rediss:// and rediss+cluster://",
                None,
            ));
        }
        open::open(location, self).await
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The longest time that a session may live or be remembered.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);

/// Milliseconds that are added to the server's clock. None but tests have any.
#[derive(Debug, Clone, Default)]
pub(super) struct ClockOffset(Option<Arc<AtomicI64>>);

impl ClockOffset {
    pub(super) fn millis(&self) -> i64 {
        self.0
            .as_ref()
            .map_or(0, |clock_offset| clock_offset.load(Ordering::SeqCst))
    }
}

/// For how long sessions that are over are remembered, as the last purge said.
#[derive(Debug)]
pub(super) struct Remembered(AtomicU64);

impl Remembered {
    pub(super) fn new(retention: Duration) -> Self {
        Self(AtomicU64::new(millis(retention)))
    }

    pub(super) fn set(&self, retention: Retention) {
        self.0.store(millis(retention.sessions), Ordering::Relaxed);
    }

    pub(super) fn millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whole milliseconds, no more than the scripts can reckon with.
pub(super) fn millis(duration: Duration) -> u64 {
    const FAR: u64 = 1 << 46;
    u64::try_from(duration.as_millis()).map_or(FAR, |millis| millis.min(FAR))
}
