//! A rotation in an SQLite file, against a plain `UPDATE … RETURNING` through a pool of sqlx, at 1 and 16 in flight.
//!
//! Both use WAL and `synchronous = NORMAL`, the same table with the same 1,000 sessions in files side by side, and four worker
//! threads; the pool is sqlx's default. The figure is the time of one call with that many under way.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use auth_tower::session::record::{Client, Lifetime};
use auth_tower::session::store::{Advance, NewSession, SessionStore, SqliteOptions, SqliteStore};
use auth_tower::{SessionId, Subject};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const SESSIONS: usize = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3_600);

struct Ours {
    store: SqliteStore,
    sessions: Vec<(SessionId, AtomicU32)>,
}

impl Ours {
    async fn open(folder: &TempDir, name: &str) -> Self {
        let store = SqliteOptions::new()
            .with_deadline(Duration::from_secs(30))
            .connect(folder.path().join(name))
            .await
            .unwrap();
        let mut sessions = Vec::new();
        for number in 0..SESSIONS {
            let subject = Subject::new(format!("user {number}")).unwrap();
            let mut id = [0x5a; 18];
            id[..2].copy_from_slice(&subject.key().routing());
            id[2..10].copy_from_slice(&number.to_be_bytes());
            let created = store
                .create(NewSession {
                    id: SessionId::from_bytes(id),
                    subject,
                    client_id: "web".into(),
                    lifetime: Lifetime {
                        idle: DAY,
                        absolute: DAY * 30,
                    },
                    client: Client::new(
                        Some("laptop"),
                        "203.0.113.7".parse().ok(),
                        Some("Mozilla/5.0 (X11; Linux)"),
                    ),
                })
                .await
                .unwrap();
            sessions.push((created.id, AtomicU32::new(1)));
        }
        Self { store, sessions }
    }

    async fn rotate(&self, number: usize) {
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

struct Plain {
    pool: SqlitePool,
    sessions: Vec<(SessionId, AtomicU32)>,
}

impl Plain {
    async fn open(folder: &TempDir) -> Self {
        let Ours { store, sessions } = Ours::open(folder, "plain.db").await;
        store.close().await;
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("plain.db"))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        Self { pool, sessions }
    }

    async fn rotate(&self, number: usize) {
        let (id, generation) = &self.sessions[number % SESSIONS];
        let expected = generation.fetch_add(1, Ordering::Relaxed);
        let row = sqlx::query(
            "UPDATE auth_sessions SET generation = generation + 1, confirmed = generation, rotated_at = ?3, seen = 0, \
             last_seen_at = ?3, idle_expires_at = ?3 + 86400000 WHERE id = ?1 AND generation = ?2 RETURNING *",
        )
        .bind(id.as_bytes().as_slice())
        .bind(expected)
        .bind(1_800_000_000_000_i64 + i64::from(expected))
        .fetch_optional(&self.pool)
        .await
        .unwrap();
        assert!(row.is_some());
    }
}

/// The time for `calls` calls, `in_flight` of them at any moment. Every session is one task's own.
async fn run<S, F, Fut>(subject: &Arc<S>, in_flight: usize, calls: u64, call: F) -> Duration
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
    begun.elapsed()
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
}

fn rotations(criterion: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let ours = Arc::new(runtime.block_on(Ours::open(&folder, "ours.db")));
    let plain = Arc::new(runtime.block_on(Plain::open(&folder)));
    for in_flight in [1, 16] {
        let mut group = criterion.benchmark_group(format!("rotation in SQLite, {in_flight} in flight"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("SqliteStore::advance", |bencher| {
            bencher
                .to_async(&runtime)
                .iter_custom(|calls| run(&ours, in_flight, calls, |ours, n| async move { ours.rotate(n).await }));
        });
        group.bench_function("UPDATE … RETURNING through sqlx", |bencher| {
            bencher.to_async(&runtime).iter_custom(|calls| {
                run(
                    &plain,
                    in_flight,
                    calls,
                    |plain, n| async move { plain.rotate(n).await },
                )
            });
        });
        group.finish();
    }
}

criterion_group!(benches, rotations);
criterion_main!(benches);
