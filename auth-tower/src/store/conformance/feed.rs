//! The revocation log misses nothing and repeats nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Harness;
use super::scene::{IDLE, MINUTE, assert_apart, begin, end, end_all, read_on, session, subject, whole_log};
use crate::id::SessionId;
use crate::session::EndReason;
use crate::store::feed::{Cursor, RevocationEvent, RevocationFeed as _, Revoked};

/// Far longer than any answer takes, so that a failure is a failure and not a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn sessions(entries: &[RevocationEvent]) -> Vec<SessionId> {
    entries
        .iter()
        .filter_map(|entry| match entry.what {
            Revoked::Session(id) => Some(id),
            Revoked::Subject { .. } => None,
        })
        .collect()
}

/// There is a place to go on from before anything has happened.
pub async fn an_empty_log_is_complete_and_can_be_followed<H: Harness>(harness: H) {
    let store = harness.store();
    let empty = store
        .revocations_since(Cursor::start(), Duration::ZERO)
        .await
        .expect("read");
    assert!(empty.entries.is_empty() && empty.complete);
    let id = begin(&harness, "alice").await.id;
    end(&harness, id, EndReason::SignedOut).await;
    let (entries, cursor) = read_on(&harness, empty.cursor).await;
    assert_eq!(sessions(&entries), [id]);
    assert!(read_on(&harness, cursor).await.0.is_empty());
}

/// Oldest first, each with its moment.
pub async fn revocations_are_read_in_order_from_the_start<H: Harness>(harness: H) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = begin(&harness, "alice").await.id;
        end(&harness, id, EndReason::SignedOut).await;
        harness.travel(MINUTE).await;
        ids.push(id);
    }
    let page = harness
        .store()
        .revocations_since(Cursor::start(), Duration::ZERO)
        .await
        .expect("read");
    assert_eq!(sessions(&page.entries), ids);
    for (entry, ago) in page.entries.iter().zip((1..=5).rev()) {
        assert_apart(&harness, entry.at, page.now, MINUTE * ago);
    }
    assert_eq!(sessions(&whole_log(&harness).await), ids, "reading removes nothing");
}

/// A reader that follows its cursor sees each entry once, also when it was away for a while.
pub async fn a_cursor_goes_on_after_what_was_read<H: Harness>(harness: H) {
    let mut cursor = Cursor::start();
    for round in 0..6 {
        let mut ids = Vec::new();
        for _ in 0..round {
            let id = begin(&harness, "alice").await.id;
            end(&harness, id, EndReason::SignedOut).await;
            ids.push(id);
        }
        let (entries, next) = read_on(&harness, cursor).await;
        assert_eq!(sessions(&entries), ids);
        cursor = next;
    }
}

/// What a reader stores as text is the same place.
pub async fn a_cursor_survives_being_written_down<H: Harness>(harness: H) {
    let first = begin(&harness, "alice").await.id;
    let second = begin(&harness, "alice").await.id;
    end(&harness, first, EndReason::SignedOut).await;
    let (_, cursor) = read_on(&harness, Cursor::start()).await;
    let written = cursor.place().expect("a place").to_owned();
    end(&harness, second, EndReason::SignedOut).await;
    let (entries, _) = read_on(&harness, Cursor::at(written)).await;
    assert_eq!(sessions(&entries), [second]);
}

/// A reader is told of the subject, not of each session.
pub async fn end_all_is_one_entry_whatever_the_number<H: Harness>(harness: H) {
    let kept = begin(&harness, "alice").await.id;
    for _ in 0..50 {
        begin(&harness, "alice").await;
    }
    end_all(&harness, "alice", Some(kept)).await;
    end_all(&harness, "alice", None).await;
    let entries: Vec<_> = whole_log(&harness).await.iter().map(|entry| entry.what).collect();
    let subject = subject("alice").key();
    let all_but = |keep| Revoked::Subject { subject, keep };
    assert_eq!(entries, [all_but(Some(kept)), all_but(None)]);
}

/// Another instance may hold tokens of a session that this store lost; a session that is not live is not kept.
pub async fn end_all_without_live_sessions_is_an_entry_too<H: Harness>(harness: H) {
    let gone = begin(&harness, "alice").await.id;
    end(&harness, gone, EndReason::SignedOut).await;
    let other = begin(&harness, "bob").await.id;
    for keep in [None, Some(gone), Some(other), Some(session("alice").id)] {
        assert_eq!(end_all(&harness, "alice", keep).await, 0);
    }
    let subject = subject("alice").key();
    let entries: Vec<_> = whole_log(&harness)
        .await
        .iter()
        .skip(1)
        .map(|entry| entry.what)
        .collect();
    assert_eq!(entries, [Revoked::Subject { subject, keep: None }; 4]);
}

/// Repeated, late and mistaken revocations are silent.
pub async fn what_ends_nothing_is_no_entry<H: Harness>(harness: H) {
    let ended = begin(&harness, "alice").await.id;
    let left = begin(&harness, "bob").await.id;
    let expired = begin(&harness, "carol").await.id;
    end(&harness, ended, EndReason::SignedOut).await;
    end_all(&harness, "bob", None).await;
    harness.travel(IDLE).await;
    let before = whole_log(&harness).await.len();
    assert_eq!(before, 2);
    for id in [ended, left, expired, session("nobody").id] {
        end(&harness, id, EndReason::Administrator).await;
    }
    assert_eq!(whole_log(&harness).await.len(), before);
}

/// An instance that has nothing to read hears of the next revocation without asking again.
pub async fn a_reader_waits_and_is_woken<H: Harness>(harness: H) {
    let one = begin(&harness, "alice").await.id;
    begin(&harness, "alice").await;
    let mut cursor = Cursor::start();
    for all in [false, true] {
        let mut reading = Box::pin(harness.store().revocations_since(cursor, PATIENCE * 3));
        assert!(
            timeout(Duration::from_millis(150), &mut reading).await.is_err(),
            "with nothing to tell, the reader waits"
        );
        if all {
            end_all(&harness, "alice", None).await;
        } else {
            end(&harness, one, EndReason::SignedOut).await;
        }
        let page = timeout(PATIENCE, reading).await.expect("woken").expect("read");
        assert_eq!(page.entries.len(), 1);
        assert!(page.complete);
        cursor = page.cursor;
    }
}

/// With nothing to tell, the answer is empty, complete, and in time; with something, it does not wait at all.
pub async fn a_reader_waits_no_longer_than_told<H: Harness>(harness: H) {
    let store = harness.store();
    let wait = Duration::from_millis(120);
    let page = timeout(PATIENCE, store.revocations_since(Cursor::start(), wait))
        .await
        .expect("in time")
        .expect("read");
    assert!(page.entries.is_empty() && page.complete);
    let id = begin(&harness, "alice").await.id;
    end(&harness, id, EndReason::SignedOut).await;
    for wait in [Duration::ZERO, PATIENCE * 3, Duration::MAX] {
        let page = timeout(PATIENCE, store.revocations_since(Cursor::start(), wait))
            .await
            .expect("at once")
            .expect("read");
        assert_eq!(sessions(&page.entries), [id]);
    }
}

/// A page holds at most 1,000 entries and says whether there are more.
pub async fn a_long_log_is_read_in_bounded_pages<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    let mut enders = JoinSet::new();
    for task in 0..8 {
        let harness = Arc::clone(&harness);
        enders.spawn(async move {
            for _ in 0..150 {
                let id = begin(&*harness, &format!("user {task}")).await.id;
                end(&*harness, id, EndReason::SignedOut).await;
            }
        });
    }
    enders.join_all().await;
    let store = harness.store();
    let first = store
        .revocations_since(Cursor::start(), Duration::ZERO)
        .await
        .expect("read");
    assert!(!first.complete);
    assert!(!first.entries.is_empty() && first.entries.len() <= 1_000);
    let (rest, _) = read_on(&*harness, first.cursor).await;
    assert_eq!(first.entries.len() + rest.len(), 1_200);
}

/// Several readers follow the log while it is written from many sides.
pub async fn every_ending_is_read_exactly_once_while_many_are_made<H: Harness>(harness: H) {
    const ENDERS: usize = 8;
    const EACH: usize = 60;
    let harness = Arc::new(harness);
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let harness = Arc::clone(&harness);
        readers.spawn(async move {
            let mut cursor = Cursor::start();
            let mut read: HashMap<SessionId, usize> = HashMap::new();
            while read.len() < ENDERS * EACH {
                // A store may answer without ever waiting, and then the other tasks would get no turn.
                tokio::task::yield_now().await;
                let page = timeout(PATIENCE, harness.store().revocations_since(cursor, PATIENCE))
                    .await
                    .expect("revocations stopped coming: one was skipped")
                    .expect("read");
                assert!(!page.entries.is_empty(), "revocations stopped coming: one was skipped");
                for id in sessions(&page.entries) {
                    let times = read.entry(id).or_default();
                    *times += 1;
                    assert_eq!(*times, 1, "a revocation was read again");
                }
                cursor = page.cursor;
            }
            (read, cursor)
        });
    }
    let mut enders = JoinSet::new();
    for task in 0..ENDERS {
        let harness = Arc::clone(&harness);
        enders.spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..EACH {
                let id = begin(&*harness, &format!("user {task}")).await.id;
                end(&*harness, id, EndReason::SignedOut).await;
                ids.push(id);
            }
            ids
        });
    }
    let ids: Vec<SessionId> = enders.join_all().await.into_iter().flatten().collect();
    for (read, cursor) in readers.join_all().await {
        assert!(ids.iter().all(|id| read.get(id) == Some(&1)), "each exactly once");
        assert!(read_on(&*harness, cursor).await.0.is_empty(), "and nothing else");
    }
}
