//! What stands between the engine and its store: a deadline, a bound on waiting calls, and a circuit breaker.
//!
//! The guard's deadline is the only one: a store has none of its own beneath it, but reads this one (see
//! [`deadline`](super::deadline())).
//!
//! A store that hangs is worse than one that is gone: every request would wait for the whole deadline, and requests would pile
//! up behind it. So once enough calls in a row have failed, further calls fail at once, except for a few probes. The first
//! call that succeeds, of a request or of the feed, closes the circuit again.

#![expect(
    clippy::disallowed_methods,
    reason = "deadlines and pauses of calls, which no record is dated by"
)]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::deadline::with_deadline;
use super::error::StoreError;
use super::feed::RevocationPage;
use super::session::{Advanced, AllEnded, Found};
use crate::clock::Timestamp;
use crate::clock::synced::SharedClock;
use crate::events::metrics;
use crate::session::SessionRecord;

/// The most calls that wait for the store at once. A healthy store answers this many within a second.
const MOST_WAITING: usize = 8_192;

/// This many failures in a row are an outage. A cluster that has lost one of three primaries stays below it.
const OUTAGE: u32 = 16;

/// How often a request may find out whether an outage is over.
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// Guards the calls of one store for one engine.
#[derive(Debug)]
pub(crate) struct StoreGuard {
    deadline: Duration,
    clock: Arc<SharedClock>,
    waiting: AtomicUsize,
    failed: AtomicU32,
    next_probe: Mutex<Option<Instant>>,
}

/// An answer that may say what time it is at the store.
pub(crate) trait Answer {
    fn store_now(&self) -> Option<Timestamp>;
}

impl StoreGuard {
    pub(crate) fn new(deadline: Duration, clock: Arc<SharedClock>) -> Self {
        Self {
            deadline,
            clock,
            waiting: AtomicUsize::new(0),
            failed: AtomicU32::new(0),
            next_probe: Mutex::new(None),
        }
    }

    /// Asks the store for a request.
    pub(crate) async fn ask<T: Answer>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let permit = Permit::take(&self.waiting);
        if permit.number > MOST_WAITING {
            metrics::store_refused();
            return Err(StoreError::unavailable("too many calls wait for it"));
        }
        if self.circuit_open() && !self.may_probe() {
            metrics::store_refused();
            return Err(StoreError::unavailable("it has not answered for a while"));
        }
        let answer = self.within(self.deadline, call).await;
        if let Err(error) = &answer {
            tracing::warn!(target: "auth", error = error as &(dyn Error + 'static), "the session store failed");
        }
        answer
    }

    /// Asks the store for a task that repeats itself and therefore is its own probe.
    ///
    /// `bound` is when the call is given up: longer than the deadline where the call also waits for news.
    pub(crate) async fn within<T: Answer>(
        &self,
        bound: Duration,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let asked = self.clock.asking();
        let answer = tokio::time::timeout(bound, with_deadline(self.deadline, call))
            .await
            .unwrap_or(Err(StoreError::Timeout));
        match &answer {
            Ok(answer) => {
                if let Some(now) = answer.store_now() {
                    self.clock.observe(asked, now);
                }
                self.answered();
            }
            Err(StoreError::Timeout | StoreError::Unavailable(_)) => self.failed(),
            // A store that refuses has answered.
            Err(StoreError::Full | StoreError::Corrupt(_) | StoreError::Open { .. }) => self.answered(),
        }
        answer
    }

    /// Whether the store has failed so often in a row that calls no longer wait for it.
    pub(crate) fn circuit_open(&self) -> bool {
        self.failed.load(Ordering::Relaxed) >= OUTAGE
    }

    fn may_probe(&self) -> bool {
        let now = Instant::now();
        let mut next = self.next_probe.lock();
        let due = next.is_none_or(|next| now >= next);
        if due {
            *next = Some(now + PROBE_EVERY);
        }
        due
    }

    fn answered(&self) {
        if self.failed.load(Ordering::Relaxed) != 0 && self.failed.swap(0, Ordering::Relaxed) >= OUTAGE {
            tracing::warn!(target: "auth", "the session store answers again");
        }
    }

    fn failed(&self) {
        metrics::store_failed();
        let before = self
            .failed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |failed| {
                Some(failed.saturating_add(1))
            });
        if self.circuit_open() {
            // The next probe comes a moment after one that has failed.
            *self.next_probe.lock() = Some(Instant::now() + PROBE_EVERY);
        }
        if before == Ok(OUTAGE - 1) {
            tracing::error!(
                target: "auth",
                "the session store does not answer; calls are refused at once until it does"
            );
        }
    }
}

/// The cause of an error as the driver told it; our own errors carry no secret, and neither do the drivers'.
pub(crate) fn error_source(error: &(dyn Error + 'static)) -> Option<String> {
    error.source().map(ToString::to_string)
}

/// A call's place among those that wait, given back when the call is dropped.
struct Permit<'a> {
    waiting: &'a AtomicUsize,
    number: usize,
}

impl<'a> Permit<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        let number = waiting.fetch_add(1, Ordering::Relaxed) + 1;
        Self { waiting, number }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Answer for Option<Found> {
    fn store_now(&self) -> Option<Timestamp> {
        self.as_ref().map(|found| found.now)
    }
}

impl Answer for Option<Advanced> {
    fn store_now(&self) -> Option<Timestamp> {
        self.as_ref().map(|advanced| advanced.now)
    }
}

/// A session that has just begun.
impl Answer for SessionRecord {
    fn store_now(&self) -> Option<Timestamp> {
        Some(self.created_at)
    }
}

impl Answer for AllEnded {
    fn store_now(&self) -> Option<Timestamp> {
        Some(self.at)
    }
}

impl Answer for RevocationPage {
    fn store_now(&self) -> Option<Timestamp> {
        Some(self.now)
    }
}

impl Answer for Vec<SessionRecord> {
    fn store_now(&self) -> Option<Timestamp> {
        None
    }
}

impl Answer for () {
    fn store_now(&self) -> Option<Timestamp> {
        None
    }
}

/// The number of rows that were removed.
impl Answer for u64 {
    fn store_now(&self) -> Option<Timestamp> {
        None
    }
}
