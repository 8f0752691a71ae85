//! The crate's own rules, and the ways in which the model may bend them to show that each one is needed.

use std::time::Duration;

use auth_tower::session::rotation::{Decision, Policy, Reuse, Rotation, decide};

use super::world::{NOW, is_repaired, predecessor};

/// The rules under which a session is kept. Times are in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) grace: u8,
    pub(crate) reuse: Reuse,
    /// For how long after a rotation there is no other.
    pub(crate) floor: u8,
    /// For how long a successor is handed out again.
    pub(crate) hand_out: u8,
    pub(crate) orphan: Orphan,
    pub(crate) heal: Repair,
}

/// What a generation between `confirmed` and `current` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orphan {
    AsDecided,
    Tolerated,
    Recovered,
}

/// What a generation after `current` means, and what an earlier one does after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    AsDecided,
    /// By a rotation like any other, and with no more patience than after that.
    ByRotation,
    /// What came before the presented one is a theft at once.
    Intolerant,
    /// Of what came before the presented one, only the next one is tolerated.
    Narrow,
    /// The presented one is a theft if its successor was seen and the grace is over.
    Unforgiving,
    /// The presented one is like what came before it.
    Forgetful,
    /// What came before the presented one is tolerated for ever.
    Tolerant,
    /// What came before the presented one is recovered from as from that.
    Forgiving,
}

impl Rules {
    /// The crate's rules with a grace of `grace` ticks.
    pub(crate) fn of(grace: u8) -> Self {
        Self {
            grace,
            reuse: Reuse::Recover,
            floor: grace,
            hand_out: grace / 3,
            orphan: Orphan::AsDecided,
            heal: Repair::AsDecided,
        }
    }

    pub(crate) fn floor(&self) -> Duration {
        Duration::from_millis(self.floor.into())
    }

    /// Asks the crate's `decide`. A bent rule is, where it can be, the same function under another grace.
    pub(crate) fn judge(&self, session: &Rotation, presented: u32) -> Decision {
        let with = |grace: u8| {
            let policy = Policy {
                grace: Duration::from_millis(grace.into()),
                reuse: self.reuse,
            };
            decide(session, presented, NOW, &policy)
        };
        if let Some(bent) = self.bent_heal(session, presented) {
            return bent;
        }
        if presented == session.current {
            return with(self.floor);
        }
        let is_orphan = presented < session.current && session.confirmed.is_some_and(|confirmed| presented > confirmed);
        match self.orphan {
            Orphan::Tolerated if is_orphan => return Decision::Tolerate,
            Orphan::Recovered if is_orphan => {
                return Decision::Recover {
                    confirmed: presented,
                    current: session.current + 1,
                };
            }
            _ => {}
        }
        // Under three times the hand-out, a third of the grace is the hand-out.
        match with(self.hand_out * 3) {
            Decision::Resend => Decision::Resend,
            _ => match with(self.grace) {
                Decision::Resend => Decision::Tolerate,
                decision => decision,
            },
        }
    }

    fn bent_heal(&self, session: &Rotation, presented: u32) -> Option<Decision> {
        if presented > session.current {
            return (self.heal == Repair::ByRotation).then_some(Decision::Repair {
                confirmed: presented,
                current: presented + 1,
            });
        }
        if presented == session.current || !is_repaired(session) {
            return None;
        }
        let within = |bound: u8| session.settled_for_at_most(Duration::from_millis(bound.into()), NOW);
        let healer = presented == predecessor(session);
        match self.heal {
            Repair::Intolerant if !healer => Some(Decision::ReuseDetected),
            Repair::Narrow if presented + 3 == session.current => Some(Decision::ReuseDetected),
            Repair::Unforgiving if healer && session.seen && !within(self.grace) => Some(Decision::ReuseDetected),
            Repair::Forgetful if healer && within(self.grace / 3) => Some(Decision::Tolerate),
            Repair::Forgetful if healer => Some(Decision::ReuseDetected),
            Repair::Tolerant if !healer => Some(Decision::Tolerate),
            Repair::Forgiving if !healer && !within(self.grace) => Some(Decision::Recover {
                confirmed: presented,
                current: session.current + 1,
            }),
            _ => None,
        }
    }
}
