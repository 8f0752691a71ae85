//! Asking the store on behalf of those who watch: one task, whatever their number.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::StreamExt as _;
use futures_util::{FutureExt as _, stream};

use super::registry::Revocations;
use super::watchers::{Key, OutageTolerance, RETRY, SessionStatus};
use crate::clock::synced::SharedClock;
use crate::id::SessionId;
use crate::store::StoreError;
use crate::store::erased::ErasedStore;
use crate::store::guard::StoreGuard;

/// How many look-ups are under way at once: requests come first.
const AT_ONCE: usize = 32;

/// Asks about sessions on behalf of the connections that watch them.
pub(crate) struct LivenessPoller {
    /// Whom to ask; a service without a store hears of revocations from the feed alone.
    pub(crate) store: Option<(Arc<StoreGuard>, Arc<dyn ErasedStore>)>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) clock: Arc<SharedClock>,
    pub(crate) access_lifetime: Duration,
}

impl LivenessPoller {
    /// Keeps the watchers informed, until the task is aborted.
    pub(crate) async fn run(self) {
        join(self.poll_deadlines(), self.recheck()).await;
    }

    /// Deadlines, and everything while the feed is not fresh.
    async fn poll_deadlines(&self) {
        let watchers = &self.revocations.watchers;
        let max_staleness = self.revocations.max_staleness;
        let pulse = RETRY.min(max_staleness / 4);
        loop {
            while watchers.is_empty() {
                watchers.arrived.notified().await;
            }
            let next = watchers.next_due(self.clock.now()).unwrap_or(pulse);
            // A clock may step, so no deadline is slept through to its end.
            tokio::time::sleep(next.clamp(Duration::from_millis(10), pulse)).await;
            let now = self.clock.now();
            let stale = (!self.revocations.is_fresh(now)).then_some(max_staleness);
            let due = watchers.take_due(now, stale);
            self.ask_all(due, |key, status| {
                watchers.record_status(
                    key,
                    status,
                    self.clock.now(),
                    self.revocations.outage_tolerance(self.access_lifetime),
                );
            })
            .await;
        }
    }

    /// Sessions whose subject had all of them ended: most of them are over.
    async fn recheck(&self) {
        let watchers = &self.revocations.watchers;
        loop {
            watchers.recheck_queued.notified().await;
            let queued = watchers.take_recheck_queue().into_iter();
            let unclear = queued.filter(|(key, subject)| !self.revocations.knows_live(key.0, subject));
            self.ask_all(unclear.map(|(key, _)| key).collect(), |key, status| match status {
                // As for a token: an outage does not open again what an ending may well cover.
                SessionStatus::Unknown | SessionStatus::Unreachable => watchers.give_up(key),
                status => watchers.record_status(
                    key,
                    status,
                    self.clock.now(),
                    self.revocations.outage_tolerance(self.access_lifetime),
                ),
            })
            .await;
        }
    }

    /// Asks about every one of them, unless the store turns out to be unreachable: that is heard once, for all.
    async fn ask_all(&self, keys: Vec<Key>, record_status: impl Fn(Key, SessionStatus)) {
        let unreachable = AtomicBool::new(false);
        let (unreachable, record_status) = (&unreachable, &record_status);
        stream::iter(keys)
            .for_each_concurrent(AT_ONCE, |key| async move {
                if unreachable.load(Ordering::Relaxed) {
                    return record_status(key, SessionStatus::Unreachable);
                }
                let asked = self.ask(key.0);
                // A store that panics must not leave all others unheard.
                let status = AssertUnwindSafe(asked)
                    .catch_unwind()
                    .await
                    .unwrap_or(SessionStatus::Unknown);
                if status == SessionStatus::Unreachable {
                    unreachable.store(true, Ordering::Relaxed);
                }
                record_status(key, status);
            })
            .await;
    }
}

impl LivenessPoller {
    async fn ask(&self, session: SessionId) -> SessionStatus {
        match &self.store {
            Some((guard, store)) => self.revocations.ask(guard, &**store, session).await,
            None => SessionStatus::Unreachable,
        }
    }
}

impl Revocations {
    /// Asks the store whether a session lives, and takes in what it says.
    pub(crate) async fn ask(&self, guard: &StoreGuard, store: &dyn ErasedStore, session: SessionId) -> SessionStatus {
        let known = self.log_version();
        match guard.ask(store.find(session)).await {
            Ok(Some(found)) if found.record.ended.is_none() => {
                self.reconcile(&found.record, known);
                if self.has_ended(session) {
                    return SessionStatus::Revoked;
                }
                self.looked_up(session);
                match found.record.status(found.now) {
                    None => SessionStatus::Live {
                        left: found.record.expires_at().since(found.now),
                        absolute_left: found.record.absolute_expires_at.since(found.now),
                    },
                    Some(_) => SessionStatus::Expired,
                }
            }
            // A session that the store does not know was purged long after its end, or was lost with the store.
            Ok(_) => {
                self.end(session);
                SessionStatus::Revoked
            }
            Err(StoreError::Unavailable(_) | StoreError::Timeout) => SessionStatus::Unreachable,
            Err(StoreError::Full | StoreError::Corrupt(_) | StoreError::Open { .. }) => SessionStatus::Unknown,
        }
    }

    pub(crate) fn outage_tolerance(&self, access_lifetime: Duration) -> OutageTolerance {
        OutageTolerance {
            access_lifetime,
            feed_read_at: self.feed_read_at(),
        }
    }
}
