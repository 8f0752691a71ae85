//! What the properties are told with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Harness;
use crate::clock::Timestamp;
use crate::id::{SessionId, Subject};
use crate::session::{ClientInfo, EndReason, Lifetime, SessionRecord, Terminated};
use crate::store::feed::{Cursor, RevocationEvent, RevocationFeed as _};
use crate::store::session::{Acknowledgement, Advance, Advanced, Found, NewSession, Retention, SessionStore};

pub(super) const IDLE: Duration = Duration::from_secs(3_600);
pub(super) const ABSOLUTE: Duration = Duration::from_secs(3 * 3_600);
pub(super) const GRACE: Duration = Duration::from_secs(30);
pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn subject(name: &str) -> Subject {
    Subject::new(name).expect("a fixed name")
}

/// A session of `name` with an id of its own.
pub(super) fn session(name: &str) -> NewSession {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let subject = subject(name);
    let mut id = [0x5a; 18];
    let [first, second] = subject.key().routing();
    id[0] = first;
    id[1] = second;
    // Mixed, so that the order of ids says nothing about the order of creation.
    let number = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id[2..10].copy_from_slice(&number.to_be_bytes());
    NewSession {
        id: SessionId::from_bytes(id),
        subject,
        client_id: "web".into(),
        lifetime: Lifetime {
            idle: IDLE,
            absolute: ABSOLUTE,
        },
        client: ClientInfo::default(),
    }
}

/// The normal step from `generation` to the next one.
pub(super) fn step(generation: u32) -> Advance {
    Advance {
        expected: generation,
        expected_seen: None,
        unless_within: GRACE,
        confirmed: generation,
        current: generation + 1,
        idle: IDLE,
    }
}

/// The same, whenever the last rotation was.
pub(super) fn prompt_step(generation: u32) -> Advance {
    Advance {
        unless_within: Duration::ZERO,
        ..step(generation)
    }
}

pub(super) async fn begin<H: Harness>(harness: &H, name: &str) -> SessionRecord {
    create(harness, session(name)).await
}

pub(super) async fn create<H: Harness>(harness: &H, session: NewSession) -> SessionRecord {
    harness.store().create(session).await.expect("create")
}

pub(super) async fn look<H: Harness>(harness: &H, id: SessionId) -> Option<Found> {
    harness.store().find(id).await.expect("find")
}

pub(super) async fn found<H: Harness>(harness: &H, id: SessionId) -> Found {
    look(harness, id).await.expect("the session is known")
}

pub(super) async fn terminated<H: Harness>(harness: &H, id: SessionId) -> Option<Terminated> {
    let found = found(harness, id).await;
    found.record.status(found.now)
}

pub(super) async fn advance<H: Harness>(harness: &H, id: SessionId, step: Advance) -> Advanced {
    harness
        .store()
        .advance(id, step)
        .await
        .expect("advance")
        .expect("the session is known")
}

pub(super) async fn acknowledge<H: Harness>(harness: &H, id: SessionId, generation: u32) {
    let acknowledgements = vec![Acknowledgement { id, generation }];
    harness
        .store()
        .acknowledge(acknowledgements)
        .await
        .expect("acknowledge");
}

pub(super) async fn end<H: Harness>(harness: &H, id: SessionId, reason: EndReason) -> Option<Found> {
    harness.store().end(id, reason).await.expect("end")
}

pub(super) async fn end_all<H: Harness>(harness: &H, name: &str, keep: Option<SessionId>) -> u64 {
    harness
        .store()
        .end_all(&subject(name), keep, EndReason::AllEnded)
        .await
        .expect("end_all")
        .ended
}

pub(super) async fn list<H: Harness>(harness: &H, name: &str, limit: usize) -> Vec<SessionId> {
    let listed = harness.store().list(&subject(name), limit).await.expect("list");
    listed.iter().map(|record| record.id).collect()
}

/// Everything that the log holds after `cursor`, and where it ends.
pub(super) async fn read_on<H: Harness>(harness: &H, mut cursor: Cursor) -> (Vec<RevocationEvent>, Cursor) {
    let mut entries = Vec::new();
    for _ in 0..10_000 {
        let page = harness
            .store()
            .revocations_since(cursor, Duration::ZERO)
            .await
            .expect("revocations_since");
        assert!(
            page.complete || !page.entries.is_empty(),
            "a page that says there is more must make progress"
        );
        entries.extend(page.entries);
        cursor = page.cursor;
        if page.complete {
            return (entries, cursor);
        }
    }
    panic!("the log has no end");
}

pub(super) async fn whole_log<H: Harness>(harness: &H) -> Vec<RevocationEvent> {
    read_on(harness, Cursor::start()).await.0
}

/// Purges until nothing is left to remove; returns how many rows went.
pub(super) async fn purge<H: Harness>(harness: &H, retention: Retention) -> u64 {
    let mut removed = 0;
    for _ in 0..10_000 {
        match harness.store().purge(retention).await.expect("purge") {
            0 => return removed,
            rows => {
                assert!(rows <= 1_000, "a purge removes at most 1,000 rows, not {rows}");
                removed += rows;
            }
        }
    }
    panic!("a purge without end");
}

/// That `later` lies `expected` after `earlier`, as far as time stood still.
#[track_caller]
pub(super) fn assert_apart<H: Harness>(harness: &H, earlier: Timestamp, later: Timestamp, expected: Duration) {
    let off = later.distance(earlier + expected);
    assert!(
        off <= harness.slack(),
        "{later} should lie {expected:?} after {earlier}, and is {off:?} off"
    );
}
