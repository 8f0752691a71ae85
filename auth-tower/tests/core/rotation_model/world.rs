//! What the model remembers: one session's record, one honest client, one thief, and what is under way.

use std::collections::BTreeMap;
use std::time::Duration;

use auth_tower::Timestamp;
use auth_tower::session::rotation::Rotation;
use auth_tower::store::Advance;

/// The present. Time passes by moving the past away from it, so that states that differ only in their date are one state.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(0);

/// Whether this record came of a healing.
pub(crate) fn is_repaired(record: &Rotation) -> bool {
    record.confirmed == Some(record.current)
}

/// The generation whose presentation led to the current one.
pub(crate) fn predecessor(record: &Rotation) -> u32 {
    match record.confirmed {
        Some(confirmed) if confirmed < record.current => confirmed,
        Some(_) => record.current - 1,
        None => 0,
    }
}

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
    pub(crate) expected_seen: bool,
    pub(crate) within: u8,
    pub(crate) confirmed: u32,
    pub(crate) current: u32,
}

impl Pending {
    pub(crate) fn step(self) -> Advance {
        Advance {
            expected: self.expected,
            expected_seen: Some(self.expected_seen),
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

/// What a presentation can mean, so that the model can show that each of these happens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happened {
    Rotated,
    Kept,
    Resent,
    Tolerated,
    Recovered,
    /// Recovered although the successor had been seen.
    Excused,
    Healed,
    ReuseDetected,
}

/// A promise that a single step can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    /// A generation was rotated twice, or two successors of it were handed out within one grace.
    OneSuccessor,
    /// A successor was handed out again after it had been seen.
    SeenIsNotHandedOut,
    /// An older token took a newer one's place in the jar, and not the place of the one that it was healed with.
    NewestStays,
    /// After the grace, something other than the newest token that was seen was presented, and the session lives on, though
    /// no healing excused it; or so it does although one was excused before, and this is the other party.
    TheftEnds,
    /// A token was given a successor although another line had gone on without it.
    CutStaysCut,
    /// The optimistic step and `decide` disagree on whether this is a rotation.
    OneRule,
}

/// What the store remembers, and what the model knows to follow from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    /// The store's record.
    pub(crate) rotation: Rotation,
    /// Generations that another line has gone on without.
    pub(crate) cut: Generations,
    /// The newest generation that was recorded as seen.
    pub(crate) newest_seen: u32,
    /// The successor that was seen, and yet orphaned: its predecessor was excused by a healing.
    pub(crate) excused: Option<u32>,
}

/// One state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) line: Line,
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
    /// What the store may fall back to.
    pub(crate) backup: Option<Line>,
    /// How often it still may.
    pub(crate) rollbacks: u8,
    /// Which successor each of the last generations was given.
    pub(crate) successors: BTreeMap<u32, u32>,
    /// Generations that a healing brought about.
    pub(crate) healings: Generations,
    pub(crate) broken: Option<Broken>,
}

impl World {
    /// Signed in, the cookie in the jar, nothing under way.
    pub(crate) fn new(rollbacks: u8) -> Self {
        Self {
            line: Line {
                rotation: Rotation::first(),
                cut: Generations::default(),
                newest_seen: 1,
                excused: None,
            },
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
            healings: Generations::default(),
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
        age(&mut self.line.rotation);
        if let Some(backup) = &mut self.backup {
            age(&mut backup.rotation);
        }
        self.requests.tick();
        self.answers.tick();
        self.pending = self
            .pending
            .iter()
            .filter_map(|(pending, left)| Some((*pending, left.checked_sub(1)?)))
            .collect();
    }

    /// Whether the store's record was healed at most `bound` ticks ago.
    pub(crate) fn heals_for_at_most(&self, bound: u8) -> bool {
        let record = self.line.rotation;
        let bound = Duration::from_millis(bound.into());
        is_repaired(&record) && record.settled_for_at_most(bound, NOW)
    }

    /// The thief gets a cookie, and an access token that came with it.
    pub(crate) fn steal(&mut self, cookie: u32) {
        self.loot.insert(cookie);
        self.proven.insert(cookie);
    }

    /// Whether a cookie that arrives is older than the jar's. After a healing the one that it came of may be.
    pub(crate) fn would_go_back(&self, cookie: u32) -> bool {
        let of_its_healing = cookie + 1 == self.jar && self.healings.contains(self.jar);
        cookie < self.jar && !of_its_healing
    }

    /// A cookie arrives and takes the place of whatever is in the jar.
    pub(crate) fn arrive(&mut self, cookie: u32, delay: u8) {
        if cookie != self.jar {
            self.requests.send(self.jar, delay);
        }
        self.jar = cookie;
        self.proven.insert(cookie);
    }

    /// A store that falls back loses its last writes, and with them any number of rotations, but no more than the last write
    /// of a recovery: the fall would have to lose more than a grace of writes, and the orphan's number would be given
    /// out a second time while its successor is in use. Nor does it lose the second of two recoveries in a row: the next
    /// healing would not know of a predecessor that is so far back.
    pub(crate) fn recovered(&mut self, presented: u32, orphan: u32) {
        let first = orphan == presented + 1;
        self.backup = self.backup.filter(|backup| first && backup.rotation.current >= orphan);
    }

    /// Notes the first promise that a step breaks.
    pub(crate) fn breaks(&mut self, promise: Broken) {
        self.broken.get_or_insert(promise);
    }

    /// Drops what can no longer make a difference, so that equal futures are equal states.
    pub(crate) fn forget(&mut self) {
        let mine = self.line.rotation;
        let other = self.backup.map_or(mine, |backup| backup.rotation);
        self.proven.forget_before(mine.current.min(other.current));
        self.successors = self.successors.split_off(&predecessor(&mine).min(predecessor(&other)));
        self.healings
            .forget_before(self.jar.min(mine.current).min(other.current));
        if self.rollbacks == 0 {
            self.backup = None;
            self.pending.retain(|pending, _| pending.expected >= mine.current);
        }
    }
}
