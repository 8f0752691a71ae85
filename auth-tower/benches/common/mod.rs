//! What the benches of the stores share: sessions, load, and the questions that are asked of every store.
#![allow(dead_code, reason = "not every bench asks every question")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use auth_tower::session::{ClientInfo, EndReason, Lifetime};
use auth_tower::store::{Advance, Cursor, NewSession, SessionStore};
use auth_tower::{SessionId, Subject};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

pub(crate) const SESSIONS: usize = 1_000;
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn session(subject: &Subject, number: usize) -> NewSession {
    let mut id = [0x5a; 18];
    id[..2].copy_from_slice(&subject.key().routing());
    // As scattered as random ones.
    id[2..10].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    NewSession {
        id: SessionId::from_bytes(id),
        subject: subject.clone(),
        client_id: "web".into(),
        lifetime: Lifetime {
            idle: DAY,
            absolute: DAY * 30,
        },
        client: ClientInfo::new(
            Some("laptop"),
            "203.0.113.7".parse().ok(),
            Some("Mozilla/5.0 (X11; Linux)"),
        ),
    }
}

/// Sessions of a store, and the generation that each has come to.
pub(crate) struct Rotating<S> {
    pub(crate) store: S,
    pub(crate) sessions: Vec<(SessionId, AtomicU32)>,
}

impl<S: SessionStore> Rotating<S> {
    pub(crate) async fn of(store: S) -> Self {
        let mut sessions = Vec::new();
        for number in 0..SESSIONS {
            let subject = Subject::new(format!("user {number}")).unwrap();
            let created = store.create(session(&subject, number)).await.unwrap();
            sessions.push((created.id, AtomicU32::new(1)));
        }
        Self { store, sessions }
    }

    pub(crate) async fn rotate(&self, number: usize) {
        let (id, generation) = &self.sessions[number % SESSIONS];
        let expected = generation.fetch_add(1, Ordering::Relaxed);
        let step = Advance {
            expected,
            expected_seen: None,
            unless_within: Duration::ZERO,
            confirmed: expected,
            current: expected + 1,
            idle: DAY,
        };
        assert!(self.store.advance(*id, step).await.unwrap().unwrap().taken);
    }
}

/// The time for `calls` calls, `in_flight` of them at any moment. Every session is one task's own.
pub(crate) async fn run<S, F, Fut>(subject: &Arc<S>, in_flight: usize, calls: u64, call: F) -> Duration
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let each = usize::try_from(calls).unwrap().div_ceil(in_flight);
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..in_flight {
        let (subject, call) = (Arc::clone(subject), call.clone());
        tasks.spawn(async move {
            let own = SESSIONS / in_flight;
            for number in 0..each {
                call(Arc::clone(&subject), task * own + number % own).await;
            }
        });
    }
    tasks.join_all().await;
    begun.elapsed().mul_f64(calls as f64 / (each * in_flight) as f64)
}

/// Begins `count` sessions, `each` of them of one subject.
pub(crate) async fn begin_many<S: SessionStore + Clone>(store: &S, count: usize, each: usize) {
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            for number in (task..count).step_by(64) {
                let subject = Subject::new(format!("user {}", number / each)).unwrap();
                store.create(session(&subject, number)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}

/// How long it takes to end all of a subject's sessions, by their number.
pub(crate) async fn endings<S: SessionStore + Clone>(name: &str, store: &S) {
    let mut next = 0;
    for count in [1_usize, 1_000, 100_000] {
        let mut times = Vec::new();
        for round in 0..if count > 1_000 { 3 } else { 21 } {
            let subject = Subject::new(format!("user of {count}, {round}")).unwrap();
            let (each, mut tasks) = (count.div_ceil(64), JoinSet::new());
            for first in (0..count).step_by(each) {
                let (store, subject, first) = (store.clone(), subject.clone(), next + first);
                let last = (first + each).min(next + count);
                tasks.spawn(async move {
                    for number in first..last {
                        store.create(session(&subject, number)).await.unwrap();
                    }
                });
            }
            tasks.join_all().await;
            next += count;
            let begun = Instant::now();
            let ended = store.end_all(&subject, None, EndReason::AllEnded).await.unwrap().ended;
            times.push(begun.elapsed());
            assert_eq!(ended, count as u64);
        }
        times.sort();
        println!(
            "end_all in {name}, {count} sessions: p50 {:?}, longest {:?}",
            times[times.len() / 2],
            times[times.len() - 1]
        );
    }
}

/// How long after an ending was acknowledged by `near` a waiting `far` hears of it.
pub(crate) async fn delays<S: SessionStore + Clone>(name: &str, near: &S, far: &S) {
    let mut cursor = Cursor::start();
    loop {
        let page = far.revocations_since(cursor, Duration::ZERO).await.unwrap();
        cursor = page.cursor;
        if page.complete {
            break;
        }
    }
    let mut times = Vec::new();
    for number in 0..500 {
        let subject = Subject::new(format!("{name} {number}")).unwrap();
        let id = near.create(session(&subject, number)).await.unwrap().id;
        let reader = {
            let (far, cursor) = (far.clone(), cursor.clone());
            tokio::spawn(async move {
                let page = far.revocations_since(cursor, Duration::from_secs(20)).await.unwrap();
                (Instant::now(), page)
            })
        };
        // Different moments between two looks of one that polls.
        tokio::time::sleep(Duration::from_millis(number as u64 * 37 % 101)).await;
        near.end(id, EndReason::SignedOut).await.unwrap();
        let ended = Instant::now();
        let (heard, page) = reader.await.unwrap();
        assert_eq!(page.entries.len(), 1);
        cursor = page.cursor;
        times.push(heard.saturating_duration_since(ended));
    }
    times.sort();
    println!(
        "revocation heard by {name}: p50 {:?}, p99 {:?} after the answer",
        times[250], times[495]
    );
}

/// How many sessions to measure the size of a store with, if at all.
pub(crate) fn many() -> Option<usize> {
    std::env::var("AUTH_BENCH_SESSIONS").ok()?.parse().ok()
}
