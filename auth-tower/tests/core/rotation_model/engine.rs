//! What an instance does with a presented token: the crate's rules, the crate's steps, and the answer.

use std::time::Duration;

use auth_tower::session::EndReason;
use auth_tower::session::rotation::Decision;
use auth_tower::store::Advance;

use super::model::Session;
use super::world::{Broken, Happened, Line, NOW, Party, Pending, World, is_repaired, predecessor};

impl Session {
    /// The store's `advance`: one atomic step.
    fn advance(&self, world: &mut World, step: &Advance) -> bool {
        let mut record = self.record.clone();
        record.rotation = world.line.rotation;
        record.ended = world.ended.then_some(EndReason::Reused);
        let taken = step.allowed(&record, NOW);
        if taken {
            step.apply(&mut record, NOW);
            world.line.rotation = record.rotation;
        }
        taken
    }

    /// The engine: the optimistic step first, and what `decide` says if it was not taken.
    pub(crate) fn present(&self, world: &mut World, party: Party, presented: u32, left: u8) {
        let before = world.line;
        let decision = self.rules.judge(&before.rotation, presented);
        let optimistic = Advance {
            expected: presented,
            expected_seen: None,
            unless_within: self.rules.floor(),
            confirmed: presented,
            current: presented + 1,
            idle: Duration::from_secs(1),
        };
        let taken = self.advance(world, &optimistic);
        if taken != matches!(decision, Decision::Rotate { .. }) {
            world.breaks(Broken::OneRule);
        }
        match decision {
            Decision::Rotate { .. } => {
                self.note(Happened::Rotated);
                self.succeed(world, party, presented);
            }
            Decision::Keep => {
                self.note(Happened::Kept);
                world.proven.insert(presented);
            }
            Decision::Resend => {
                self.note(Happened::Resent);
                if before.rotation.seen {
                    world.breaks(Broken::SeenIsNotHandedOut);
                }
                self.hand_out(world, party, presented);
            }
            Decision::Tolerate => {
                self.note(Happened::Tolerated);
                world.proven.insert(presented);
            }
            Decision::Recover { confirmed, current } | Decision::Repair { confirmed, current } => {
                let heals = matches!(decision, Decision::Repair { .. });
                let pending = Pending {
                    party,
                    presented,
                    expected: before.rotation.current,
                    expected_seen: before.rotation.seen,
                    within: if heals { 0 } else { self.rules.grace },
                    confirmed,
                    current,
                };
                if self.two_steps {
                    world.pending.insert(pending, left);
                } else {
                    self.finish(world, pending);
                }
            }
            Decision::ReuseDetected => {
                self.note(Happened::ReuseDetected);
                world.ended = true;
            }
        }
        self.check_detection(world, &before, presented);
    }

    pub(crate) fn finish(&self, world: &mut World, pending: Pending) {
        if !self.advance(world, &pending.step()) {
            return;
        }
        // Only after the grace, or after the store forgot it, may there be another successor than the first one.
        world.successors.remove(&pending.presented);
        world.line.excused = None;
        if pending.presented > pending.expected {
            self.note(Happened::Healed);
            world.healings.insert(pending.current);
        } else {
            self.note(Happened::Recovered);
            world.recovered(pending.presented, pending.expected);
            if pending.expected_seen {
                self.note(Happened::Excused);
                world.line.excused = Some(pending.expected);
            }
        }
        self.succeed(world, pending.party, pending.presented);
    }

    fn succeed(&self, world: &mut World, party: Party, presented: u32) {
        let current = world.line.rotation.current;
        let earlier = world.successors.insert(presented, current);
        if earlier.is_some_and(|earlier| self.rollbacks == 0 || earlier != current) {
            world.breaks(Broken::OneSuccessor);
        }
        world.line.newest_seen = presented;
        self.hand_out(world, party, presented);
        for cut in (1..current).filter(|cut| *cut != presented) {
            world.line.cut.insert(cut);
        }
    }

    /// The answer carries the current generation's cookie, and an access token that will prove it.
    fn hand_out(&self, world: &mut World, party: Party, presented: u32) {
        let cookie = world.line.rotation.current;
        if world
            .successors
            .get(&presented)
            .is_some_and(|successor| *successor != cookie)
        {
            world.breaks(Broken::OneSuccessor);
        }
        if world.line.cut.contains(presented) {
            world.breaks(Broken::CutStaysCut);
        }
        if party == Party::Honest {
            world.answers.send(cookie, self.delay);
        }
        if self.thief {
            world.steal(cookie);
        }
    }

    /// The session ends at the first presentation, after the grace, of anything but the newest token that has been seen,
    /// or the newest of all, which is seen by that. A healing excuses one more, the token that it came of. If its successor
    /// had been seen, then the next presentation of that one is the end, at any time, unless there was another healing.
    fn check_detection(&self, world: &mut World, before: &Line, presented: u32) {
        let record = before.rotation;
        let settling = record.settled_for_at_most(Duration::from_millis(self.rules.grace.into()), NOW);
        let newest = presented >= record.current || presented == before.newest_seen;
        let excused = is_repaired(&record) && presented == predecessor(&record);
        let late = !settling && !newest && !excused;
        if !world.ended && (late || before.excused == Some(presented)) {
            world.breaks(Broken::TheftEnds);
        }
    }
}
