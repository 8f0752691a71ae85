//! What is over goes in time, in small portions, and stays gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Harness;
use super::scene::{
    ABSOLUTE, IDLE, MILLISECOND, MINUTE, advance, begin, end, end_all, found, list, look, prompt_step, purge, read_on,
    terminated, whole_log,
};
use crate::id::SessionId;
use crate::session::{EndReason, Terminated};
use crate::store::feed::Cursor;
use crate::store::session::{Retention, SessionStore};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const KEPT: Retention = Retention {
    sessions: MINUTE,
    revocations: DAY,
};

/// Not even without any retention, and not when its first deadline has passed.
pub async fn a_live_session_is_never_removed<H: Harness>(harness: H) {
    let nothing = Retention {
        sessions: Duration::ZERO,
        revocations: Duration::ZERO,
    };
    let id = begin(&harness, "alice").await.id;
    for generation in 1..=4 {
        assert_eq!(purge(&harness, nothing).await, 0);
        harness.travel(IDLE / 2 + MINUTE).await;
        assert!(advance(&harness, id, prompt_step(generation)).await.taken);
        assert_eq!(purge(&harness, nothing).await, 0);
    }
    assert_eq!(terminated(&harness, id).await, None);
    assert_eq!(list(&harness, "alice", 10).await, [id]);
}

/// Asserts that a session which was over for `already` goes once it was over for more than the retention.
async fn goes_after<H: Harness>(harness: &H, id: SessionId, already: Duration) {
    let was = terminated(harness, id).await;
    assert!(was.is_some());
    harness.travel(KEPT.sessions - already - harness.slack()).await;
    assert_eq!(purge(harness, KEPT).await, 0, "at the end of the retention");
    assert_eq!(terminated(harness, id).await, was);
    harness.travel(harness.slack() + MILLISECOND).await;
    purge(harness, KEPT).await;
    assert!(look(harness, id).await.is_none(), "past the retention");
    assert!(!list(harness, "alice", 10).await.contains(&id));
}

/// It counts from the deadline as the last refresh left it.
pub async fn an_expired_session_stays_for_the_retention_and_then_goes<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    harness.travel(MINUTE).await;
    assert!(advance(&harness, id, prompt_step(1)).await.taken);
    harness.travel(IDLE).await;
    goes_after(&harness, id, Duration::ZERO).await;
}

/// Not from the deadline that it would have had.
pub async fn an_ended_session_counts_from_its_ending<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    harness.travel(MINUTE).await;
    end(&harness, id, EndReason::SignedOut).await;
    goes_after(&harness, id, Duration::ZERO).await;
}

/// Each from the `end_all` that ended it, however many followed.
pub async fn sessions_ended_at_once_count_from_that_moment<H: Harness>(harness: H) {
    let first = begin(&harness, "alice").await.id;
    let kept = begin(&harness, "alice").await.id;
    end_all(&harness, "alice", Some(kept)).await;
    harness.travel(MINUTE / 2).await;
    let second = begin(&harness, "alice").await.id;
    end_all(&harness, "alice", Some(kept)).await;
    goes_after(&harness, first, MINUTE / 2).await;
    assert_eq!(
        terminated(&harness, second).await,
        Some(Terminated::Ended(EndReason::AllEnded))
    );
    goes_after(&harness, second, MINUTE / 2 + MILLISECOND).await;
    assert_eq!(terminated(&harness, kept).await, None);
    assert_eq!(list(&harness, "alice", 10).await, [kept]);
}

/// At most 1,000 rows a call, and the rest in later calls.
pub async fn a_purge_is_bounded<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    let mut beginners = JoinSet::new();
    for task in 0..8 {
        let harness = Arc::clone(&harness);
        beginners.spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..150 {
                ids.push(begin(&*harness, &format!("user {}", task / 4)).await.id);
            }
            ids
        });
    }
    let ids: Vec<SessionId> = beginners.join_all().await.into_iter().flatten().collect();
    assert_eq!(end_all(&*harness, "user 0", None).await, 600);
    let live = begin(&*harness, "user 0").await.id;
    harness.travel(IDLE).await;
    harness.travel(MINUTE * 2).await;
    let live_too = begin(&*harness, "user 1").await.id;
    purge(&*harness, KEPT).await;
    for id in ids {
        assert!(look(&*harness, id).await.is_none());
    }
    assert!(look(&*harness, live).await.is_none(), "expired like the others");
    assert_eq!(terminated(&*harness, live_too).await, None);
}

/// A reader from the start then sees the younger ones only; one with a cursor is not disturbed.
pub async fn entries_stay_for_the_retention_and_then_go<H: Harness>(harness: H) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(begin(&harness, "alice").await.id);
    }
    end(&harness, ids[0], EndReason::SignedOut).await;
    let (_, cursor) = read_on(&harness, Cursor::start()).await;
    harness.travel(MINUTE * 5).await;
    end(&harness, ids[1], EndReason::SignedOut).await;
    harness.travel(MINUTE * 5 - harness.slack()).await;
    let kept = Retention {
        sessions: DAY,
        revocations: MINUTE * 10,
    };
    assert_eq!(purge(&harness, kept).await, 0);
    assert_eq!(whole_log(&harness).await.len(), 2);
    harness.travel(MILLISECOND + harness.slack()).await;
    purge(&harness, kept).await;
    assert_eq!(whole_log(&harness).await.len(), 1);
    end(&harness, ids[2], EndReason::SignedOut).await;
    assert_eq!(read_on(&harness, cursor.clone()).await.0.len(), 2);
    harness.travel(MINUTE * 11).await;
    purge(&harness, kept).await;
    assert!(whole_log(&harness).await.is_empty());
    let late = begin(&harness, "bob").await.id;
    end(&harness, late, EndReason::SignedOut).await;
    let (entries, _) = read_on(&harness, cursor).await;
    assert_eq!(entries.len(), 1, "an old cursor goes on with what there is");
}

/// Forgetting the log, or other sessions, does not revive a session that is still remembered.
pub async fn a_purge_brings_no_session_back<H: Harness>(harness: H) {
    let left = begin(&harness, "alice").await.id;
    end_all(&harness, "alice", None).await;
    let ended = begin(&harness, "alice").await.id;
    end(&harness, ended, EndReason::Reused).await;
    let live = begin(&harness, "alice").await.id;
    harness.travel(MINUTE).await;
    let forgetful = Retention {
        sessions: ABSOLUTE,
        revocations: Duration::ZERO,
    };
    purge(&harness, forgetful).await;
    assert!(whole_log(&harness).await.is_empty());
    assert_eq!(
        terminated(&harness, left).await,
        Some(Terminated::Ended(EndReason::AllEnded))
    );
    assert_eq!(
        terminated(&harness, ended).await,
        Some(Terminated::Ended(EndReason::Reused))
    );
    assert!(!advance(&harness, left, prompt_step(1)).await.taken);
    assert_eq!(terminated(&harness, live).await, None);
    harness.travel(MINUTE).await;
    purge(&harness, KEPT).await;
    for id in [left, ended] {
        assert!(look(&harness, id).await.is_none());
        assert!(end(&harness, id, EndReason::SignedOut).await.is_none());
    }
    assert_eq!(list(&harness, "alice", 10).await, [live]);
}

/// Whatever bookkeeping a store keeps of epochs, forgetting it changes nothing.
pub async fn end_all_works_the_same_after_a_purge<H: Harness>(harness: H) {
    begin(&harness, "alice").await;
    let kept = begin(&harness, "alice").await.id;
    assert_eq!(end_all(&harness, "alice", Some(kept)).await, 1);
    harness.travel(MINUTE * 2).await;
    purge(
        &harness,
        Retention {
            revocations: MINUTE,
            ..KEPT
        },
    )
    .await;
    let new = begin(&harness, "alice").await.id;
    assert_eq!(terminated(&harness, kept).await, None);
    assert_eq!(terminated(&harness, new).await, None);
    assert_eq!(end_all(&harness, "alice", Some(new)).await, 1);
    assert!(terminated(&harness, kept).await.is_some());
    assert_eq!(end_all(&harness, "alice", None).await, 1);
    assert_eq!(found(&harness, new).await.record.ended, Some(EndReason::AllEnded));
    harness.travel(MINUTE * 2).await;
    purge(
        &harness,
        Retention {
            revocations: MINUTE,
            ..KEPT
        },
    )
    .await;
    assert!(look(&harness, new).await.is_none());
    let again = begin(&harness, "alice").await.id;
    assert_eq!(list(&harness, "alice", 10).await, [again]);
    assert!(harness.store().purge(KEPT).await.is_ok());
}
