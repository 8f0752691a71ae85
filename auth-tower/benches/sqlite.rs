//! The SQLite store, and the one in memory.
//!
//! * A rotation against a plain `UPDATE … RETURNING` through a pool of sqlx, at 1, 16 and 128 in flight. Both use WAL and
//!   `synchronous = NORMAL`, the same table with the same 1,000 sessions in files side by side, and four worker threads; the
//!   pool is sqlx's default. The figure is the time of one call with that many under way.
//! * RevocationEvent all of a subject's 1, 1,000 and 100,000 sessions.
//! * How long after an ending another process's store hears of it: p50 and p99.
//! * With `AUTH_BENCH_SESSIONS=1000000`, bytes per session on disk and in memory with that many.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use auth_tower::{MemoryStore, SessionId, SqliteOptions, SqliteStore};
use common::{Rotating, SESSIONS, run, runtime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;

async fn open(folder: &TempDir, name: &str) -> SqliteStore {
    SqliteOptions::new()
        .with_deadline(Duration::from_secs(30))
        .connect(folder.path().join(name))
        .await
        .unwrap()
}

struct Plain {
    pool: SqlitePool,
    sessions: Vec<(SessionId, AtomicU32)>,
}

impl Plain {
    async fn open(folder: &TempDir) -> Self {
        let Rotating { store, sessions } = Rotating::of(open(folder, "plain.db").await).await;
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

fn rotations(criterion: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let ours = runtime.block_on(async { Rotating::of(open(&folder, "ours.db").await).await });
    let ours = Arc::new(ours);
    let plain = Arc::new(runtime.block_on(Plain::open(&folder)));
    for in_flight in [1, 16, 128] {
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

fn endings(_: &mut Criterion) {
    runtime().block_on(async {
        common::endings("memory", &MemoryStore::new()).await;
        let folder = tempfile::tempdir().unwrap();
        common::endings("SQLite", &open(&folder, "endings.db").await).await;
    });
}

fn delays(_: &mut Criterion) {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        // Two stores on one file, as in two processes: they share nothing in memory.
        let (near, far) = (open(&folder, "delays.db").await, open(&folder, "delays.db").await);
        common::delays("SQLite", &near, &far).await;
    });
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn sizes(_: &mut Criterion) {
    let Some(number) = common::many() else { return };
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, "sizes.db").await;
        common::begin_many(&store, number, 1).await;
        store.close().await;
        let bytes = std::fs::metadata(folder.path().join("sizes.db")).unwrap().len();
        println!(
            "{number} sessions in SQLite: {} bytes each on disk",
            bytes / number as u64
        );
        let before = resident();
        let store = MemoryStore::new().with_capacity(number);
        common::begin_many(&store, number, 1).await;
        println!(
            "{number} sessions in memory: {} bytes each",
            (resident() - before) / number
        );
    });
}

criterion_group!(benches, rotations, endings, delays, sizes);
criterion_main!(benches);
