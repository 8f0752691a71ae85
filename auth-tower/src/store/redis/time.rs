//! Spans and moments as the scripts reckon with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::store::session::Retention;

/// Milliseconds that are added to the server's clock. Only tests have any.
#[derive(Debug, Clone, Default)]
pub(super) struct ClockOffset(Option<Arc<AtomicI64>>);

impl ClockOffset {
    #[cfg(feature = "conformance")]
    pub(super) fn of(millis: Arc<AtomicI64>) -> Self {
        Self(Some(millis))
    }

    pub(super) fn millis(&self) -> i64 {
        self.0.as_ref().map_or(0, |millis| millis.load(Ordering::SeqCst))
    }
}

/// How long sessions that are over are remembered, as the last purge was told.
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
