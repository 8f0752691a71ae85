//! The PostgreSQL store on a private server of its own, which waits for its disk.
//!
//! * A rotation against a plain `UPDATE … RETURNING` by sqlx, at 1, 16 and 128 in flight: the same table with the same 1,000
//!   sessions, the same number of connections (16), four worker threads. The figure is the time of one call with that many
//!   under way. `AUTH_BENCH_ASYNC=1` does not wait for the disk, so that only the processors' work is compared.
//! * RevocationEvent all of a subject's 1, 1,000 and 100,000 sessions.
//! * How long after an ending another store hears of it, by `LISTEN` and by polling: p50 and p99.
//! * With `AUTH_BENCH_SESSIONS=1000000`, bytes per session of a table with that many.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macro makes an undocumented function")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use auth_tower::session::EndReason;
use auth_tower::store::SessionStore as _;
use auth_tower::{PostgresOptions, PostgresStore, SessionId, Subject};
use common::{Rotating, SESSIONS, run, runtime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use servers::Postgres;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

const CONNECTIONS: usize = 16;

async fn connect(url: &str) -> PostgresStore {
    PostgresOptions::new()
        .with_connections(CONNECTIONS)
        .with_deadline(Duration::from_secs(60))
        .connect(url)
        .await
        .unwrap()
}

struct Plain {
    pool: PgPool,
    sessions: Vec<(SessionId, AtomicU32)>,
}

impl Plain {
    async fn open(url: &str, test_before_acquire: bool) -> Self {
        let Rotating { sessions, .. } = Rotating::of(connect(url).await).await;
        let pool = PgPoolOptions::new()
            .max_connections(u32::try_from(CONNECTIONS).unwrap())
            .test_before_acquire(test_before_acquire)
            .connect(url)
            .await
            .unwrap();
        Self { pool, sessions }
    }

    async fn rotate(&self, number: usize) {
        let (id, generation) = &self.sessions[number % SESSIONS];
        let expected = generation.fetch_add(1, Ordering::Relaxed);
        let row = sqlx::query(
            "UPDATE auth.sessions SET generation = generation + 1, confirmed = generation, rotated_at = $3, seen = false, \
             last_seen_at = $3, idle_expires_at = $3 + 86400000 WHERE id = $1 AND generation = $2 RETURNING *",
        )
        .bind(id.as_bytes().as_slice())
        .bind(i64::from(expected))
        .bind(1_800_000_000_000_i64 + i64::from(expected))
        .fetch_optional(&self.pool)
        .await
        .unwrap();
        assert!(row.is_some());
    }
}

fn server() -> &'static Postgres {
    let server = if std::env::var_os("AUTH_BENCH_ASYNC").is_some() {
        Postgres::start_with(&["synchronous_commit=off"])
    } else {
        Postgres::start_durable()
    };
    Box::leak(Box::new(server))
}

fn rotations(criterion: &mut Criterion) {
    let runtime = runtime();
    let server = server();
    let ours = runtime.block_on(async { Rotating::of(connect(&server.create_database()).await).await });
    let ours = Arc::new(ours);
    let plain = Arc::new(runtime.block_on(Plain::open(&server.create_database(), true)));
    let trusting = Arc::new(runtime.block_on(Plain::open(&server.create_database(), false)));
    for in_flight in [1, 16, 128] {
        let mut group = criterion.benchmark_group(format!("rotation in PostgreSQL, {in_flight} in flight"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("PostgresStore::advance", |bencher| {
            bencher
                .to_async(&runtime)
                .iter_custom(|calls| run(&ours, in_flight, calls, |ours, n| async move { ours.rotate(n).await }));
        });
        for (name, plain) in [
            ("UPDATE … RETURNING through sqlx", &plain),
            ("the same, test_before_acquire(false)", &trusting),
        ] {
            group.bench_function(name, |bencher| {
                bencher
                    .to_async(&runtime)
                    .iter_custom(|calls| run(plain, in_flight, calls, |plain, n| async move { plain.rotate(n).await }));
            });
        }
        group.finish();
    }
}

/// Puts sessions into the table as quickly as the server can make them up.
fn fill(url: &str, subject: Option<&str>, number: usize) {
    let name = subject.map_or("'user ' || n".to_owned(), |subject| format!("'{subject}'"));
    let key = match subject {
        Some(subject) => {
            let key = Subject::new(subject).unwrap().key();
            let digits: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("'\\x{digits}'::bytea")
        }
        None => "substr(sha256((n::text)::bytea), 1, 16)".to_owned(),
    };
    Postgres::query_at(
        url,
        &format!(
            "INSERT INTO auth.sessions (created_at, last_seen_at, idle_expires_at, absolute_expires_at, generation, epoch, \
             sweep_at, format, seen, id, subject_key, subject, client_id, device, ip, user_agent) \
             SELECT t, t, t + 86400000, t + 2592000000, 1, coalesce((SELECT max(epoch) FROM auth.epochs), 0), t + 86400000, 1, \
             false, substr({key}, 1, 2) || substr(sha256(('s' || n || random())::bytea), 1, 16), {key}, {name}, 'web', 'laptop', \
             '203.0.113.7', 'Mozilla/5.0 (X11; Linux)' FROM generate_series(1, {number}) n, auth.now_ms() t"
        ),
    );
}

fn endings(_: &mut Criterion) {
    let runtime = runtime();
    let url = server().create_database();
    let store = runtime.block_on(connect(&url));
    let subject = Subject::new("alice").unwrap();
    for number in [1, 1_000, 10_000, 100_000] {
        let mut times = Vec::new();
        for _ in 0..7 {
            Postgres::query_at(&url, "TRUNCATE auth.sessions, auth.epochs");
            fill(&url, Some("alice"), number);
            Postgres::query_at(&url, "VACUUM ANALYZE auth.sessions");
            let begun = Instant::now();
            let ended = runtime
                .block_on(store.end_all(&subject, None, EndReason::AllEnded))
                .unwrap();
            times.push(begun.elapsed());
            assert_eq!(ended.ended, number as u64);
        }
        times.sort();
        println!("end_all of {number} sessions: {:?} (median of 7)", times[3]);
    }
}

fn delays(_: &mut Criterion) {
    let url = server().create_database();
    runtime().block_on(async {
        let near = connect(&url).await;
        common::delays("LISTEN", &near, &connect(&url).await).await;
        let polling = PostgresOptions::new().with_polling(Duration::from_millis(100));
        common::delays("polling", &near, &polling.connect(&url).await.unwrap()).await;
    });
}

fn sizes(_: &mut Criterion) {
    let Some(number) = common::many() else { return };
    let url = server().create_database();
    runtime().block_on(connect(&url));
    fill(&url, None, number);
    let bytes = "SELECT pg_total_relation_size('auth.sessions'), pg_relation_size('auth.sessions')";
    let sizes = Postgres::query_at(&url, bytes);
    let (total, table) = sizes.split_once('|').unwrap();
    let per_session = |bytes: &str| bytes.parse::<usize>().unwrap() / number;
    println!(
        "{number} sessions: {} bytes each, {} of them outside of indexes",
        per_session(total),
        per_session(table)
    );
}

criterion_group!(benches, rotations, endings, delays, sizes);
criterion_main!(benches);
