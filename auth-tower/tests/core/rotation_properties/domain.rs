//! Which cases are tried.

use auth_tower::session::rotation::Reuse;
use proptest::prelude::*;

use super::case::{Case, MAX};

const REUSES: [Reuse; 2] = [Reuse::Recover, Reuse::Strict];

/// Every combination of small numbers: graces that three divides and that it does not, clocks before and after.
pub(crate) fn small_domain(mut each: impl FnMut(&Case)) {
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
    pub(crate) fn case()(
        current in generation(),
        presented in generation(),
        near in -2_i32..=2,
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
            current.saturating_add_signed(near)
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
