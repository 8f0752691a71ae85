//! The memory store's bound: it makes room by forgetting what is over, and never a live session.
#![cfg(feature = "memory")]
#![expect(clippy::unwrap_used, reason = "what a test stands on")]

use std::time::Duration;

use auth_tower::session::{ClientInfo, EndReason, Lifetime};
use auth_tower::store::{Cursor, NewSession, Retention, RevocationFeed as _, SessionStore, StoreError};
use auth_tower::{Clock, MemoryStore, SessionId, Subject, Timestamp};

const HOUR: Duration = Duration::from_secs(3_600);

fn session(number: u64) -> NewSession {
    let subject = Subject::new(format!("user {}", number % 7)).unwrap();
    let mut id = [0; 18];
    id[..2].copy_from_slice(&subject.key().routing());
    id[2..10].copy_from_slice(&number.to_be_bytes());
    NewSession {
        id: SessionId::from_bytes(id),
        subject,
        client_id: "web".into(),
        lifetime: Lifetime {
            idle: HOUR,
            absolute: HOUR * 2,
        },
        client: ClientInfo::default(),
    }
}

fn store(capacity: usize) -> (MemoryStore, Clock) {
    let clock = Clock::manual(Timestamp::from_secs(1_700_000_000));
    (MemoryStore::with_clock(clock.clone()).with_capacity(capacity), clock)
}

#[tokio::test]
async fn a_full_store_refuses_and_evicts_nobody() {
    let (store, _) = store(20);
    for number in 0..20 {
        store.create(session(number)).await.unwrap();
    }
    assert!(matches!(store.create(session(20)).await, Err(StoreError::Full)));
    for number in 0..20 {
        assert!(store.find(session(number).id).await.unwrap().is_some());
    }
    assert!(store.find(session(20).id).await.unwrap().is_none());
    // A refused duplicate takes no room either.
    assert!(store.create(session(3)).await.is_err());
}

#[tokio::test]
async fn a_full_store_makes_room_of_what_is_over() {
    let (store, clock) = store(3);
    for number in 0..3 {
        store.create(session(number)).await.unwrap();
    }
    store.end(session(0).id, EndReason::SignedOut).await.unwrap();
    store.create(session(10)).await.expect("one has ended");
    assert!(store.find(session(0).id).await.unwrap().is_none());
    store
        .end_all(&session(1).subject, None, EndReason::AllEnded)
        .await
        .unwrap();
    store.create(session(11)).await.expect("one was ended by its subject");
    assert!(matches!(store.create(session(12)).await, Err(StoreError::Full)));
    clock.advance(HOUR);
    for number in 20..23 {
        store.create(session(number)).await.expect("all have lapsed");
    }
    assert!(matches!(store.create(session(23)).await, Err(StoreError::Full)));
}

#[tokio::test]
async fn nothing_is_left_of_what_was_purged() {
    let (store, clock) = store(1_000);
    for round in 0..50 {
        for number in 0..200 {
            store.create(session(round * 1_000 + number)).await.unwrap();
        }
        for user in 0..7 {
            let subject = session(user).subject;
            store.end_all(&subject, None, EndReason::AllEnded).await.unwrap();
        }
        clock.advance(HOUR);
        let retention = Retention {
            sessions: Duration::ZERO,
            revocations: Duration::ZERO,
        };
        while store.purge(retention).await.unwrap() > 0 {}
    }
    assert!(format!("{store:?}").contains("sessions: 0"), "{store:?}");
    let log = store.revocations_since(Cursor::start(), Duration::ZERO).await.unwrap();
    assert!(log.entries.is_empty());
}

#[tokio::test]
async fn a_clock_that_was_set_back_ends_nobody_and_counts_right() {
    let (store, clock) = store(10);
    let id = store.create(session(1)).await.unwrap().id;
    let subject = session(1).subject;
    clock.advance(HOUR + Duration::from_secs(1));
    // Notices that the session has lapsed.
    assert_eq!(
        store
            .end_all(&session(2).subject, None, EndReason::AllEnded)
            .await
            .unwrap()
            .ended,
        0
    );
    let retention = Retention {
        sessions: HOUR,
        revocations: HOUR,
    };
    store.purge(retention).await.unwrap();
    clock.set(Timestamp::from_secs(1_700_000_000));
    let step = auth_tower::store::Advance {
        expected: 1,
        expected_seen: None,
        unless_within: Duration::ZERO,
        confirmed: 1,
        current: 2,
        idle: HOUR,
    };
    assert!(store.advance(id, step).await.unwrap().unwrap().taken);
    assert_eq!(store.list(&subject, 10).await.unwrap().len(), 1);
    assert_eq!(
        store.end_all(&subject, None, EndReason::AllEnded).await.unwrap().ended,
        1
    );
}
