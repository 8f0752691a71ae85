//! The sessions of the subjects that route to one lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock::Timestamp;
use crate::id::{SessionId, SubjectKey};
use crate::session::{EndReason, SessionRecord};
use crate::store::session::{Acknowledgement, Advance};

const FIRST_ID: SessionId = SessionId::from_bytes([0; 18]);
const LAST_ID: SessionId = SessionId::from_bytes([0xff; 18]);

/// Where a subject's sessions lie in a shard's index, oldest first.
type Place = (SubjectKey, Timestamp, SessionId);

/// Sessions, and the orders they are looked up in.
///
/// Every session stands in exactly one of two queues: in `due` under a moment no later than its deadline while it is
/// thought to live, in `graves` under the moment it was over once that was noticed. A rotation moves the deadline without
/// touching `due`; a look that finds the session there too early puts it back.
#[derive(Default)]
pub(super) struct Shard {
    /// Boxed, because a table of large values wastes up to half of its memory.
    sessions: HashMap<SessionId, Box<Entry>>,
    by_subject: BTreeSet<Place>,
    subjects: HashMap<SubjectKey, Standing>,
    due: BTreeSet<(Timestamp, SessionId)>,
    graves: BTreeSet<(Timestamp, SessionId)>,
    /// When an epoch was left, by the epoch that followed it; kept while sessions of an earlier one are.
    left: BTreeMap<(SubjectKey, u64), Timestamp>,
    left_by_time: BTreeSet<(Timestamp, SubjectKey, u64)>,
}

struct Entry {
    record: SessionRecord,
    subject: SubjectKey,
    epoch: u64,
    /// Its moment in the queue that it stands in.
    queued_at: Timestamp,
    buried: bool,
}

/// What is known of a subject while it has sessions here.
#[derive(Default)]
struct Standing {
    epoch: u64,
    /// Sessions of this epoch that are neither ended nor noticed to have expired.
    live: usize,
    rows: usize,
}

impl Shard {
    /// Adds a session to its subject's present epoch, unless the id is taken.
    pub(super) fn insert(&mut self, subject: SubjectKey, record: SessionRecord) -> bool {
        let id = record.id;
        if self.sessions.contains_key(&id) {
            return false;
        }
        let queued_at = record.expires_at();
        let standing = self.subjects.entry(subject).or_default();
        standing.live += 1;
        standing.rows += 1;
        self.by_subject.insert((subject, record.created_at, id));
        self.due.insert((queued_at, id));
        let entry = Entry {
            record,
            subject,
            epoch: standing.epoch,
            queued_at,
            buried: false,
        };
        self.sessions.insert(id, Box::new(entry));
        true
    }

    pub(super) fn find(&self, id: &SessionId) -> Option<SessionRecord> {
        self.sessions.get(id).map(|entry| self.view(entry))
    }

    pub(super) fn is_live_of(&self, id: &SessionId, subject: &SubjectKey, now: Timestamp) -> bool {
        self.sessions
            .get(id)
            .is_some_and(|entry| entry.subject == *subject && self.is_live(entry, now))
    }

    /// The record before the step, and whether it was taken.
    pub(super) fn advance(&mut self, id: &SessionId, step: &Advance, now: Timestamp) -> Option<(SessionRecord, bool)> {
        let before = self.find(id)?;
        let taken = step.allowed(&before, now);
        if taken && let Some(entry) = self.sessions.get_mut(id) {
            step.apply(&mut entry.record, now);
            let expires_at = entry.record.expires_at();
            if entry.buried {
                // Noticed as expired, and then the clock was set back.
                self.graves.remove(&(entry.queued_at, *id));
                self.due.insert((expires_at, *id));
                entry.queued_at = expires_at;
                entry.buried = false;
                if let Some(standing) = self.subjects.get_mut(&entry.subject) {
                    standing.live += 1;
                }
            } else if expires_at < entry.queued_at {
                self.due.remove(&(entry.queued_at, *id));
                self.due.insert((expires_at, *id));
                entry.queued_at = expires_at;
            }
        }
        Some((before, taken))
    }

    pub(super) fn acknowledge(&mut self, acknowledgement: &Acknowledgement, now: Timestamp) {
        let live = self
            .sessions
            .get(&acknowledgement.id)
            .is_some_and(|entry| self.is_live(entry, now));
        if live
            && let Some(entry) = self.sessions.get_mut(&acknowledgement.id)
            && entry.record.rotation.current == acknowledgement.generation
            && !entry.record.rotation.seen
        {
            entry.record.rotation.seen = true;
            entry.record.last_seen_at = now;
        }
    }

    /// The record before, and whether this call ended it.
    pub(super) fn end(&mut self, id: &SessionId, reason: EndReason, now: Timestamp) -> Option<(SessionRecord, bool)> {
        let before = self.find(id)?;
        if before.status(now).is_some() {
            return Some((before, false));
        }
        if let Some(entry) = self.sessions.get_mut(id) {
            entry.record.ended = Some(reason);
        }
        self.bury(id, now);
        Some((before, true))
    }

    /// Leaves the subject's epoch for `epoch`, taking only `keep` along. Returns how many live sessions stayed behind.
    pub(super) fn end_all(&mut self, subject: SubjectKey, keep: Option<SessionId>, epoch: u64, now: Timestamp) -> u64 {
        self.settle(now, usize::MAX);
        let Some(standing) = self.subjects.get_mut(&subject) else {
            return 0;
        };
        let kept = usize::from(keep.is_some());
        let ended = standing.live.saturating_sub(kept);
        standing.epoch = epoch;
        standing.live = kept;
        if let Some(entry) = keep.and_then(|id| self.sessions.get_mut(&id)) {
            entry.epoch = epoch;
        }
        self.left.insert((subject, epoch), now);
        self.left_by_time.insert((now, subject, epoch));
        u64::try_from(ended).unwrap_or(u64::MAX)
    }

    pub(super) fn list(&self, subject: &SubjectKey, limit: usize, now: Timestamp) -> Vec<SessionRecord> {
        let first = (*subject, Timestamp::from_millis(i64::MIN), FIRST_ID);
        let last = (*subject, Timestamp::from_millis(i64::MAX), LAST_ID);
        let mut newest: Vec<SessionRecord> = self
            .by_subject
            .range(first..=last)
            .rev()
            .filter_map(|(_, _, id)| self.sessions.get(id))
            .filter(|entry| self.is_live(entry, now))
            .take(limit)
            .map(|entry| entry.record.clone())
            .collect();
        newest.reverse();
        newest
    }

    /// Forgets at most `budget` sessions that were over before `cutoff`. Also says whether there may be more.
    pub(super) fn purge(&mut self, now: Timestamp, cutoff: Timestamp, budget: usize) -> (usize, bool) {
        let unsettled = self.settle(now, budget);
        let mut removed = 0;
        while removed < budget
            && let Some((at, id)) = self.graves.first().copied()
            && at < cutoff
        {
            self.remove(&id);
            removed += 1;
        }
        while removed < budget
            && let Some((at, subject, epoch)) = self.left_by_time.first().copied()
            && at < cutoff
        {
            let first = (subject, Timestamp::from_millis(i64::MIN), FIRST_ID);
            let room = budget - removed;
            let behind: Vec<SessionId> = self
                .by_subject
                .range(first..=(subject, at, LAST_ID))
                .filter(|(_, _, id)| self.sessions.get(id).is_some_and(|entry| entry.epoch < epoch))
                .map(|(_, _, id)| *id)
                .take(room)
                .collect();
            for id in &behind {
                self.remove(id);
            }
            removed += behind.len();
            if behind.len() < room {
                self.left.remove(&(subject, epoch));
                self.left_by_time.remove(&(at, subject, epoch));
            }
        }
        if self.sessions.len() < self.sessions.capacity() / 8 {
            self.sessions.shrink_to_fit();
            self.subjects.shrink_to_fit();
        }
        (removed, unsettled || removed == budget)
    }

    /// Looks at no more than `limit` sessions whose moment in `due` has come. Says whether some are left.
    fn settle(&mut self, now: Timestamp, limit: usize) -> bool {
        for _ in 0..limit {
            let Some((at, id)) = self.due.first().copied() else {
                return false;
            };
            if at > now {
                return false;
            }
            let Some(entry) = self.sessions.get_mut(&id) else {
                self.due.remove(&(at, id));
                continue;
            };
            let expires_at = entry.record.expires_at();
            let epoch = self.subjects.get(&entry.subject).map_or(0, |standing| standing.epoch);
            if entry.epoch < epoch {
                let left_at = self
                    .left
                    .range((entry.subject, entry.epoch.saturating_add(1))..=(entry.subject, u64::MAX))
                    .next()
                    .map_or(expires_at, |(_, at)| *at);
                self.bury(&id, left_at);
            } else if expires_at <= now {
                self.bury(&id, expires_at);
            } else {
                self.due.remove(&(at, id));
                self.due.insert((expires_at, id));
                entry.queued_at = expires_at;
            }
        }
        true
    }

    /// Notes that a session is over since `at`.
    fn bury(&mut self, id: &SessionId, at: Timestamp) {
        let Some(entry) = self.sessions.get_mut(id) else {
            return;
        };
        if entry.buried {
            self.graves.remove(&(entry.queued_at, *id));
        } else {
            self.due.remove(&(entry.queued_at, *id));
            if let Some(standing) = self.subjects.get_mut(&entry.subject)
                && entry.epoch >= standing.epoch
            {
                standing.live = standing.live.saturating_sub(1);
            }
        }
        self.graves.insert((at, *id));
        entry.queued_at = at;
        entry.buried = true;
    }

    fn remove(&mut self, id: &SessionId) {
        if let Some(entry) = self.sessions.get(id) {
            // Keeps the count of live ones right for a session that was not noticed to be over.
            self.bury(id, entry.queued_at);
        }
        let Some(entry) = self.sessions.remove(id) else {
            return;
        };
        self.graves.remove(&(entry.queued_at, *id));
        self.by_subject.remove(&(entry.subject, entry.record.created_at, *id));
        let Some(standing) = self.subjects.get_mut(&entry.subject) else {
            return;
        };
        standing.rows = standing.rows.saturating_sub(1);
        if standing.rows == 0 {
            self.subjects.remove(&entry.subject);
            let epochs: Vec<_> = self
                .left
                .range((entry.subject, 0)..=(entry.subject, u64::MAX))
                .map(|((_, epoch), at)| (*epoch, *at))
                .collect();
            for (epoch, at) in epochs {
                self.left.remove(&(entry.subject, epoch));
                self.left_by_time.remove(&(at, entry.subject, epoch));
            }
        }
    }

    fn left_behind(&self, entry: &Entry) -> bool {
        self.subjects
            .get(&entry.subject)
            .is_some_and(|standing| entry.epoch < standing.epoch)
    }

    fn is_live(&self, entry: &Entry, now: Timestamp) -> bool {
        entry.record.status(now).is_none() && !self.left_behind(entry)
    }

    fn view(&self, entry: &Entry) -> SessionRecord {
        let mut record = entry.record.clone();
        if record.ended.is_none() && self.left_behind(entry) {
            record.ended = Some(EndReason::AllEnded);
        }
        record
    }
}
