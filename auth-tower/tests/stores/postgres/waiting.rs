//! Calls that wait: how many may, for how long, and what becomes of those that were given up.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use auth_tower::session::EndReason;
use auth_tower::store::{Cursor, RevocationFeed as _, SessionStore, StoreError};
use auth_tower::{PostgresOptions, PostgresStore};
use servers::Postgres;
use sqlx::Connection as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::scene::{NOTICE, PATIENCE, begin, database, eventually, server, session, sql, step, stranger};

#[tokio::test(flavor = "multi_thread")]
async fn one_call_too_many_fails_at_once() {
    let url = database().await;
    let store = PostgresOptions::new()
        .with_connections(1)
        .with_queue(3)
        .with_deadline(PATIENCE)
        .connect(&url)
        .await
        .unwrap();
    let id = begin(&store, "alice", 1).await;
    let mut stranger = stranger(&url).await;
    sql(&mut stranger, "BEGIN; LOCK TABLE auth.sessions").await;
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        calls.spawn(async move {
            loop {
                // A place may be taken for a moment by whoever looks whether there is one.
                match store.find(id).await {
                    Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
                    answer => return answer,
                }
            }
        });
    }
    let refused = || async {
        let answer = timeout(Duration::from_millis(100), store.find(id)).await;
        matches!(answer, Ok(Err(StoreError::Unavailable(_))))
    };
    eventually("the queue is full", refused).await;
    sql(&mut stranger, "ROLLBACK").await;
    assert!(
        calls.join_all().await.into_iter().all(|answer| answer.is_ok()),
        "those that waited are served"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_given_up_leaves_nothing_behind() {
    let url = database().await;
    let store = PostgresOptions::new().with_connections(2).connect(&url).await.unwrap();
    let one = begin(&store, "alice", 1).await;
    let other = begin(&store, "bob", 2).await;
    let mut stranger = stranger(&url).await;
    for _ in 0..5 {
        sql(&mut stranger, "BEGIN; LOCK TABLE auth.sessions").await;
        for _ in 0..4 {
            assert!(timeout(Duration::from_millis(30), store.find(one)).await.is_err());
        }
        sql(&mut stranger, "ROLLBACK").await;
        for _ in 0..4 {
            assert_eq!(store.find(other).await.unwrap().unwrap().record.id, other);
        }
    }
    stranger.close().await.unwrap();
}

/// The server itself gives a call up, so that abandoned ones do not pile up there.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_gives_up_with_the_caller() {
    let url = database().await;
    let deadline = Duration::from_millis(400);
    let store = PostgresOptions::new()
        .with_deadline(deadline)
        .connect(&url)
        .await
        .unwrap();
    let id = begin(&store, "alice", 1).await;
    let mut stranger = stranger(&url).await;
    sql(&mut stranger, "BEGIN; LOCK TABLE auth.sessions").await;
    let start = Instant::now();
    assert!(matches!(store.advance(id, step(1)).await, Err(StoreError::Timeout)));
    assert!(start.elapsed() < deadline * 3);
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("nobody waits on the server", || async {
        let (waiting,): (i64,) = sqlx::query_as(waiting)
            .fetch_one(&mut super::scene::stranger(&url).await)
            .await
            .unwrap();
        waiting == 0
    })
    .await;
    sql(&mut stranger, "ROLLBACK").await;
    assert_eq!(store.find(id).await.unwrap().unwrap().record.rotation.current, 1);
}

/// Revocation is not to wait behind a busy moment.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_though_all_calls_hang() {
    let url = database().await;
    let store = PostgresOptions::new()
        .with_connections(2)
        .with_deadline(PATIENCE)
        .connect(&url)
        .await
        .unwrap();
    let id = begin(&store, "alice", 1).await;
    store.end(id, EndReason::SignedOut).await.unwrap();
    let mut stranger = stranger(&url).await;
    sql(&mut stranger, "BEGIN; LOCK TABLE auth.sessions").await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        calls.spawn(async move { store.find(id).await.is_ok() });
    }
    eventually("the calls hang", || async {
        let hanging =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        Postgres::query_at(&url, hanging) == "2"
    })
    .await;
    let read = timeout(NOTICE, store.revocations_since(Cursor::start(), Duration::ZERO)).await;
    assert_eq!(read.expect("in time").unwrap().entries.len(), 1);
    sql(&mut stranger, "COMMIT").await;
    // Most of them, as one that waited for half of its deadline gives up.
    assert!(calls.join_all().await.contains(&true));
}

/// A commit that waits for a standby is under no timeout of the server's: each call that is given up would leave a connection
/// behind.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_were_given_up_do_not_use_up_the_servers_connections() {
    const CONNECTIONS: usize = 4;
    let (server, url) = server(&["fsync=off"]).await;
    let store = PostgresOptions::new()
        .with_connections(CONNECTIONS)
        .with_deadline(Duration::from_millis(300))
        .connect(&url)
        .await
        .unwrap();
    let id = begin(&store, "alice", 1).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    server.query("postgres", "ALTER SYSTEM SET synchronous_standby_names = 'nosuch'");
    server.query("postgres", "SELECT pg_reload_conf()");
    // The setting arrives when it arrives.
    eventually("a commit waits for the standby", || async {
        let _ = begin_now(&store).await;
        server.query("postgres", waiting) != "0"
    })
    .await;
    let mut most = 0;
    for _ in 0..10 {
        let mut calls = JoinSet::new();
        for _ in 0..CONNECTIONS * 2 {
            let store = store.clone();
            calls.spawn(async move { begin_now(&store).await });
        }
        assert!(
            !calls.join_all().await.contains(&true),
            "nothing is committed without the standby"
        );
        most = most.max(server.query("postgres", waiting).parse::<usize>().unwrap());
    }
    assert!(most <= CONNECTIONS * 2, "{most} of the server's connections wait");
    eventually("a call that commits nothing is served", || async {
        store.find(id).await.is_ok()
    })
    .await;
    server.query("postgres", "ALTER SYSTEM RESET synchronous_standby_names");
    server.query("postgres", "SELECT pg_reload_conf()");
    eventually("service is back", || async {
        store.find(id).await.is_ok() && begin_now(&store).await
    })
    .await;
    eventually("nothing is left behind", || async {
        server.query("postgres", waiting) == "0"
    })
    .await;
}

/// Whether a session could be begun.
async fn begin_now(store: &PostgresStore) -> bool {
    static NUMBER: AtomicU64 = AtomicU64::new(1_000);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    store.create(session("bob", number)).await.is_ok()
}
