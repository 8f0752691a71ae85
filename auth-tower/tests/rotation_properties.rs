//! The table of DESIGN 5, row by row: over every combination of a small domain, at the edges, and on random values.

use std::time::Duration;

use auth_tower::session::record::{EndReason, Lifetime};
use auth_tower::session::rotation::Decision::{Heal, Keep, Recover, Resend, Rotate, Stolen, Tolerate};
use auth_tower::session::rotation::{Decision, Policy, Reuse, Rotation, decide};
use auth_tower::session::store::Advance;
use auth_tower::session::{Client, SessionRecord};
use auth_tower::{SessionId, Subject, Timestamp};
use proptest::prelude::*;

const MAX: u32 = u32::MAX;

/// One question to the rules, as plain numbers. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Case {
    presented: u32,
    current: u32,
    confirmed: Option<u32>,
    rotated_at: Option<i64>,
    seen: bool,
    now: i64,
    grace: u64,
    reuse: Reuse,
}

/// When the last rotation was, as the table's second column puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    WithinAThird,
    Within,
    Past,
}
use Age::{Past, Within, WithinAThird};

/// What is presented, as the table's first column puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presented {
    Later,
    Current,
    /// The counter's last number, which can have no successor.
    LastOfAll,
    Confirmed,
    /// A predecessor of the counter's last number.
    ConfirmedBeforeLastOfAll,
    /// Earlier than a generation that was healed to, and so of unknown kin.
    BeforeHealed,
    Other,
}
use Presented::{BeforeHealed, Confirmed, ConfirmedBeforeLastOfAll, Current, LastOfAll, Later, Other};

impl Case {
    fn rotation(&self) -> Rotation {
        Rotation {
            current: self.current,
            confirmed: self.confirmed,
            rotated_at: self.rotated_at.map(Timestamp::from_millis),
            seen: self.seen,
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            grace: Duration::from_millis(self.grace),
            reuse: self.reuse,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn decide(&self) -> Decision {
        decide(&self.rotation(), self.presented, self.now(), &self.policy())
    }

    fn age(&self) -> Age {
        let Some(at) = self.rotated_at else { return Past };
        let age = (i128::from(self.now) - i128::from(at)).abs();
        let grace = i128::from(self.grace);
        match () {
            () if grace == 0 || age > grace => Past,
            () if age * 3 > grace => Within,
            () => WithinAThird,
        }
    }

    fn presented(&self) -> Presented {
        let healed = self.confirmed == Some(self.current);
        let last = self.current == MAX;
        match (
            self.presented.cmp(&self.current),
            healed,
            self.confirmed == Some(self.presented),
        ) {
            (std::cmp::Ordering::Greater, _, _) => Later,
            (std::cmp::Ordering::Equal, _, _) if last => LastOfAll,
            (std::cmp::Ordering::Equal, _, _) => Current,
            (std::cmp::Ordering::Less, true, _) => BeforeHealed,
            (std::cmp::Ordering::Less, false, true) if last => ConfirmedBeforeLastOfAll,
            (std::cmp::Ordering::Less, false, true) => Confirmed,
            (std::cmp::Ordering::Less, false, false) => Other,
        }
    }

    /// Every row whose columns fit. A column that is empty fits everything.
    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| {
            row.presented == self.presented()
                && row.ages.contains(&self.age())
                && row.seen.is_none_or(|seen| seen == self.seen)
                && row.reuse.is_none_or(|reuse| reuse == self.reuse)
        })
    }

    /// The only row that fits says the same as `decide`.
    fn check(&self) -> Result<(), String> {
        let fitting: Vec<_> = self.rows().collect();
        let [row] = fitting.as_slice() else {
            return Err(format!("{} rows fit {self:?}", fitting.len()));
        };
        let expected = (row.decision)(self);
        let decided = self.decide();
        if decided == expected {
            Ok(())
        } else {
            Err(format!(
                "{self:?} is {decided:?} and should be {expected:?}: {}",
                row.name
            ))
        }
    }

    fn record(&self) -> SessionRecord {
        let lifetime = Lifetime {
            idle: Duration::MAX,
            absolute: Duration::MAX,
        };
        let mut record = SessionRecord::begin(
            SessionId::from_bytes([7; 18]),
            Subject::new("alice").unwrap(),
            "web".into(),
            lifetime,
            Client::default(),
            self.now(),
        );
        record.rotation = self.rotation();
        record
    }
}

/// One row of the table.
struct Row {
    name: &'static str,
    presented: Presented,
    ages: &'static [Age],
    seen: Option<bool>,
    reuse: Option<Reuse>,
    decision: fn(&Case) -> Decision,
}

const ANY: &[Age] = &[WithinAThird, Within, Past];
const IN_GRACE: &[Age] = &[WithinAThird, Within];
const PAST: &[Age] = &[Past];

const fn row(
    name: &'static str,
    presented: Presented,
    ages: &'static [Age],
    seen: Option<bool>,
    reuse: Option<Reuse>,
    decision: fn(&Case) -> Decision,
) -> Row {
    Row {
        name,
        presented,
        ages,
        seen,
        reuse,
        decision,
    }
}

const UNSEEN: Option<bool> = Some(false);
const SEEN: Option<bool> = Some(true);
const STRICT: Option<Reuse> = Some(Reuse::Strict);
const RECOVER: Option<Reuse> = Some(Reuse::Recover);

#[rustfmt::skip]
static ROWS: &[Row] = &[
    row("the current one rotates after the grace", Current, PAST, None, None,
        |case| Rotate { confirmed: case.presented, current: case.presented + 1 }),
    row("the current one is kept within the grace", Current, IN_GRACE, None, None, |_| Keep),
    row("an unseen successor is handed out again in the first third", Confirmed, &[WithinAThird], UNSEEN, None, |_| Resend),
    row("a seen successor is not", Confirmed, &[WithinAThird], SEEN, None, |_| Tolerate),
    row("a predecessor is tolerated until the grace is over", Confirmed, &[Within], None, None, |_| Tolerate),
    row("a lost response is recovered from", Confirmed, PAST, UNSEEN, RECOVER,
        |case| Recover { confirmed: case.presented, current: case.current + 1 }),
    row("or is a theft, strictly", Confirmed, PAST, UNSEEN, STRICT, |_| Stolen),
    row("a predecessor whose successor was seen is a theft", Confirmed, PAST, SEEN, None, |_| Stolen),
    row("any other earlier one is a theft, whenever", Other, ANY, None, None, |_| Stolen),
    row("a lost write is healed without a rotation", Later, ANY, None, None,
        |case| Heal { confirmed: case.presented, current: case.presented }),
    row("what came before a healing is tolerated for its grace", BeforeHealed, IN_GRACE, None, None, |_| Tolerate),
    row("and is a theft after it", BeforeHealed, PAST, None, None, |_| Stolen),
    row("the last number of all is kept within the grace", LastOfAll, IN_GRACE, None, None, |_| Keep),
    row("and then the session ends", LastOfAll, PAST, None, None, |_| Stolen),
    row("its unseen self is handed out", ConfirmedBeforeLastOfAll, &[WithinAThird], UNSEEN, None, |_| Resend),
    row("its seen self is not", ConfirmedBeforeLastOfAll, &[WithinAThird], SEEN, None, |_| Tolerate),
    row("its predecessor is tolerated", ConfirmedBeforeLastOfAll, &[Within], None, None, |_| Tolerate),
    row("but there is nothing to recover to", ConfirmedBeforeLastOfAll, PAST, None, None, |_| Stolen),
];

const REUSES: [Reuse; 2] = [Reuse::Recover, Reuse::Strict];

/// Every combination of small numbers: graces that three divides and that it does not, clocks before and after.
fn small_domain(mut each: impl FnMut(&Case)) {
    let generations = [0, 1, 2, 3, 4, MAX - 1, MAX];
    let rotated = [None, Some(0)];
    for presented in generations {
        for current in generations {
            for confirmed in [None].into_iter().chain(generations.map(Some)) {
                for rotated_at in rotated {
                    for seen in [false, true] {
                        for now in -8..=8 {
                            for grace in [0, 1, 2, 3, 5, 6, 7] {
                                for reuse in REUSES {
                                    each(&Case {
                                        presented,
                                        current,
                                        confirmed,
                                        rotated_at,
                                        seen,
                                        now,
                                        grace,
                                        reuse,
                                    });
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_small_case_has_one_row_and_every_row_a_case() {
    let mut fitted = vec![0_u32; ROWS.len()];
    small_domain(|case| {
        case.check().unwrap();
        for (count, row) in fitted.iter_mut().zip(ROWS) {
            *count += u32::from(case.rows().any(|fitting| std::ptr::eq(fitting, row)));
        }
    });
    for (count, row) in fitted.iter().zip(ROWS) {
        assert!(*count > 0, "nothing tries: {}", row.name);
    }
}

/// The default grace to the millisecond, with the clock before and after the rotation.
#[test]
fn the_zones_end_at_the_millisecond() {
    let case = |presented, seen, age: i64| Case {
        presented,
        current: 8,
        confirmed: Some(7),
        rotated_at: Some(1_700_000_000_000),
        seen,
        now: 1_700_000_000_000 + age,
        grace: 30_000,
        reuse: Reuse::Recover,
    };
    let rotate = Rotate {
        confirmed: 8,
        current: 9,
    };
    let recover = Recover {
        confirmed: 7,
        current: 9,
    };
    for (age, current, unseen, seen) in [
        (0, Keep, Resend, Tolerate),
        (10_000, Keep, Resend, Tolerate),
        (10_001, Keep, Tolerate, Tolerate),
        (30_000, Keep, Tolerate, Tolerate),
        (30_001, rotate, recover, Stolen),
    ] {
        for age in [age, -age] {
            assert_eq!(case(8, true, age).decide(), current, "{age}");
            assert_eq!(case(7, false, age).decide(), unseen, "{age}");
            assert_eq!(case(7, true, age).decide(), seen, "{age}");
            assert_eq!(case(6, false, age).decide(), Stolen, "{age}");
        }
    }
}

#[test]
fn a_grace_of_zero_holds_nothing_back() {
    small_domain(|case| {
        if case.grace == 0 {
            let decided = case.decide();
            assert!(!matches!(decided, Keep | Resend | Tolerate), "{case:?} is {decided:?}");
            let strict = case.reuse == Reuse::Strict && case.presented < case.current;
            assert!(!strict || decided == Stolen, "{case:?} is {decided:?}");
        }
    });
}

/// Whatever leads to a write leads to a later generation than the record's, or to the presented one.
#[test]
fn no_step_goes_back() {
    small_domain(|case| {
        if let Rotate { confirmed, current } | Recover { confirmed, current } | Heal { confirmed, current } =
            case.decide()
        {
            assert!(current > case.current, "{case:?}");
            assert_eq!(confirmed, case.presented);
        }
    });
}

/// The engine's first step, taken before the record is known: as a rotation from `presented`.
fn optimistic(case: &Case) -> Option<Advance> {
    Some(Advance {
        expected: case.presented,
        expected_seen: None,
        unless_within: case.policy().grace,
        confirmed: case.presented,
        current: case.presented.checked_add(1)?,
        idle: Duration::from_secs(60),
    })
}

/// The engine's second step, for what `decide` says about the record that the first one came upon.
fn second(case: &Case) -> Option<Advance> {
    let (confirmed, current, expected_seen, unless_within) = match case.decide() {
        Recover { confirmed, current } => (confirmed, current, Some(false), case.policy().grace),
        Heal { confirmed, current } => (confirmed, current, None, Duration::ZERO),
        _ => return None,
    };
    Some(Advance {
        expected: case.current,
        expected_seen,
        unless_within,
        confirmed,
        current,
        idle: Duration::from_secs(60),
    })
}

fn steps_agree(case: &Case) -> Result<(), String> {
    let record = case.record();
    let rotates = matches!(case.decide(), Rotate { .. });
    let allowed = optimistic(case).is_some_and(|step| step.allowed(&record, case.now()));
    if allowed != rotates {
        return Err(format!(
            "{case:?} is {:?}, and the optimistic step says {allowed}",
            case.decide()
        ));
    }
    let step = optimistic(case).filter(|_| rotates).or_else(|| second(case));
    let Some(step) = step else { return Ok(()) };
    if !step.allowed(&record, case.now()) {
        return Err(format!("{case:?} is {:?}, and its step is refused", case.decide()));
    }
    let mut after = record.clone();
    step.apply(&mut after, case.now());
    let mut expected = record;
    expected.rotation = Rotation {
        current: step.current,
        confirmed: Some(case.presented),
        rotated_at: Some(case.now()),
        seen: false,
    };
    expected.last_seen_at = case.now();
    expected.idle_expires_at = (case.now() + Duration::from_secs(60)).min(expected.absolute_expires_at);
    if after != expected {
        return Err(format!("{case:?} leads to {after:?}"));
    }
    // Who comes second with the same step comes too late.
    if step.allowed(&after, case.now()) {
        return Err(format!("{case:?} is taken twice"));
    }
    Ok(())
}

#[test]
fn the_store_takes_a_step_exactly_where_the_rules_ask_for_it() {
    small_domain(|case| steps_agree(case).unwrap());
}

#[test]
fn a_record_that_changed_since_it_was_read_refuses_the_step() {
    small_domain(|case| {
        let Some(step) = second(case) else { return };
        let refused = |change: fn(&mut SessionRecord, &Case)| {
            let mut record = case.record();
            change(&mut record, case);
            assert!(!step.allowed(&record, case.now()), "{case:?}: {record:?}");
        };
        refused(|record, _| record.rotation.current ^= 1);
        refused(|record, _| record.ended = Some(EndReason::SignedOut));
        refused(|record, case| record.idle_expires_at = case.now());
        refused(|record, case| record.absolute_expires_at = case.now());
        if step.expected_seen.is_some() {
            refused(|record, _| record.rotation.seen ^= true);
            if case.grace > 0 {
                refused(|record, case| record.rotation.rotated_at = Some(case.now()));
            }
        }
    });
}

/// Generations near each other and near the counter's ends.
fn generation() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..6, MAX - 5..=MAX, any::<u32>()]
}

/// Moments near each other, near the ends of time, and anywhere.
fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![
        -100_000_i64..100_000,
        i64::MIN..i64::MIN + 9,
        i64::MAX - 9..=i64::MAX,
        any::<i64>()
    ]
}

fn grace() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0_u64), 1_u64..20, 1_u64..100_000, any::<u64>()]
}

prop_compose! {
    /// Half of the time `now` is within a few milliseconds of a zone's end, before or after the rotation.
    fn case()(
        current in generation(),
        presented in generation(),
        near in -2_i64..=2,
        from_current in any::<bool>(),
        confirmed in proptest::option::weighted(0.9, generation()),
        kin in 0_u8..4,
        rotated_at in proptest::option::weighted(0.9, moment()),
        anywhen in moment(),
        grace in grace(),
        edge in 0_u8..8,
        off in -1_i64..=1,
        seen in any::<bool>(),
        strict in any::<bool>(),
    ) -> Case {
        let presented = if from_current {
            u32::try_from((i64::from(current) + near).clamp(0, i64::from(MAX))).unwrap()
        } else {
            presented
        };
        let confirmed = match kin {
            0 => Some(presented),
            1 => Some(current),
            2 => current.checked_sub(1),
            _ => confirmed,
        };
        let zone = i64::try_from(if edge % 2 == 0 { grace } else { grace / 3 }).unwrap_or(i64::MAX);
        let at = rotated_at.unwrap_or(0);
        let now = match edge {
            0 | 1 => at.saturating_add(zone).saturating_add(off),
            2 | 3 => at.saturating_sub(zone).saturating_sub(off),
            _ => anywhen,
        };
        let reuse = if strict { Reuse::Strict } else { Reuse::Recover };
        Case { presented, current, confirmed, rotated_at, seen, now, grace, reuse }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_case_has_one_row(case in case()) {
        prop_assert_eq!(case.check(), Ok(()));
    }

    #[test]
    fn every_case_has_the_steps_that_it_asks_for(case in case()) {
        // At the very end of time every session is over.
        prop_assume!(case.now < i64::MAX);
        prop_assert_eq!(steps_agree(&case), Ok(()));
    }
}
