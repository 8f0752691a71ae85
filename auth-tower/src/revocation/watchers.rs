//! Who wants to hear of a session's end: the registry of long-lived connections. No I/O, no clock.
//!
//! Nobody is woken but those whose session it is, and what nobody watches any more is forgotten at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::config::OnOutage;
use crate::id::{SessionId, SubjectKey};

/// Watchers of one session that bear an outage differently hear of its end at different times.
pub(crate) type Key = (SessionId, OnOutage);

/// How soon the store is asked again after it could not tell.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// The sessions that are watched.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    state: Mutex<State>,
    /// Somebody watches, after nobody did.
    pub(crate) arrived: Notify,
    /// A session is in doubt, because all of its subject's were ended.
    pub(crate) recheck_queued: Notify,
}

#[derive(Debug, Default)]
struct State {
    watched: BTreeMap<Key, Slot>,
    by_subject: BTreeSet<(SubjectKey, Key)>,
    /// When the store is to be asked next.
    due: BTreeSet<(Timestamp, Key)>,
    recheck_queue: BTreeSet<Key>,
    last_poll: Option<Timestamp>,
}

#[derive(Debug)]
struct Slot {
    signal: Arc<Signal>,
    guards: usize,
    subject: SubjectKey,
    lease: ConfirmedLiveness,
    confirmed: bool,
    asked: Timestamp,
    next: Timestamp,
}

/// Set once, and heard by every watcher of one session.
#[derive(Debug, Default)]
struct Signal {
    over: AtomicBool,
    heard: Notify,
}

/// What is known of a session's time, on this process's clock.
#[derive(Debug, Clone, Copy)]
struct ConfirmedLiveness {
    /// When it was last known to live, by the store or by a token.
    confirmed: Timestamp,
    /// When it lapses, unless somebody refreshed it.
    deadline: Timestamp,
    /// When it lapses whatever happens.
    absolute: Timestamp,
}

impl ConfirmedLiveness {
    /// Until nothing is known but a token that expires at `expires_at`, its session lives as long as the token would.
    fn of_token(expires_at: Timestamp, access_lifetime: Duration) -> Self {
        let issued = expires_at - access_lifetime;
        Self {
            confirmed: issued,
            deadline: issued,
            absolute: expires_at,
        }
    }

    /// Whether a session that the store can tell nothing about counts as over at `now`.
    fn given_up(&self, on_outage: OnOutage, now: Timestamp, tolerance: OutageTolerance) -> bool {
        match on_outage {
            OnOutage::Refuse => true,
            OnOutage::Accept => {
                // The feed tells of endings and not of lapses, so it vouches up to the deadline.
                let live = self.confirmed.max(tolerance.feed_read_at.min(self.deadline));
                now >= self.absolute || now >= live + tolerance.access_lifetime
            }
        }
    }
}

/// For how long an outage is borne.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutageTolerance {
    pub(crate) access_lifetime: Duration,
    /// When the feed was last read to its end.
    pub(crate) feed_read_at: Timestamp,
}

/// The store's word on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionStatus {
    /// It lives, for this long unless it is refreshed, and for this long at most.
    Live { left: Duration, absolute_left: Duration },
    /// It was ended, or the store does not know it.
    Revoked,
    /// Its time has passed.
    Expired,
    /// The store could not tell this session's state.
    Unknown,
    /// The store cannot be asked about any session now.
    Unreachable,
}

/// One watcher. Its session is forgotten with the last of them.
#[derive(Debug)]
pub(crate) struct WatchGuard {
    watchers: Arc<Watchers>,
    key: Key,
    signal: Arc<Signal>,
}

impl WatchGuard {
    pub(crate) fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn is_over(&self) -> bool {
        self.signal.over.load(Ordering::Acquire)
    }

    pub(crate) async fn over(&self) {
        let heard = self.signal.heard.notified();
        tokio::pin!(heard);
        // Listening begins before the look, so that nothing falls in between.
        heard.as_mut().enable();
        if !self.is_over() {
            heard.await;
        }
    }
}

impl Drop for WatchGuard {
    fn drop(&mut self) {
        let mut state = self.watchers.state.lock();
        // A session that was over is gone from the registry already, and a later slot of its name is not this ticket's.
        let last = state.watched.get_mut(&self.key).is_some_and(|slot| {
            if !Arc::ptr_eq(&slot.signal, &self.signal) {
                return false;
            }
            slot.guards = slot.guards.saturating_sub(1);
            slot.guards == 0
        });
        if last {
            state.remove(self.key);
        }
    }
}

impl State {
    fn remove(&mut self, key: Key) -> Option<Arc<Signal>> {
        let slot = self.watched.remove(&key)?;
        self.by_subject.remove(&(slot.subject, key));
        self.due.remove(&(slot.next, key));
        self.recheck_queue.remove(&key);
        Some(slot.signal)
    }

    fn ask_at(&mut self, key: Key, at: Timestamp) {
        if let Some(slot) = self.watched.get_mut(&key) {
            self.due.remove(&(slot.next, key));
            slot.next = at;
            self.due.insert((at, key));
        }
    }
}

fn tell(signals: impl IntoIterator<Item = Arc<Signal>>) {
    for signal in signals {
        signal.over.store(true, Ordering::Release);
        signal.heard.notify_waiters();
    }
}

impl Watchers {
    /// Watches the session of a token that was accepted just now. Also whether the store's word on it is known.
    pub(crate) fn enter(
        self: &Arc<Self>,
        key: Key,
        subject: SubjectKey,
        expires_at: Timestamp,
        access_lifetime: Duration,
        now: Timestamp,
    ) -> (WatchGuard, bool) {
        let mut state = self.state.lock();
        if state.watched.is_empty() {
            self.arrived.notify_one();
        }
        let slot = state.watched.entry(key).or_insert_with(|| Slot {
            signal: Arc::default(),
            guards: 0,
            subject,
            lease: ConfirmedLiveness::of_token(expires_at, access_lifetime),
            confirmed: false,
            asked: now,
            next: now + RETRY,
        });
        slot.guards += 1;
        let ticket = WatchGuard {
            watchers: self.clone(),
            key,
            signal: slot.signal.clone(),
        };
        let (next, confirmed) = (slot.next, slot.confirmed);
        state.by_subject.insert((subject, key));
        state.due.insert((next, key));
        (ticket, confirmed)
    }

    /// A session was ended.
    pub(crate) fn ended(&self, session: SessionId) {
        let mut state = self.state.lock();
        let signals = [OnOutage::Accept, OnOutage::Refuse].map(|on_outage| state.remove((session, on_outage)));
        drop(state);
        tell(signals.into_iter().flatten());
    }

    /// All of a subject's sessions were ended, but perhaps one, and only the store knows which began later.
    pub(crate) fn queue_recheck(&self, subject: SubjectKey) {
        let mut state = self.state.lock();
        let State {
            by_subject,
            recheck_queue,
            ..
        } = &mut *state;
        let first = (subject, (SessionId::MIN, OnOutage::Accept));
        let of_subject = by_subject.range(first..).take_while(|(other, _)| *other == subject);
        recheck_queue.extend(of_subject.map(|(_, key)| *key));
        if !recheck_queue.is_empty() {
            self.recheck_queued.notify_one();
        }
    }

    /// The sessions in doubt, each once.
    pub(crate) fn take_recheck_queue(&self) -> Vec<(Key, SubjectKey)> {
        let mut state = self.state.lock();
        let recheck_queue = std::mem::take(&mut state.recheck_queue);
        let known = |key: Key| state.watched.get(&key).map(|slot| (key, slot.subject));
        recheck_queue.into_iter().filter_map(known).collect()
    }

    /// The sessions that the store is to be asked about at `now`: those whose deadline has come, and without a fresh feed
    /// (`stale` is the allowed staleness) all that nothing was heard of for that long.
    pub(crate) fn take_due(&self, now: Timestamp, stale: Option<Duration>) -> Vec<Key> {
        let mut state = self.state.lock();
        // After a clock was set back no deadline on it means anything.
        let set_back = state.last_poll.replace(now).is_some_and(|last| now + RETRY < last);
        let due: Vec<Key> = if set_back || stale.is_some() {
            let is_due = |slot: &Slot| {
                set_back || slot.next <= now || stale.is_some_and(|stale| now.distance(slot.asked) >= stale)
            };
            let watched = state.watched.iter();
            watched.filter(|(_, slot)| is_due(slot)).map(|(key, _)| *key).collect()
        } else {
            let due = state.due.iter().take_while(|(at, _)| *at <= now);
            due.map(|(_, key)| *key).collect()
        };
        for key in &due {
            if let Some(slot) = state.watched.get_mut(key) {
                slot.asked = now;
            }
            state.ask_at(*key, now + RETRY);
        }
        due
    }

    /// How long until the next deadline.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<Duration> {
        self.state.lock().due.first().map(|(at, _)| at.since(now))
    }

    /// Takes in the store's word on a session.
    pub(crate) fn record_status(&self, key: Key, status: SessionStatus, now: Timestamp, tolerance: OutageTolerance) {
        let mut state = self.state.lock();
        let over = match status {
            SessionStatus::Live { left, absolute_left } => {
                if let Some(slot) = state.watched.get_mut(&key) {
                    (slot.asked, slot.confirmed) = (now, true);
                    slot.lease = ConfirmedLiveness {
                        confirmed: now,
                        deadline: now + left,
                        absolute: now + absolute_left,
                    };
                    state.ask_at(key, now + left);
                }
                false
            }
            SessionStatus::Revoked | SessionStatus::Expired => true,
            SessionStatus::Unknown | SessionStatus::Unreachable => state
                .watched
                .get(&key)
                .is_some_and(|slot| slot.lease.given_up(key.1, now, tolerance)),
        };
        let signal = if over { state.remove(key) } else { None };
        drop(state);
        tell(signal);
    }

    /// A session counts as over whatever is known of it.
    pub(crate) fn give_up(&self, key: Key) {
        let signal = self.state.lock().remove(key);
        tell(signal);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().watched.is_empty()
    }
}

#[cfg(test)]
mod tests;
