//! Sessions to try things on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use auth_tower::session::record::{Client, EndReason, Lifetime};
use auth_tower::session::store::{
    Advance, Cursor, Ended, Ending, NewSession, RedisOptions, RedisStore, SessionStore, StoreError,
};
use auth_tower::{SessionId, Subject};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

pub(crate) fn session(name: &str) -> NewSession {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let subject = subject(name);
    let mut id = [0x5a; 18];
    id[..2].copy_from_slice(&subject.key().routing());
    id[2..10].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    NewSession {
        id: SessionId::from_bytes(id),
        subject,
        client_id: "web".into(),
        lifetime: Lifetime {
            idle: HOUR,
            absolute: HOUR * 3,
        },
        client: Client::default(),
    }
}

pub(crate) fn step(generation: u32) -> Advance {
    Advance {
        expected: generation,
        expected_seen: None,
        unless_within: Duration::ZERO,
        confirmed: generation,
        current: generation + 1,
        idle: HOUR,
    }
}

pub(crate) async fn connect(url: &str) -> RedisStore {
    RedisStore::connect(url).await.unwrap()
}

/// With a deadline that a test can wait for.
pub(crate) async fn impatient(url: &str) -> RedisStore {
    let options = RedisOptions::new().with_deadline(Duration::from_millis(600));
    options.connect(url).await.unwrap()
}

pub(crate) async fn begin(store: &RedisStore, name: &str) -> SessionId {
    store.create(session(name)).await.unwrap().id
}

pub(crate) async fn end(store: &RedisStore, id: SessionId) {
    store.end(id, EndReason::SignedOut).await.unwrap().unwrap();
}

pub(crate) async fn is_live(store: &RedisStore, id: SessionId) -> bool {
    let found = store.find(id).await.unwrap();
    found.is_some_and(|found| found.record.over(found.now).is_none())
}

/// Everything after `cursor`, and where it ends.
pub(crate) async fn read_on(store: &RedisStore, mut cursor: Cursor) -> (Vec<Ending>, Cursor) {
    let mut entries = Vec::new();
    loop {
        let page = store.ended_since(cursor, Duration::ZERO).await.unwrap();
        entries.extend(page.entries);
        cursor = page.cursor;
        if page.complete {
            return (entries, cursor);
        }
    }
}

pub(crate) fn sessions(entries: &[Ending]) -> Vec<SessionId> {
    entries
        .iter()
        .filter_map(|entry| match entry.what {
            Ended::Session(id) => Some(id),
            Ended::AllOf { .. } => None,
        })
        .collect()
}

/// How long it took until `find` was answered again.
pub(crate) async fn until_it_answers(store: &RedisStore, id: SessionId) -> Duration {
    let begun = Instant::now();
    loop {
        match store.find(id).await {
            Ok(_) => return begun.elapsed(),
            Err(error) => assert!(begun.elapsed() < PATIENCE, "no answer any more: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn is_outage(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Timeout)
}
