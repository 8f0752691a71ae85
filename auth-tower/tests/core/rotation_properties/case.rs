//! One question to the rules, and how the table's columns read it.

use std::cmp::Ordering;
use std::time::Duration;

use auth_tower::session::rotation::{Decision, Policy, Reuse, Rotation, decide};
use auth_tower::session::{ClientInfo, Lifetime, SessionRecord};
use auth_tower::{SessionId, Subject, Timestamp};

pub(crate) const MAX: u32 = u32::MAX;

/// The idle lifetime that a step begins anew.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// One question to the rules, as plain numbers. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) presented: u32,
    pub(crate) current: u32,
    pub(crate) confirmed: Option<u32>,
    pub(crate) rotated_at: Option<i64>,
    pub(crate) seen: bool,
    pub(crate) now: i64,
    pub(crate) grace: u64,
    pub(crate) reuse: Reuse,
}

/// When the last rotation was, as the table's second column puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    WithinAThird,
    Within,
    Past,
}
pub(crate) use Age::{Past, Within, WithinAThird};

/// What is presented, as the table's first column puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented {
    Later,
    Current,
    Confirmed,
    /// What the current one was healed with.
    Healer,
    /// One of the two before that, either of which may have led to it.
    BeforeHealer,
    Other,
    /// Later, and the counter's last number, which can have no successor.
    LaterAndLast,
    CurrentAndLast,
    /// Confirmed, or what it was healed with, where the current one is the last.
    BeforeLast,
}
pub(crate) use Presented::{
    BeforeHealer, BeforeLast, Confirmed, Current, CurrentAndLast, Healer, Later, LaterAndLast, Other,
};

impl Case {
    pub(crate) fn rotation(&self) -> Rotation {
        Rotation {
            current: self.current,
            confirmed: self.confirmed,
            rotated_at: self.rotated_at.map(Timestamp::from_millis),
            seen: self.seen,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            grace: Duration::from_millis(self.grace),
            reuse: self.reuse,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub(crate) fn decide(&self) -> Decision {
        decide(&self.rotation(), self.presented, self.now(), &self.policy())
    }

    pub(crate) fn age(&self) -> Age {
        let Some(at) = self.rotated_at else { return Past };
        let age = (i128::from(self.now) - i128::from(at)).abs();
        let grace = i128::from(self.grace);
        match () {
            () if grace == 0 || age > grace => Past,
            () if age * 3 > grace => Within,
            () => WithinAThird,
        }
    }

    pub(crate) fn presented(&self) -> Presented {
        let healed = self.confirmed == Some(self.current);
        let before = match healed {
            true => i64::from(self.current) - 1 == i64::from(self.presented),
            false => self.confirmed == Some(self.presented),
        };
        let last = self.current == MAX;
        match (self.presented.cmp(&self.current), healed, before) {
            (Ordering::Greater, _, _) if self.presented == MAX => LaterAndLast,
            (Ordering::Greater, _, _) => Later,
            (Ordering::Equal, _, _) if last => CurrentAndLast,
            (Ordering::Equal, _, _) => Current,
            (Ordering::Less, _, true) if last => BeforeLast,
            (Ordering::Less, true, true) => Healer,
            (Ordering::Less, false, true) => Confirmed,
            (Ordering::Less, true, false) if [2, 3].contains(&(self.current - self.presented)) => BeforeHealer,
            (Ordering::Less, _, false) => Other,
        }
    }

    #[expect(clippy::expect_used, reason = "a constant that is valid")]
    pub(crate) fn record(&self) -> SessionRecord {
        let lifetime = Lifetime {
            idle: Duration::MAX,
            absolute: Duration::MAX,
        };
        let mut record = SessionRecord::begin(
            SessionId::from_bytes([7; 18]),
            Subject::new("alice").expect("a subject of five letters"),
            "web".into(),
            lifetime,
            ClientInfo::default(),
            self.now(),
        );
        record.rotation = self.rotation();
        // The end of the session's life is before, or after, the end of the idle lifetime that a step begins.
        let absolute = if self.seen { IDLE / 2 } else { IDLE * 2 };
        record.last_seen_at = self.now() - IDLE;
        record.idle_expires_at = self.now() + IDLE / 4;
        record.absolute_expires_at = self.now() + absolute;
        record
    }
}
