//! What can happen next, and what must hold whatever happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use auth_tower::session::rotation::{Decision, Rotation};
use auth_tower::session::{ClientInfo, Lifetime, SessionRecord};
use auth_tower::{SessionId, Subject};
use stateright::{Model, Property};

use super::rules::Rules;
use super::world::{Broken, Happened, Line, NOW, Party, Pending, World};

/// A session's surroundings.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) rules: Rules,
    /// For how many ticks a request or a response may be under way.
    pub(crate) delay: u8,
    /// Whether somebody copies every token, and may present it at any moment. Who copies fewer can do nothing more.
    pub(crate) thief: bool,
    /// How often the store may fall back to an earlier record.
    pub(crate) rollbacks: u8,
    /// For how many ticks after a healing the store does not fall back to what it was before. With zero, no more than the
    /// promises about theft are looked at.
    pub(crate) apart: u8,
    /// Whether other requests may come between an exchange's decision and its write.
    pub(crate) two_steps: bool,
    /// The generation at which the model stops.
    pub(crate) last_generation: u32,
    /// Everything that has happened in some state, as bits.
    pub(crate) happened: Arc<AtomicU16>,
    /// What the store keeps besides the counter: nothing that the rules look at.
    pub(crate) record: SessionRecord,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    /// The honest client's request, or a copy of it, reaches an instance.
    Present(u32),
    /// An instance takes the step it has decided on.
    Finish(Pending),
    /// A response, or a copy of it, reaches the jar.
    Arrive(u32),
    /// A proof that the current generation arrived reaches the record.
    MarkSeen,
    /// The thief presents what he holds.
    Thieve(u32),
    /// The store makes a copy of the record,
    BackUp,
    /// and falls back to it.
    FallBack,
}

impl Session {
    #[expect(clippy::expect_used, reason = "a constant that is valid")]
    pub(crate) fn under(rules: Rules) -> Self {
        let lifetime = Lifetime {
            idle: Duration::from_secs(1),
            absolute: Duration::from_secs(1),
        };
        let subject = Subject::new("alice").expect("a subject of five letters");
        let id = SessionId::from_bytes([0; 18]);
        Self {
            rules,
            delay: rules.grace / 3,
            thief: false,
            rollbacks: 0,
            apart: rules.grace * 2 / 3,
            two_steps: false,
            last_generation: 12,
            happened: Arc::default(),
            record: SessionRecord::begin(id, subject, "web".into(), lifetime, ClientInfo::default(), NOW),
        }
    }

    pub(crate) fn note(&self, what: Happened) {
        self.happened.fetch_or(1 << what as u16, Ordering::Relaxed);
    }

    /// What never happened and should have.
    pub(crate) fn never(&self) -> Vec<Happened> {
        use Happened::{Excused, Healed, Kept, Recovered, Resent, ReuseDetected, Rotated, Tolerated};
        let happened = self.happened.load(Ordering::Relaxed);
        let falls = self.rollbacks > 0;
        [Rotated, Kept, Resent, Tolerated, Recovered]
            .into_iter()
            .chain([Excused, Healed].into_iter().filter(|_| falls))
            .chain([ReuseDetected].into_iter().filter(|_| self.thief))
            .filter(|what| happened & (1 << *what as u16) == 0)
            .collect()
    }

    /// Whether at most one line of succession goes on from here: of all tokens that were ever handed out, each one that would
    /// be given a successor puts an end to every other one.
    fn one_line(&self, world: &World) -> bool {
        let long_ago = |rotation: &Rotation, seen: bool| Rotation {
            rotated_at: rotation
                .rotated_at
                .map(|_| NOW - Duration::from_millis(u64::from(self.rules.grace) + 1)),
            seen,
            ..*rotation
        };
        [false, true]
            .into_iter()
            .filter(|seen| *seen || !world.line.rotation.seen)
            .all(|seen| {
                let now = long_ago(&world.line.rotation, seen);
                (1..=self.last_generation).all(|first| {
                    let then = match self.rules.judge(&now, first) {
                        Decision::Rotate { confirmed, current }
                        | Decision::Recover { confirmed, current }
                        | Decision::Repair { confirmed, current } => {
                            let mut then = now;
                            then.rotate(confirmed, current, NOW);
                            then
                        }
                        Decision::Keep | Decision::Resend | Decision::Tolerate | Decision::ReuseDetected => {
                            return true;
                        }
                    };
                    (1..then.current).filter(|second| *second != first).all(|second| {
                        [false, true]
                            .into_iter()
                            .all(|seen| self.rules.judge(&long_ago(&then, seen), second) == Decision::ReuseDetected)
                    })
                })
            })
    }
}

impl Model for Session {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![{
            let mut world = World::new(self.rollbacks);
            if self.thief {
                world.steal(world.jar);
            }
            world
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.ended || world.broken.is_some() {
            return;
        }
        actions.push(Action::Tick);
        actions.push(Action::Present(world.jar));
        actions.extend(
            world
                .requests
                .tokens()
                .filter(|token| *token != world.jar)
                .map(Action::Present),
        );
        actions.extend(world.answers.tokens().map(Action::Arrive));
        actions.extend(world.pending.keys().copied().map(Action::Finish));
        if !world.line.rotation.seen && world.proven.contains(world.line.rotation.current) {
            actions.push(Action::MarkSeen);
        }
        if self.thief {
            actions.extend(world.loot.iter().map(Action::Thieve));
        }
        if world.rollbacks > 0 {
            actions.push(Action::BackUp);
            let heals = world.heals_for_at_most(self.apart);
            let may_fall = |backup: &Line| !heals || backup.rotation.current == world.line.rotation.current;
            actions.extend(world.backup.filter(may_fall).map(|_| Action::FallBack));
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        match action {
            Action::Tick => world.tick(self.rules.grace),
            Action::Present(token) => {
                let left = if token == world.jar {
                    self.delay
                } else {
                    world.requests.left(token)?
                };
                self.present(&mut world, Party::Honest, token, left);
            }
            Action::Finish(pending) => self.finish(&mut world, pending),
            Action::Arrive(cookie) => {
                if self.apart > 0 && world.would_go_back(cookie) {
                    world.breaks(Broken::NewestStays);
                }
                world.arrive(cookie, self.delay);
            }
            Action::MarkSeen => {
                world.line.rotation.seen = true;
                world.line.newest_seen = world.line.rotation.current;
            }
            Action::Thieve(token) => self.present(&mut world, Party::Thief, token, self.delay),
            Action::BackUp => world.backup = Some(world.line),
            Action::FallBack => {
                world.line = world.backup?;
                world.rollbacks -= 1;
            }
        }
        world.forget();
        (world != *before).then_some(world)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.line.rotation.current <= self.last_generation
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(SIGNED_IN, |model, world: &World| model.thief || !world.ended),
            Property::always(ONE_SUCCESSOR, |_, world: &World| {
                world.broken != Some(Broken::OneSuccessor)
            }),
            Property::always(SEEN_IS_NOT_HANDED_OUT, |_, world: &World| {
                world.broken != Some(Broken::SeenIsNotHandedOut)
            }),
            Property::always(NEWEST_STAYS, |_, world: &World| {
                world.broken != Some(Broken::NewestStays)
            }),
            Property::always(THEFT_ENDS, |_, world: &World| world.broken != Some(Broken::TheftEnds)),
            Property::always(ONE_RULE, |_, world: &World| world.broken != Some(Broken::OneRule)),
            Property::always(CUT_STAYS_CUT, |_, world: &World| {
                world.broken != Some(Broken::CutStaysCut)
            }),
            Property::always(ONE_LINE, |model, world: &World| world.ended || model.one_line(world)),
        ]
    }
}

pub(crate) const SIGNED_IN: &str = "no honest client is signed out";
const ONE_SUCCESSOR: &str = "concurrent presentations of one token have one successor";
const SEEN_IS_NOT_HANDED_OUT: &str = "a successor that was seen is not handed out again";
pub(crate) const NEWEST_STAYS: &str = "no late response puts an older token over a newer one";
pub(crate) const THEFT_ENDS: &str = "a second party ends the session";
const ONE_RULE: &str = "the optimistic step is taken exactly when the rules rotate";
pub(crate) const CUT_STAYS_CUT: &str = "a line of succession that was cut off has no successor";
pub(crate) const ONE_LINE: &str = "one line of succession at most";
