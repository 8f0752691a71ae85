//! What an instance does with a presented token: the crate's rules, the crate's steps, and the answer.

use std::time::Duration;

use auth_tower::session::record::EndReason;
use auth_tower::session::rotation::{Decision, Rotation};
use auth_tower::session::store::Advance;

use crate::model::Session;
use crate::rules::Heal;
use crate::world::{Broken, Happened, NOW, Party, Pending, World};

impl Session {
    /// The store's `advance`: one atomic step.
    fn advance(&self, world: &mut World, step: &Advance) -> bool {
        let mut record = self.record.clone();
        record.rotation = world.rotation;
        record.ended = world.ended.then_some(EndReason::Reused);
        let taken = step.allowed(&record, NOW);
        if taken {
            step.apply(&mut record, NOW);
            world.rotation = record.rotation;
        }
        taken
    }

    /// The engine: the optimistic step first, and what `decide` says if it was not taken.
    pub(crate) fn present(&self, world: &mut World, party: Party, presented: u32, left: u8) {
        let before = world.rotation;
        let decision = self.rules.judge(&before, presented);
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
            Decision::Rotate { .. } => self.succeed(world, party, presented, Happened::Rotated),
            Decision::Keep => {
                world.last = Happened::Kept;
                world.proven.insert(presented);
            }
            Decision::Resend => {
                world.last = Happened::Resent;
                if before.seen {
                    world.breaks(Broken::SeenIsNotHandedOut);
                }
                self.hand_out(world, party, presented);
            }
            Decision::Tolerate => {
                world.last = Happened::Tolerated;
                world.proven.insert(presented);
            }
            Decision::Recover { confirmed, current } => {
                let pending = Pending {
                    party,
                    presented,
                    expected: before.current,
                    expected_seen: Some(false),
                    within: self.rules.grace,
                    confirmed,
                    current,
                };
                self.decided(world, pending, left);
            }
            Decision::Heal { confirmed, current } => {
                let pending = Pending {
                    party,
                    presented,
                    expected: before.current,
                    expected_seen: None,
                    within: 0,
                    confirmed,
                    current,
                };
                self.decided(world, pending, left);
            }
            Decision::Stolen => {
                world.last = Happened::Stolen;
                world.ended = true;
            }
        }
        self.check_detection(world, &before, presented);
    }

    fn decided(&self, world: &mut World, pending: Pending, left: u8) {
        if self.two_steps {
            world.pending.insert(pending, left);
        } else {
            self.finish(world, pending);
        }
    }

    pub(crate) fn finish(&self, world: &mut World, pending: Pending) {
        if !self.advance(world, &pending.step()) {
            return;
        }
        if pending.current == pending.presented {
            world.last = Happened::Healed;
            world.proven.insert(pending.presented);
            if self.rules.heal == Heal::HandingOut && pending.party == Party::Honest {
                world.answers.send(pending.presented, self.delay);
            }
            return;
        }
        // Only after the grace, or after the store forgot it, may there be another successor than the first one.
        world.successors.remove(&pending.presented);
        if pending.presented > pending.expected {
            self.succeed(world, pending.party, pending.presented, Happened::Healed);
        } else {
            world.recovered_from(pending.expected);
            self.succeed(world, pending.party, pending.presented, Happened::Recovered);
        }
    }

    fn succeed(&self, world: &mut World, party: Party, presented: u32, happened: Happened) {
        let current = world.rotation.current;
        let earlier = world.successors.insert(presented, current);
        if earlier.is_some_and(|earlier| self.rollbacks == 0 || earlier != current) {
            world.breaks(Broken::OneSuccessor);
        }
        if happened != Happened::Recovered {
            world.newest_seen = presented;
        }
        world.last = happened;
        self.hand_out(world, party, presented);
        for cut in (1..current).filter(|cut| *cut != presented) {
            world.cut.insert(cut);
        }
    }

    /// The answer carries the current generation's cookie, and an access token that will prove it.
    fn hand_out(&self, world: &mut World, party: Party, presented: u32) {
        let cookie = world.rotation.current;
        if world
            .successors
            .get(&presented)
            .is_some_and(|successor| *successor != cookie)
        {
            world.breaks(Broken::OneSuccessor);
        }
        if self.rollbacks == 0 && world.cut.contains(presented) {
            world.breaks(Broken::CutStaysCut);
        }
        match party {
            Party::Honest => world.answers.send(cookie, self.delay),
            Party::Thief => {
                world.loot.insert(cookie);
                world.proven.insert(cookie);
            }
        }
    }

    /// The session ends at the first presentation, after the grace, of anything but the newest token that has been seen,
    /// or the newest of all, which is seen by that. A fallen store has forgotten which that was.
    fn check_detection(&self, world: &mut World, before: &Rotation, presented: u32) {
        let settling = before.settled_for_at_most(Duration::from_millis(self.rules.grace.into()), NOW);
        let newest = before.current;
        if self.rollbacks == 0 && !settling && presented != newest && presented != world.newest_seen && !world.ended {
            world.breaks(Broken::TheftEnds);
        }
    }
}
