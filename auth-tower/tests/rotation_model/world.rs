//! What the model remembers: one session's record, one honest client, one thief, and what is under way.

use std::collections::BTreeMap;
use std::time::Duration;

use auth_tower::Timestamp;
use auth_tower::session::rotation::Rotation;
use auth_tower::session::store::Advance;

/// The present. Time passes by moving the past away from it, so that states that differ only in their date are one state.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(0);

/// A set of generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Generations(u32);

impl Generations {
    pub(crate) fn insert(&mut self, generation: u32) {
        self.0 |= 1 << generation;
    }

    pub(crate) fn contains(self, generation: u32) -> bool {
        self.0 & (1 << generation) != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u32> {
        (0..u32::BITS).filter(move |generation| self.contains(*generation))
    }

    /// Forgets everything before `generation`.
    pub(crate) fn forget_before(&mut self, generation: u32) {
        self.0 &= u32::MAX << generation;
    }
}

/// Tokens under way, each with the ticks for which it may still arrive.
///
/// Whatever is under way *may* arrive, any number of times and in any order, until its time is up: so it may as well be lost,
/// doubled or overtaken. Of two messages with one token the younger can do all that the older can, so one entry stands
/// for any number of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct UnderWay(BTreeMap<u32, u8>);

impl UnderWay {
    pub(crate) fn send(&mut self, generation: u32, ticks: u8) {
        self.0.insert(generation, ticks);
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// For how long `generation` may still arrive.
    pub(crate) fn left(&self, generation: u32) -> Option<u8> {
        self.0.get(&generation).copied()
    }

    fn tick(&mut self) {
        self.0 = self
            .0
            .iter()
            .filter_map(|(generation, left)| Some((*generation, left.checked_sub(1)?)))
            .collect();
    }
}

/// The second step of an exchange that an instance has decided on, and not yet taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pending {
    pub(crate) party: Party,
    pub(crate) presented: u32,
    pub(crate) expected: u32,
    pub(crate) expected_seen: Option<bool>,
    pub(crate) within: u8,
    pub(crate) confirmed: u32,
    pub(crate) current: u32,
}

impl Pending {
    pub(crate) fn step(self) -> Advance {
        Advance {
            expected: self.expected,
            expected_seen: self.expected_seen,
            unless_within: Duration::from_millis(self.within.into()),
            confirmed: self.confirmed,
            current: self.current,
            idle: Duration::from_secs(1),
        }
    }
}

/// Who presents a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Party {
    Honest,
    Thief,
}

/// What the last presentation meant, so that the model can show that each of them happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Happened {
    Nothing,
    Rotated,
    Kept,
    Resent,
    Tolerated,
    Recovered,
    Healed,
    Stolen,
}

/// A promise that a single step can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    /// A generation was rotated twice, or two successors of it were handed out within one grace.
    OneSuccessor,
    /// A successor was handed out again after it had been seen.
    SeenIsNotHandedOut,
    /// An older token took a newer one's place in the jar.
    NewestStays,
    /// After the grace, something other than the newest token that was seen was presented, and the session lives on.
    TheftEnds,
    /// A token was given a successor although another line had gone on without it.
    CutStaysCut,
    /// The optimistic step and `decide` disagree on whether this is a rotation.
    OneRule,
}

/// One state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// The store's record.
    pub(crate) rotation: Rotation,
    /// Whether the session was ended, as every theft ends it.
    pub(crate) ended: bool,
    /// The cookie that arrived last.
    pub(crate) jar: u32,
    /// Requests with a cookie that has since been overwritten. One with the jar's own may be sent at any moment.
    pub(crate) requests: UnderWay,
    /// Answers with a new cookie.
    pub(crate) answers: UnderWay,
    /// Second steps of exchanges, and for how long they may still be taken.
    pub(crate) pending: BTreeMap<Pending, u8>,
    /// Generations that somebody proved to hold; any of these proofs may reach the record late, or never.
    pub(crate) proven: Generations,
    /// What the thief holds.
    pub(crate) loot: Generations,
    /// An earlier record that the store may fall back to.
    pub(crate) backup: Option<Rotation>,
    /// How often it still may.
    pub(crate) rollbacks: u8,
    /// Which successor each of the last generations was given.
    pub(crate) successors: BTreeMap<u32, u32>,
    /// Generations that another line has gone on without.
    pub(crate) cut: Generations,
    /// The newest generation that was recorded as seen.
    pub(crate) newest_seen: u32,
    pub(crate) last: Happened,
    pub(crate) broken: Option<Broken>,
}

impl World {
    /// Signed in, the cookie in the jar, nothing under way.
    pub(crate) fn new(rollbacks: u8) -> Self {
        Self {
            rotation: Rotation::first(),
            ended: false,
            jar: 1,
            requests: UnderWay::default(),
            answers: UnderWay::default(),
            pending: BTreeMap::new(),
            proven: Generations::default(),
            loot: Generations::default(),
            backup: None,
            rollbacks,
            successors: BTreeMap::new(),
            cut: Generations::default(),
            newest_seen: 1,
            last: Happened::Nothing,
            broken: None,
        }
    }

    /// A millisecond passes. Ages stop growing once they are past `grace`.
    pub(crate) fn tick(&mut self, grace: u8) {
        let oldest = NOW - Duration::from_millis(u64::from(grace) + 1);
        let age = |rotation: &mut Rotation| {
            if let Some(at) = &mut rotation.rotated_at {
                *at = (*at - Duration::from_millis(1)).max(oldest);
            }
        };
        age(&mut self.rotation);
        if let Some(backup) = &mut self.backup {
            age(backup);
        }
        self.requests.tick();
        self.answers.tick();
        self.pending = self
            .pending
            .iter()
            .filter_map(|(pending, left)| Some((*pending, left.checked_sub(1)?)))
            .collect();
    }

    /// A cookie arrives and takes the place of whatever is in the jar.
    pub(crate) fn arrive(&mut self, cookie: u32, delay: u8) {
        if cookie < self.jar {
            self.breaks(Broken::NewestStays);
        }
        if cookie != self.jar {
            self.requests.send(self.jar, delay);
        }
        self.jar = cookie;
        self.proven.insert(cookie);
    }

    /// A store that falls back loses its last writes, and with them any number of rotations, but no more than the last write
    /// of a recovery: the fall would have to lose more than a grace of writes, and the orphan's number would be given
    /// out a second time while its successor is in use.
    pub(crate) fn recovered_from(&mut self, orphan: u32) {
        self.backup = self.backup.filter(|backup| backup.current >= orphan);
    }

    /// Notes the first promise that a step breaks.
    pub(crate) fn breaks(&mut self, promise: Broken) {
        self.broken.get_or_insert(promise);
    }

    /// Drops what can no longer make a difference, so that equal futures are equal states.
    pub(crate) fn forget(&mut self) {
        let oldest = self.backup.map_or(self.rotation.current, |backup| {
            backup.current.min(self.rotation.current)
        });
        self.proven.forget_before(oldest);
        let confirmed = self.rotation.confirmed.unwrap_or(0);
        let kept = self.backup.and_then(|backup| backup.confirmed).unwrap_or(confirmed);
        self.successors = self.successors.split_off(&kept.min(confirmed));
        if self.rollbacks == 0 {
            self.backup = None;
            let current = self.rotation.current;
            self.pending.retain(|pending, _| pending.expected >= current);
        }
    }
}
