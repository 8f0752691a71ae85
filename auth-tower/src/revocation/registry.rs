//! What memory knows of revocations.
//!
//! An access token is good until it expires, unless its session was ended. Every instance follows the store's log of endings
//! and keeps those that could still matter, so the answer is a memory read. A warm token costs two atomic loads: the feed's
//! freshness, and the epoch at which the token was last found clean, which moves with every ending.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::Notify;

use super::watchers::Watchers;
use crate::clock::Timestamp;
use crate::id::{SessionId, SubjectKey};
use crate::session::SessionRecord;
use crate::store::feed::{RevocationEvent, Revoked};
use crate::token::verified::VerifiedToken;

/// What memory knows of a token's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Not revoked.
    Live,
    /// Revoked.
    Revoked,
    /// Only the store can tell, because the feed is not fresh.
    Stale,
    /// Only the store can tell, because all sessions of the subject were ended and this may be a later one.
    Unclear,
}

/// The revocations of the recent past.
#[derive(Debug)]
pub(crate) struct Revocations {
    ended: Cache<SessionId, ()>,
    /// The last revocation of all sessions of a subject that was taken in.
    cutoffs: Cache<SubjectKey, SubjectCutoff>,
    /// Sessions that the store said were live, with the version up to which cutoffs were already known when it was asked. Numbers and
    /// not times: a store's time is read before its commit, and clocks step.
    confirmed_live: Cache<SessionId, u64>,
    /// Sessions that the store said were live while the feed was stale; entries expire with the allowed staleness.
    looked_up: Cache<SessionId, ()>,
    pub(crate) watchers: Arc<Watchers>,
    epoch: AtomicU64,
    next_version: AtomicU64,
    fresh_until: AtomicI64,
    /// Told when the log was read to its end.
    read: Notify,
    /// Whether there is a log at all: an application may do without revocations.
    is_followed: bool,
    pub(crate) max_staleness: Duration,
}

#[derive(Debug, Clone, Copy)]
struct SubjectCutoff {
    number: u64,
    /// When, by the store's clock: of several, the last.
    at: Timestamp,
    /// What that last one left alone.
    excluded: Option<SessionId>,
    /// What every one left alone.
    keep: Option<SessionId>,
}

/// How far a store's clock may have gone back, as when another machine takes over.
const CLOCK_STEP: Duration = Duration::from_secs(60);

const FIRST_VERSION: u64 = 1;

/// How far this process had followed the revocation log before the store was asked; what the store then says is good as of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogVersion(u64);

impl Revocations {
    /// Remembers revocations for `memory`, which must be longer than any access token lives. There is no bound by number: an
    /// evicted one would bring its session back. An entry costs a sign-in to make and about 300 bytes to keep.
    pub(crate) fn new(memory: Duration, max_staleness: Duration) -> Self {
        Self {
            ended: Cache::builder().time_to_live(memory).build(),
            cutoffs: Cache::builder().time_to_live(memory).build(),
            // The newest first: under the default policy a full cache may turn a new entry away.
            confirmed_live: Cache::builder()
                .time_to_live(memory)
                .max_capacity(100_000)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            looked_up: Cache::builder()
                .time_to_live(max_staleness)
                .max_capacity(100_000)
                .build(),
            watchers: Arc::default(),
            epoch: AtomicU64::new(1),
            next_version: AtomicU64::new(FIRST_VERSION),
            fresh_until: AtomicI64::new(i64::MIN),
            read: Notify::new(),
            is_followed: true,
            max_staleness,
        }
    }

    /// Those of a service that follows no log: no session is known to have ended, and nothing is ever stale.
    pub(crate) fn none(max_staleness: Duration) -> Self {
        Self {
            is_followed: false,
            ..Self::new(Duration::ZERO, max_staleness)
        }
    }

    /// Whether the token's session is known to be over. No I/O.
    pub(crate) fn check(&self, token: &VerifiedToken, now: Timestamp) -> Liveness {
        // Read before the registry is: an ending that comes in between moves the epoch past what is stored here.
        let epoch = self.epoch.load(Ordering::Acquire);
        if token.checked.load(Ordering::Relaxed) != epoch {
            match self.registry(token.registered.session_id(), &token.subject_key) {
                Liveness::Live => token.checked.store(epoch, Ordering::Relaxed),
                other => return other,
            }
        }
        if self.is_fresh(now) || self.looked_up.contains_key(&token.registered.session_id()) {
            Liveness::Live
        } else {
            Liveness::Stale
        }
    }

    /// Whether memory knows of no ending that could be this session's, whatever the feed's freshness.
    pub(crate) fn knows_live(&self, session: SessionId, subject: &SubjectKey) -> bool {
        self.registry(session, subject) == Liveness::Live
    }

    /// Whether this very session is known to have been ended.
    pub(crate) fn has_ended(&self, session: SessionId) -> bool {
        self.ended.contains_key(&session)
    }

    /// What memory knows of a session, but for whether the feed is fresh.
    pub(crate) fn registry(&self, session: SessionId, subject: &SubjectKey) -> Liveness {
        if self.ended.contains_key(&session) {
            return Liveness::Revoked;
        }
        match self.cutoffs.get(subject) {
            None => Liveness::Live,
            Some(cut) if cut.keep == Some(session) => Liveness::Live,
            Some(cut)
                if self
                    .confirmed_live
                    .get(&session)
                    .is_some_and(|known| known > cut.number) =>
            {
                Liveness::Live
            }
            Some(_) => Liveness::Unclear,
        }
    }

    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        if !self.is_followed {
            return true;
        }
        let left = self.fresh_until.load(Ordering::Relaxed).saturating_sub(now.as_millis());
        // The upper bound keeps a clock that was set back from making an old feed look fresh.
        left > 0 && u64::try_from(left).is_ok_and(|left| u128::from(left) <= self.max_staleness.as_millis())
    }

    /// How long ago the feed was last read to its end, or `None` if it never was.
    pub(crate) fn feed_age(&self, now: Timestamp) -> Option<Duration> {
        let until = self.fresh_until.load(Ordering::Relaxed);
        (until != i64::MIN).then(|| now.since(Timestamp::from_millis(until) - self.max_staleness))
    }

    pub(crate) fn feed_read_at(&self) -> Timestamp {
        Timestamp::from_millis(self.fresh_until.load(Ordering::Relaxed)) - self.max_staleness
    }

    /// The feed was read to its end by a call that began at `now`.
    pub(crate) fn refreshed(&self, now: Timestamp) {
        self.fresh_until
            .store((now + self.max_staleness).as_millis(), Ordering::Relaxed);
        self.read.notify_waiters();
    }

    /// Waits until the log was read to its end for the first time, but no longer than `bound`.
    pub(crate) async fn first_read(&self, bound: Duration) {
        let waiting = async {
            loop {
                let read = self.read.notified();
                if self.fresh_until.load(Ordering::Relaxed) != i64::MIN {
                    return;
                }
                read.await;
            }
        };
        // Whether it came is asked again by who waits.
        let _ = tokio::time::timeout(bound, waiting).await;
    }

    /// Whether a token was issued after every revocation of all its subject's sessions that is known, by the second in which
    /// that was: what a service goes by that can ask no store.
    pub(crate) fn was_issued_since(&self, token: &VerifiedToken) -> bool {
        self.cutoffs
            .get(&token.subject_key)
            .is_none_or(|cutoff| token.registered.issued_at() > cutoff.at.as_secs())
    }

    /// Takes endings in. Idempotent, and monotone: nothing takes one out but its age.
    pub(crate) fn apply(&self, endings: &[RevocationEvent]) {
        if endings.is_empty() {
            return;
        }
        // Read before they are in, and after they were committed.
        let number = self.next_version.load(Ordering::Acquire);
        for ending in endings {
            match ending.what {
                Revoked::Session(session) => self.ended.insert(session, ()),
                Revoked::Subject { subject, keep } => {
                    let at = ending.at;
                    self.cutoffs
                        .entry(subject)
                        .and_upsert_with(|old| match old.map(|old| *old.value()) {
                            None => SubjectCutoff {
                                number,
                                at,
                                excluded: keep,
                                keep,
                            },
                            // The same one again, from the feed after it was made here.
                            Some(old) if (old.at, old.excluded) == (at, keep) => old,
                            Some(old) => SubjectCutoff {
                                number,
                                at: at.max(old.at),
                                excluded: if at >= old.at { keep } else { old.excluded },
                                // Two may arrive in either order, so only a session that both keep is known to go on.
                                keep: keep.filter(|_| old.keep == keep),
                            },
                        });
                }
            }
        }
        // After they are in: whoever reads a higher number asks a store that has committed them.
        self.next_version.fetch_add(1, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::Release);
        for ending in endings {
            match ending.what {
                Revoked::Session(session) => self.watchers.ended(session),
                Revoked::Subject { subject, .. } => self.watchers.queue_recheck(subject),
            }
        }
    }

    /// A session is known to be over, by the store's word or this process's deed.
    pub(crate) fn end(&self, session: SessionId) {
        self.ended.insert(session, ());
        self.epoch.fetch_add(1, Ordering::Release);
        self.watchers.ended(session);
    }

    /// To be taken before the store is asked about a session.
    pub(crate) fn log_version(&self) -> LogVersion {
        LogVersion(self.next_version.load(Ordering::Acquire))
    }

    /// The store, asked after `known` was taken, said that this session is live.
    ///
    /// It is believed, unless the session is so old that an ending of all of its subject's, remembered here, was its as well: then
    /// the store was restored from a backup, and what was ended stays so.
    pub(crate) fn reconcile(&self, record: &SessionRecord, known: LogVersion) {
        if known == LogVersion(FIRST_VERSION) {
            return;
        }
        let cut = self.cutoffs.get(&record.subject.key());
        let forgotten =
            |cut: &SubjectCutoff| cut.excluded != Some(record.id) && record.created_at + CLOCK_STEP < cut.at;
        if cut.as_ref().is_some_and(forgotten) {
            self.end(record.id);
        } else {
            self.confirm_live(record.id, known);
        }
    }

    /// This session is live by log_version of when `known` was taken: no ending known by then was its.
    pub(crate) fn confirm_live(&self, session: SessionId, known: LogVersion) {
        if known == LogVersion(FIRST_VERSION) {
            return;
        }
        self.confirmed_live.entry(session).and_upsert_with(|old| match old {
            Some(old) => (*old.value()).max(known.0),
            None => known.0,
        });
    }

    /// The store said just now that this session is live; good for the allowed staleness.
    pub(crate) fn looked_up(&self, session: SessionId) {
        self.looked_up.insert(session, ());
    }
}
