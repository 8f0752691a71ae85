//! Steps of the generation counter are taken on their conditions, and acknowledgements where they belong.

use std::time::Duration;

use super::Harness;
use super::scene::{
    GRACE, IDLE, MILLISECOND, MINUTE, acknowledge, advance, assert_apart, begin, found, prompt_step, step,
};
use crate::session::rotation::Rotation;
use crate::store::session::{Acknowledgement, Advance, SessionStore};

/// Everything that the contract says of a taken step.
pub async fn a_step_moves_the_generation_and_starts_the_idle_time_anew<H: Harness>(harness: H) {
    let created = begin(&harness, "alice").await;
    harness.travel(MINUTE).await;
    let taken = advance(&harness, created.id, step(1)).await;
    assert!(taken.taken);
    let after = found(&harness, created.id).await;
    let record = &after.record;
    assert_eq!(record.rotation.current, 2);
    assert_eq!(record.rotation.confirmed, Some(1));
    assert!(!record.rotation.seen);
    let rotated_at = record.rotation.rotated_at.expect("rotated");
    assert_apart(&harness, taken.now, rotated_at, Duration::ZERO);
    assert_apart(&harness, rotated_at, after.now, Duration::ZERO);
    assert_eq!(record.last_seen_at, rotated_at);
    assert_eq!(record.idle_expires_at, rotated_at + IDLE);
    assert_apart(&harness, record.created_at, record.last_seen_at, MINUTE);
    assert_apart(
        &harness,
        record.created_at,
        record.absolute_expires_at,
        super::scene::ABSOLUTE,
    );
    assert_eq!(record.ended, None);
}

/// Taken or not, the answer shows what was there.
pub async fn a_step_returns_the_record_before_it<H: Harness>(harness: H) {
    let created = begin(&harness, "alice").await;
    let first = advance(&harness, created.id, step(1)).await;
    assert!(first.taken);
    assert_eq!(first.before, created);
    let between = found(&harness, created.id).await;
    let second = advance(&harness, created.id, step(1)).await;
    assert!(!second.taken);
    assert_eq!(second.before, between.record);
    assert_apart(&harness, between.now, second.now, Duration::ZERO);
}

/// Neither an earlier nor a later generation moves.
pub async fn a_step_from_another_generation_is_not_taken<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    assert!(advance(&harness, id, prompt_step(1)).await.taken);
    let before = found(&harness, id).await.record;
    for generation in [0, 1, 3, u32::MAX - 1] {
        let tried = advance(&harness, id, prompt_step(generation)).await;
        assert!(!tried.taken, "from {generation}");
        assert_eq!(found(&harness, id).await.record, before);
    }
}

/// The same step again finds its condition gone.
pub async fn a_step_is_taken_once<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    assert!(advance(&harness, id, prompt_step(1)).await.taken);
    assert!(!advance(&harness, id, prompt_step(1)).await.taken);
    assert_eq!(found(&harness, id).await.record.rotation.current, 2);
}

/// `expected_seen` is a condition where it is given, both ways.
pub async fn a_step_asks_for_seen_only_where_told<H: Harness>(harness: H) {
    let asking = |generation, seen| Advance {
        expected_seen: seen,
        ..prompt_step(generation)
    };
    let id = begin(&harness, "alice").await.id;
    assert!(!advance(&harness, id, asking(1, Some(true))).await.taken);
    assert!(advance(&harness, id, asking(1, Some(false))).await.taken);
    acknowledge(&harness, id, 2).await;
    assert!(!advance(&harness, id, asking(2, Some(false))).await.taken);
    assert!(advance(&harness, id, asking(2, Some(true))).await.taken);
    assert!(advance(&harness, id, asking(3, None)).await.taken);
    acknowledge(&harness, id, 4).await;
    assert!(advance(&harness, id, asking(4, None)).await.taken);
}

/// At exactly the bound a step is still held back; one millisecond later it is not.
pub async fn a_step_waits_until_the_last_rotation_is_past_the_bound<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    assert!(advance(&harness, id, step(1)).await.taken);
    assert!(!advance(&harness, id, step(2)).await.taken, "in the same moment");
    harness.travel(GRACE - harness.slack()).await;
    assert!(!advance(&harness, id, step(2)).await.taken, "at the bound");
    harness.travel(harness.slack() + MILLISECOND).await;
    assert!(advance(&harness, id, step(2)).await.taken, "past the bound");
    assert!(!advance(&harness, id, step(3)).await.taken, "the bound counts anew");
}

/// The classical semantics: every presentation rotates, also twice in one millisecond.
pub async fn a_bound_of_zero_holds_nothing_back<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    for generation in 1..=5 {
        assert!(advance(&harness, id, prompt_step(generation)).await.taken);
    }
    assert_eq!(found(&harness, id).await.record.rotation.current, 6);
}

/// A session that never rotated is older than any grace.
pub async fn a_session_that_never_rotated_is_not_held_back<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    let patient = Advance {
        unless_within: Duration::from_secs(1_000_000),
        ..step(1)
    };
    assert!(advance(&harness, id, patient).await.taken);
}

/// A lost response: a new generation beside the one that no client saw.
pub async fn a_recovering_step_keeps_the_confirmed_generation<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    assert!(advance(&harness, id, step(1)).await.taken);
    harness.travel(GRACE + MINUTE).await;
    let recover = Advance {
        expected: 2,
        expected_seen: Some(false),
        confirmed: 1,
        current: 3,
        ..step(2)
    };
    assert!(advance(&harness, id, recover).await.taken);
    let rotation = found(&harness, id).await.record.rotation;
    assert_eq!((rotation.current, rotation.confirmed), (3, Some(1)));
}

/// The store lost writes that the client remembers.
pub async fn a_repairing_step_jumps_forward<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    let repair = Advance {
        confirmed: 7,
        current: 8,
        ..prompt_step(1)
    };
    assert!(advance(&harness, id, repair).await.taken);
    let rotation = found(&harness, id).await.record.rotation;
    assert_eq!((rotation.current, rotation.confirmed), (8, Some(7)));
    assert!(!rotation.seen);
}

/// Generations are 32 bits, without a sign.
pub async fn the_largest_generation_is_kept<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    let jump = Advance {
        confirmed: u32::MAX - 1,
        current: u32::MAX,
        ..prompt_step(1)
    };
    assert!(advance(&harness, id, jump).await.taken);
    acknowledge(&harness, id, u32::MAX).await;
    let rotation = found(&harness, id).await.record.rotation;
    assert_eq!((rotation.current, rotation.confirmed), (u32::MAX, Some(u32::MAX - 1)));
    assert!(rotation.seen);
}

/// The acknowledgement also says when the client was last noticed.
pub async fn a_mark_of_the_current_generation_is_kept<H: Harness>(harness: H) {
    let created = begin(&harness, "alice").await;
    harness.travel(MINUTE).await;
    acknowledge(&harness, created.id, 1).await;
    let after = found(&harness, created.id).await;
    assert!(after.record.rotation.seen);
    assert_apart(&harness, after.record.last_seen_at, after.now, Duration::ZERO);
    assert_apart(&harness, after.record.created_at, after.record.last_seen_at, MINUTE);
    assert_eq!(
        (after.record.rotation.current, after.record.rotation.confirmed),
        (created.rotation.current, created.rotation.confirmed)
    );
    assert_apart(&harness, after.record.created_at, after.record.idle_expires_at, IDLE);
}

/// An acknowledgement proves nothing about another generation.
pub async fn a_mark_of_another_generation_is_ignored<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    assert!(advance(&harness, id, step(1)).await.taken);
    let before = found(&harness, id).await.record;
    for generation in [0, 1, 3, u32::MAX] {
        acknowledge(&harness, id, generation).await;
        assert_eq!(found(&harness, id).await.record, before, "marked {generation}");
    }
}

/// Marking is idempotent: `last_seen_at` is that of the first proof.
pub async fn a_second_mark_changes_nothing<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    acknowledge(&harness, id, 1).await;
    harness.travel(MINUTE).await;
    acknowledge(&harness, id, 1).await;
    let after = found(&harness, id).await;
    assert!(after.record.rotation.seen);
    assert_apart(&harness, after.record.last_seen_at, after.now, MINUTE);
}

/// Good acknowledgements count whatever stands beside them.
pub async fn one_call_marks_many_sessions<H: Harness>(harness: H) {
    let mut acknowledgements = Vec::new();
    for name in ["alice", "bob", "carol"] {
        for generation in [1, 9] {
            let id = begin(&harness, name).await.id;
            acknowledgements.push(Acknowledgement { id, generation });
        }
    }
    acknowledgements.push(Acknowledgement {
        id: super::scene::session("nobody").id,
        generation: 1,
    });
    acknowledgements.extend(acknowledgements.clone());
    harness
        .store()
        .acknowledge(acknowledgements.clone())
        .await
        .expect("acknowledge");
    for one in &acknowledgements[..6] {
        let seen = found(&harness, one.id).await.record.rotation.seen;
        assert_eq!(seen, one.generation == 1);
    }
}

/// What proved the old generation says nothing about the new one.
pub async fn a_step_makes_the_new_generation_unseen<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    acknowledge(&harness, id, 1).await;
    let step = advance(&harness, id, step(1)).await;
    assert!(step.taken && step.before.rotation.seen);
    let Rotation { current, seen, .. } = found(&harness, id).await.record.rotation;
    assert_eq!((current, seen), (2, false));
}
