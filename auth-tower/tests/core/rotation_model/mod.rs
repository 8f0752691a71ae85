//! The rotation rules against everything that can happen to a session, exhaustively (DESIGN 5).
//!
//! The model has explicit time and runs the crate's own `decide`, `Rotation` and `Advance`. Requests and responses take up to
//! a third of the grace, overtake each other, arrive twice or never; the browser's jar keeps whatever arrived last; marks are
//! late or lost, as at a restart; a thief copies every token; the store falls back to an earlier record.
//!
//! What is left out: the ends of sessions other than by theft, lifetimes, a store's clock that jumps, and a store that forgets
//! more of a recovery than `World::recovered` says.

mod engine;
mod model;
mod rules;
mod world;

use model::{CUT_STAYS_CUT, NEWEST_STAYS, ONE_LINE, SIGNED_IN, Session, THEFT_ENDS};
use rules::{Orphan, Repair, Rules};
use stateright::{Checker, HasDiscoveries, Model};

/// More states than any session here has: rules that never come to rest must fail and not fill the memory.
const MANY: usize = 3_000_000;

/// Every promise holds in every reachable state, and everything that can happen does.
fn holds(session: Session) {
    let checker = session.clone().checker().target_state_count(MANY).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.state_count() < MANY, "not all states were looked at");
    let never = session.never();
    assert!(never.is_empty(), "never happened: {never:?}");
}

/// Some path of at most `steps` steps breaks this promise.
fn breaks(session: Session, promise: &'static str, steps: usize) {
    session
        .checker()
        .finish_when(HasDiscoveries::AnyOf([promise].into()))
        // A state is looked at only if it lies before the depth that is aimed at.
        .target_state_count(MANY)
        .target_max_depth(steps + 2)
        .spawn_bfs()
        .join()
        .assert_any_discovery(promise);
}

fn session() -> Session {
    Session::under(Rules::of(3))
}

/// Ticks of a sixth of the grace, so that there are moments inside each zone and not only at its ends.
fn finer_session() -> Session {
    Session::under(Rules::of(6))
}

fn bent(bend: impl Fn(&mut Rules)) -> Session {
    let mut session = session();
    bend(&mut session.rules);
    session
}

#[test]
fn nobody_is_signed_out_by_the_network_or_a_restart() {
    holds(session());
    holds(finer_session());
}

#[test]
fn instances_that_race_between_a_decision_and_its_write_keep_the_promises() {
    holds(Session {
        two_steps: true,
        ..session()
    });
}

#[test]
fn a_thief_never_has_a_second_line_and_is_found_out() {
    holds(Session {
        thief: true,
        last_generation: 6,
        ..session()
    });
}

#[test]
fn a_thief_who_races_between_a_decision_and_its_write_is_found_out() {
    holds(Session {
        thief: true,
        two_steps: true,
        last_generation: 5,
        ..session()
    });
}

/// The second time it does not lose a healing that is younger than two thirds of the grace.
#[test]
fn nobody_is_signed_out_by_a_store_that_loses_acknowledged_writes_twice() {
    for two_steps in [false, true] {
        holds(Session {
            rollbacks: 2,
            two_steps,
            last_generation: 5,
            ..session()
        });
    }
    holds(Session {
        rollbacks: 1,
        two_steps: true,
        last_generation: 6,
        ..finer_session()
    });
    holds(Session {
        rollbacks: 2,
        last_generation: 5,
        ..finer_session()
    });
}

#[test]
fn a_thief_is_found_out_in_spite_of_a_store_that_loses_acknowledged_writes() {
    holds(Session {
        thief: true,
        rollbacks: 1,
        last_generation: 6,
        ..session()
    });
    holds(Session {
        thief: true,
        rollbacks: 1,
        two_steps: true,
        last_generation: 4,
        ..session()
    });
}

/// However soon the store falls back again.
#[test]
fn a_thief_gains_no_second_line_from_a_store_that_loses_acknowledged_writes_twice() {
    holds(Session {
        thief: true,
        rollbacks: 2,
        apart: 0,
        last_generation: 4,
        ..session()
    });
}

#[test]
fn without_the_floor_an_honest_client_is_signed_out() {
    for floor in 0..3 {
        breaks(bent(|rules| rules.floor = floor), SIGNED_IN, 8);
    }
}

#[test]
fn without_the_floor_a_late_response_puts_an_older_token_over_a_newer_one() {
    breaks(bent(|rules| rules.floor = 0), NEWEST_STAYS, 5);
}

#[test]
fn without_the_grace_an_honest_client_is_signed_out() {
    let session = Session {
        delay: 1,
        ..Session::under(Rules::of(0))
    };
    breaks(session, SIGNED_IN, 4);
}

#[test]
fn with_a_longer_hand_out_an_honest_client_is_signed_out() {
    for hand_out in 2..=3 {
        breaks(bent(|rules| rules.hand_out = hand_out), SIGNED_IN, 9);
    }
}

#[test]
fn with_messages_under_way_for_longer_an_honest_client_is_signed_out() {
    breaks(Session { delay: 2, ..session() }, SIGNED_IN, 9);
}

#[test]
fn an_orphan_that_is_tolerated_hides_a_theft() {
    let session = Session {
        thief: true,
        ..bent(|rules| rules.orphan = Orphan::Tolerated)
    };
    breaks(session, THEFT_ENDS, 12);
}

#[test]
fn an_orphan_that_is_recovered_is_a_second_line() {
    let session = Session {
        thief: true,
        ..bent(|rules| rules.orphan = Orphan::Recovered)
    };
    breaks(session.clone(), ONE_LINE, 1);
    breaks(session, CUT_STAYS_CUT, 13);
}

/// A session whose store falls back once and is healed in another way.
fn healed_by(heal: Repair) -> Session {
    Session {
        rollbacks: 1,
        ..bent(|rules| rules.heal = heal)
    }
}

#[test]
fn healing_without_the_patience_signs_an_honest_client_out() {
    breaks(healed_by(Repair::ByRotation), SIGNED_IN, 6);
    breaks(healed_by(Repair::Intolerant), SIGNED_IN, 6);
    breaks(healed_by(Repair::Narrow), SIGNED_IN, 16);
    breaks(healed_by(Repair::Forgetful), SIGNED_IN, 20);
    breaks(healed_by(Repair::Unforgiving), SIGNED_IN, 20);
}

#[test]
fn healing_with_more_patience_hides_a_theft() {
    let healed_by = |heal| Session {
        thief: true,
        ..healed_by(heal)
    };
    breaks(healed_by(Repair::Tolerant), THEFT_ENDS, 11);
    breaks(healed_by(Repair::Forgiving), CUT_STAYS_CUT, 11);
}

#[test]
fn a_store_that_loses_a_young_healing_signs_an_honest_client_out() {
    let session = Session {
        rollbacks: 2,
        last_generation: 6,
        ..session()
    };
    let apart = session.apart - 1;
    breaks(Session { apart, ..session }, SIGNED_IN, 30);
}
