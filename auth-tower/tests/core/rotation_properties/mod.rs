//! The table of DESIGN 5, row by row: over every combination of a small domain, at the edges, and on random values.

mod case;
mod domain;
mod table;

use std::time::Duration;

use auth_tower::session::rotation::Decision::{Keep, Recover, Repair, Resend, ReuseDetected, Rotate, Tolerate};
use auth_tower::session::rotation::{Reuse, Rotation};
use auth_tower::session::{EndReason, SessionRecord};
use auth_tower::store::Advance;
use case::{Case, IDLE};
use domain::{case, small_domain};
use proptest::prelude::*;
use table::ROWS;

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
        (30_001, rotate, recover, ReuseDetected),
    ] {
        for age in [age, -age] {
            assert_eq!(case(8, true, age).decide(), current, "{age}");
            assert_eq!(case(7, false, age).decide(), unseen, "{age}");
            assert_eq!(case(7, true, age).decide(), seen, "{age}");
            assert_eq!(case(6, false, age).decide(), ReuseDetected, "{age}");
        }
    }
}

/// The same after a healing, which is more patient with the three that came before.
#[test]
fn the_zones_after_a_healing_end_at_the_millisecond() {
    let case = |presented, seen, age: i64| Case {
        presented,
        current: 8,
        confirmed: Some(8),
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
    let heal = Repair {
        confirmed: 10,
        current: 10,
    };
    for (age, current, unseen, seen, before) in [
        (0, Keep, Resend, Tolerate, Tolerate),
        (10_000, Keep, Resend, Tolerate, Tolerate),
        (10_001, Keep, Tolerate, Tolerate, ReuseDetected),
        (30_000, Keep, Tolerate, Tolerate, ReuseDetected),
        (30_001, rotate, recover, recover, ReuseDetected),
    ] {
        for age in [age, -age] {
            assert_eq!(case(9, true, age).decide(), heal, "{age}");
            assert_eq!(case(8, true, age).decide(), current, "{age}");
            assert_eq!(case(7, false, age).decide(), unseen, "{age}");
            assert_eq!(case(7, true, age).decide(), seen, "{age}");
            assert_eq!(case(6, true, age).decide(), before, "{age}");
            assert_eq!(case(5, true, age).decide(), before, "{age}");
            assert_eq!(case(4, true, age).decide(), ReuseDetected, "{age}");
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
            assert!(!strict || decided == ReuseDetected, "{case:?} is {decided:?}");
        }
    });
}

#[test]
fn no_step_goes_back() {
    small_domain(|case| {
        if let Rotate { current, .. } | Recover { current, .. } | Repair { current, .. } = case.decide() {
            assert!(current > case.current && current > case.presented, "{case:?}");
        }
    });
}

#[test]
fn only_a_healing_leaves_the_mark_of_one() {
    small_domain(|case| match case.decide() {
        Repair { confirmed, current } => assert_eq!(confirmed, current, "{case:?}"),
        Rotate { confirmed, current } | Recover { confirmed, current } => {
            assert_eq!(confirmed, case.presented, "{case:?}");
            assert!(confirmed < current, "{case:?}");
        }
        Keep | Resend | Tolerate | ReuseDetected => {}
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
        idle: IDLE,
    })
}

/// The engine's second step, for what `decide` says about the record that the first one came upon.
fn second(case: &Case) -> Option<Advance> {
    let (confirmed, current, unless_within) = match case.decide() {
        Recover { confirmed, current } => (confirmed, current, case.policy().grace),
        Repair { confirmed, current } => (confirmed, current, Duration::ZERO),
        _ => return None,
    };
    Some(Advance {
        expected: case.current,
        expected_seen: Some(case.seen),
        unless_within,
        confirmed,
        current,
        idle: IDLE,
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
        confirmed: Some(step.confirmed),
        rotated_at: Some(case.now()),
        seen: false,
    };
    expected.last_seen_at = case.now();
    expected.idle_expires_at = (case.now() + IDLE).min(expected.absolute_expires_at);
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
        refused(|record, _| record.rotation.seen ^= true);
        if !step.unless_within.is_zero() {
            refused(|record, case| record.rotation.rotated_at = Some(case.now()));
        }
    });
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
