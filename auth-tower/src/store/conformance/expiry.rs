//! Sessions expire at the very millisecond of their deadlines.

use std::time::Duration;

use super::Harness;
use super::scene::{
    ABSOLUTE, IDLE, MILLISECOND, MINUTE, acknowledge, advance, assert_apart, begin, create, end, end_all, found, list,
    prompt_step, session, terminated, whole_log,
};
use crate::session::{EndReason, Lifetime, Terminated};
use crate::store::session::{Advance, NewSession};

/// Travels to just before a deadline that lies `ahead`, calls it live, and then steps onto it.
async fn expires_after<H: Harness>(harness: &H, id: crate::id::SessionId, ahead: Duration) {
    harness.travel(ahead - MILLISECOND - harness.slack()).await;
    assert_eq!(terminated(harness, id).await, None, "one millisecond before");
    assert!(list(harness, "alice", 10).await.contains(&id));
    harness.travel(MILLISECOND + harness.slack()).await;
    assert_eq!(
        terminated(harness, id).await,
        Some(Terminated::Expired),
        "at the deadline"
    );
    assert!(!list(harness, "alice", 10).await.contains(&id));
}

/// `now >= idle_expires_at` is over.
pub async fn a_session_expires_at_the_very_end_of_its_idle_time<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    expires_after(&harness, id, IDLE).await;
    assert!(!advance(&harness, id, prompt_step(1)).await.taken);
    let second = begin(&harness, "alice").await.id;
    harness.travel(IDLE - MILLISECOND - harness.slack()).await;
    assert!(advance(&harness, second, prompt_step(1)).await.taken, "one before");
    expires_after(&harness, second, IDLE).await;
}

/// `now >= absolute_expires_at` is over, however often the session was refreshed.
pub async fn a_session_expires_at_the_very_end_of_its_absolute_time<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    let pause = IDLE - MINUTE;
    let mut passed = Duration::ZERO;
    let mut generation = 1;
    while passed + pause < ABSOLUTE {
        harness.travel(pause).await;
        passed += pause;
        assert!(advance(&harness, id, prompt_step(generation)).await.taken);
        generation += 1;
    }
    let left = ABSOLUTE - passed;
    assert!(
        left < IDLE && left > harness.slack() * 4,
        "the last stretch is bounded by the absolute time"
    );
    let slack = harness.slack() * 2;
    harness.travel(left - MILLISECOND - slack).await;
    assert_eq!(terminated(&harness, id).await, None, "one millisecond before");
    harness.travel(MILLISECOND + slack).await;
    assert_eq!(terminated(&harness, id).await, Some(Terminated::Expired));
    assert!(!advance(&harness, id, prompt_step(generation)).await.taken);
}

/// The idle deadline never lies behind the absolute one, neither at the start nor after a step.
pub async fn refreshing_never_outlives_the_absolute_time<H: Harness>(harness: H) {
    let short = NewSession {
        lifetime: Lifetime {
            idle: IDLE,
            absolute: IDLE / 2,
        },
        ..session("alice")
    };
    let created = create(&harness, short).await;
    assert_eq!(created.idle_expires_at, created.absolute_expires_at);
    harness.travel(MINUTE).await;
    let endless = Advance {
        idle: Duration::MAX,
        ..prompt_step(1)
    };
    assert!(advance(&harness, created.id, endless).await.taken);
    let record = found(&harness, created.id).await.record;
    assert_eq!(record.idle_expires_at, record.absolute_expires_at);
    assert_apart(&harness, record.created_at, record.absolute_expires_at, IDLE / 2);
}

/// An application that shortens its idle time is obeyed, also by the count of live sessions.
pub async fn a_shorter_idle_time_takes_effect_at_the_next_step<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    let shorter = Advance {
        idle: MINUTE,
        ..prompt_step(1)
    };
    assert!(advance(&harness, id, shorter).await.taken);
    expires_after(&harness, id, MINUTE).await;
    assert_eq!(end_all(&harness, "alice", None).await, 0);
}

/// Nothing moves a session that has expired.
pub async fn an_expired_session_is_neither_advanced_nor_acknowledged<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    harness.travel(IDLE).await;
    let before = found(&harness, id).await.record;
    assert!(!advance(&harness, id, prompt_step(1)).await.taken);
    acknowledge(&harness, id, 1).await;
    assert_eq!(found(&harness, id).await.record, before);
}

/// Over is over: no reason is added, and nothing appended to the log.
pub async fn an_expired_session_is_not_ended_again<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    harness.travel(IDLE).await;
    let answer = end(&harness, id, EndReason::SignedOut).await.expect("known");
    assert_eq!(answer.record.status(answer.now), Some(Terminated::Expired));
    assert_eq!(terminated(&harness, id).await, Some(Terminated::Expired));
    assert!(whole_log(&harness).await.is_empty());
}

/// An expired session does not show.
pub async fn an_expired_session_is_neither_listed_nor_counted<H: Harness>(harness: H) {
    let expired = begin(&harness, "alice").await.id;
    harness.travel(IDLE / 2).await;
    let live = begin(&harness, "alice").await.id;
    harness.travel(IDLE / 2).await;
    assert_eq!(list(&harness, "alice", 10).await, [live]);
    assert_eq!(list(&harness, "alice", 1).await, [live]);
    assert_eq!(end_all(&harness, "alice", Some(expired)).await, 1);
    assert!(
        terminated(&harness, expired).await.is_some(),
        "keeping it does not help"
    );
}

/// A deadline that a refresh moved is not remembered anywhere.
pub async fn a_refreshed_session_is_counted_and_listed_past_its_first_deadline<H: Harness>(harness: H) {
    let one = begin(&harness, "alice").await.id;
    begin(&harness, "alice").await;
    harness.travel(IDLE - MINUTE).await;
    assert!(advance(&harness, one, prompt_step(1)).await.taken);
    harness.travel(MINUTE * 2).await;
    assert_eq!(list(&harness, "alice", 10).await, [one]);
    assert_eq!(end_all(&harness, "alice", None).await, 1);
}
