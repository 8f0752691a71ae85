//! The rotation rules: what a presented refresh token means, and what is answered.
//!
//! A refresh token names a session and a generation. Requests overlap and answers arrive late, so a client may honestly
//! present the generation before the current one for a while. The rules tell that apart from a stolen token:
//!
//! | presented | age of the last rotation | decision |
//! | --- | --- | --- |
//! | current | past the grace | [`Rotate`](Decision::Rotate) |
//! | current | within it | [`Keep`](Decision::Keep) |
//! | confirmed, current unseen | within a third of it | [`Resend`](Decision::Resend) |
//! | confirmed otherwise | within it | [`Tolerate`](Decision::Tolerate) |
//! | confirmed, current unseen | past it | [`Recover`](Decision::Recover), or [`ReuseDetected`](Decision::ReuseDetected) if strict |
//! | confirmed, current seen | past it | [`ReuseDetected`](Decision::ReuseDetected) |
//! | any other earlier one | any | [`ReuseDetected`](Decision::ReuseDetected) |
//! | a later one | any | [`Repair`](Decision::Repair) |
//!
//! Two rows are more patient after a healing, until the next rotation:
//!
//! | presented | age of the healing | decision |
//! | --- | --- | --- |
//! | confirmed, current seen | past the grace | [`Recover`](Decision::Recover), or [`ReuseDetected`](Decision::ReuseDetected) if strict |
//! | one of the two before that | within a third of it | [`Tolerate`](Decision::Tolerate) |
//!
//! The three zones of the grace are one bound: a request or a response may be under way for a third of it. A successor is
//! handed out in the first third, has arrived by the end of the second, and the last request that still carries its
//! predecessor has arrived by the end of the third. Only then may the next rotation, or a fork, happen.
//!
//! A store that lost a write has lost that bound with it. The presented generation may have been handed out a moment ago, so
//! that requests with its predecessor, and more answers with itself, are still under way. The requests are tolerated for a
//! third of the grace; as a lost response may have left an orphan in between, the predecessor is one or two before. The
//! answers put the presented generation back in the place of its successor, even of one that was seen; so an honest client
//! may hold it once the grace is over, and recovers. If that was a thief instead, the session ends one presentation later
//! than it would have: when the successor comes, which is then an orphan.
//!
//! For this a healed session must be known as one: its `confirmed` is `current` itself, which no rotation brings about, and
//! the generation that led to `current` is the one before it.
//!
//! Beyond what one counter can bridge is a store that falls back a second time and loses a healing that is not yet older than
//! two thirds of the grace, or that loses the second of two recoveries in a row: a client may then be signed out, though
//! never does a second line of succession begin.
//!
//! ```
//! use std::time::Duration;
//! use auth_tower::Timestamp;
//! use auth_tower::session::rotation::Decision;
//! use auth_tower::session::rotation::Policy;
//! use auth_tower::session::rotation::Reuse;
//! use auth_tower::session::rotation::Rotation;
//! use auth_tower::session::rotation::decide;
//!
//! let policy = Policy { grace: Duration::from_secs(30), reuse: Reuse::Recover };
//! let now = Timestamp::from_secs(1_000);
//! let mut session = Rotation::first();
//!
//! assert_eq!(decide(&session, 1, now, &policy), Decision::Rotate { confirmed: 1, current: 2 });
//! session.rotate(1, 2, now);
//! assert_eq!(decide(&session, 1, now, &policy), Decision::Resend);
//! session.seen = true;
//! assert_eq!(decide(&session, 1, now + Duration::from_secs(31), &policy), Decision::ReuseDetected);
//! ```

use std::time::Duration;

use crate::clock::Timestamp;

/// A session's generation counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the whole state of the rules; stores and model checkers build it"
)]
pub struct Rotation {
    /// The newest generation.
    pub current: u32,
    /// The generation whose presentation led to `current`; `None` until the first rotation. After a healing it is `current`
    /// itself, as a mark of that, and the generation that led there is the one before.
    pub confirmed: Option<u32>,
    /// When `current` came to be; `None` until the first rotation, which counts as longer ago than any grace.
    pub rotated_at: Option<Timestamp>,
    /// Whether `current` was proven to be in the client's hands: it, or an access token issued with it, was presented.
    pub seen: bool,
}

impl Rotation {
    /// The counter of a session that has just begun: generation 1, never rotated.
    pub const fn first() -> Self {
        Self {
            current: 1,
            confirmed: None,
            rotated_at: None,
            seen: false,
        }
    }

    /// Makes `current` the newest generation, led to by `confirmed`, unseen as yet.
    pub fn rotate(&mut self, confirmed: u32, current: u32, now: Timestamp) {
        *self = Self {
            current,
            confirmed: Some(confirmed),
            rotated_at: Some(now),
            seen: false,
        };
    }

    /// Whether `current` came of a healing.
    fn is_repaired(&self) -> bool {
        self.confirmed == Some(self.current)
    }

    /// The generation whose presentation led to `current`, after a healing too.
    fn predecessor(&self) -> Option<u32> {
        if self.is_repaired() {
            self.current.checked_sub(1)
        } else {
            self.confirmed
        }
    }

    /// Whether the last rotation is at most `bound` away from `now`.
    ///
    /// The distance is taken both ways, so that a clock that was set back does not hold a session in its grace for
    /// longer than the grace. A grace of zero holds nothing, not even the same millisecond.
    pub fn settled_for_at_most(&self, bound: Duration, now: Timestamp) -> bool {
        self.rotated_at
            .is_some_and(|at| !bound.is_zero() && now.distance(at) <= bound)
    }
}

/// What the application chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "both fields are the rule's parameters; model checkers build it"
)]
pub struct Policy {
    /// For how long after a rotation its predecessor is tolerated. A third of it is the longest that a request or a
    /// response may be under way without harm.
    pub grace: Duration,
    /// What a predecessor means when the grace is over and its successor may have been lost.
    pub reuse: Reuse,
}

/// What a predecessor means when the grace is over and its successor may have been lost: it was never seen, or came of a
/// healing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "the rule has these two sides")]
pub enum Reuse {
    /// The response with the successor was lost: hand out a new one, and treat the lost one as stolen if it ever shows up.
    #[default]
    Recover,
    /// A theft: the session ends (RFC 9700 §4.14.2, read strictly).
    Strict,
}

/// What a presented generation means for a live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an answer that a caller ignores would be a hole")]
pub enum Decision {
    /// The normal case: a new generation, a new pair.
    Rotate {
        /// The generation that becomes `confirmed`: the presented one.
        confirmed: u32,
        /// The generation that becomes `current`.
        current: u32,
    },
    /// A burst, or another tab: a new access token of the current generation and no refresh token. `current` is now seen.
    Keep,
    /// A race, or a quick retry: nothing is written; the same successor again, with a new access token.
    Resend,
    /// A request that was already under way: answered, but no refresh token leaves, and the access token carries the
    /// presented generation, so that it proves nothing about the current one.
    Tolerate,
    /// A lost response: a new generation beside the one that did not arrive, and a new pair.
    Recover {
        /// The generation that becomes, or stays, `confirmed`: the presented one.
        confirmed: u32,
        /// The generation that becomes `current`.
        current: u32,
    },
    /// The store lost an acknowledged write: healed forward with a new pair, and worth an event.
    Repair {
        /// What `confirmed` becomes: the new `current` itself, the mark of a healed record.
        confirmed: u32,
        /// The generation that becomes `current`: the one after the presented.
        current: u32,
    },
    /// Two parties hold this session: it ends.
    ReuseDetected,
}

/// Decides what an authentic token of generation `presented` means for a live session.
///
/// Total and pure: every input has an answer, and the answer depends on nothing else.
pub fn decide(session: &Rotation, presented: u32, now: Timestamp, policy: &Policy) -> Decision {
    let in_grace = session.settled_for_at_most(policy.grace, now);
    // The counter's end cannot be reached honestly: at one rotation a second it is 136 years away.
    let successor = |of: u32| of.checked_add(1);

    if presented > session.current {
        return match successor(presented) {
            Some(current) => Decision::Repair {
                confirmed: current,
                current,
            },
            None => Decision::ReuseDetected,
        };
    }
    if presented == session.current {
        return match successor(presented) {
            _ if in_grace => Decision::Keep,
            Some(current) => Decision::Rotate {
                confirmed: presented,
                current,
            },
            None => Decision::ReuseDetected,
        };
    }
    let in_first_third = session.settled_for_at_most(policy.grace / 3, now);
    if session.predecessor() != Some(presented) {
        // Requests with the predecessor of the one that healed were sent before that arrived, so they are under way for a
        // third at most. It is two before the current one, or three if a lost response left an orphan in between.
        let near = session.current.abs_diff(presented) <= 3;
        return if session.is_repaired() && near && in_first_third {
            Decision::Tolerate
        } else {
            Decision::ReuseDetected
        };
    }
    if in_grace {
        return if !session.seen && in_first_third {
            Decision::Resend
        } else {
            Decision::Tolerate
        };
    }
    // After a healing, a late answer may have put the presented generation over its successor.
    let lost = !session.seen || session.is_repaired();
    match (lost, policy.reuse, successor(session.current)) {
        (true, Reuse::Recover, Some(current)) => Decision::Recover {
            confirmed: presented,
            current,
        },
        _ => Decision::ReuseDetected,
    }
}
