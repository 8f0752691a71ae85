//! Calls that wait: how many may, for how long, and what becomes of those that were given up.

use std::time::{Duration, Instant};

use auth_tower::session::store::{PostgresOptions, SessionStore, StoreError};
use sqlx::Connection as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::scene::{PATIENCE, begin, database, eventually, sql, step, stranger};

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
            .fetch_one(&mut crate::scene::stranger(&url).await)
            .await
            .unwrap();
        waiting == 0
    })
    .await;
    sql(&mut stranger, "ROLLBACK").await;
    assert_eq!(store.find(id).await.unwrap().unwrap().record.rotation.current, 1);
}
