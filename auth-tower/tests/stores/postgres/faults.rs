//! A server that is killed, restarted, hangs, or cutoffs its connections.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use auth_tower::session::EndReason;
use auth_tower::store::{SessionStore, StoreError};
use auth_tower::{PostgresOptions, RotationDurability};
use servers::Postgres;
use tokio::task::{JoinSet, spawn_blocking};

use super::scene::{NOTICE, begin, connect, database, eventually, server, session, step, subject};

/// "Service is back within 2 s of the store."
const BACK: Duration = Duration::from_secs(2);

const CUT: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_cut_is_replaced_without_an_error_where_that_is_safe() {
    let url = database().await;
    let store = connect(&url).await;
    let id = begin(&store, "alice", 1).await;
    for generation in 1..=5 {
        Postgres::query_at(&url, CUT);
        assert!(store.advance(id, step(generation)).await.unwrap().unwrap().taken);
        Postgres::query_at(&url, CUT);
        let found = store.find(id).await.unwrap().unwrap();
        assert_eq!(found.record.rotation.current, generation + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_an_outage_that_ends_by_itself() {
    let (mut server, url) = server(&[]).await;
    let store = connect(&url).await;
    let id = begin(&store, "alice", 1).await;
    for generation in 1..=3 {
        let kill = generation % 2 == 1;
        server = spawn_blocking(move || {
            if kill {
                server.kill()
            } else {
                server.stop()
            }
            server
        })
        .await
        .unwrap();
        let refused = store.find(id).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_) | StoreError::Timeout)),
            "{refused:?}"
        );
        // Whoever comes next is told at once, however many they are.
        let start = Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..200 {
            let store = store.clone();
            calls.spawn(async move { store.find(id).await.is_err() });
        }
        assert!(calls.join_all().await.into_iter().all(|failed| failed));
        assert!(
            start.elapsed() < BACK,
            "an outage is told at once, not after {:?}",
            start.elapsed()
        );
        server = spawn_blocking(move || {
            server.up();
            server
        })
        .await
        .unwrap();
        let back = eventually("service is back", || async { store.find(id).await.is_ok() }).await;
        assert!(back < BACK, "{back:?}");
        assert!(
            store.advance(id, step(generation)).await.unwrap().unwrap().taken,
            "nothing was lost"
        );
    }
}

/// With a server that is told not to wait for its disk at all.
#[tokio::test(flavor = "multi_thread")]
async fn an_ending_survives_the_servers_crash_whatever_its_synchronous_commit() {
    let settings = &[
        "fsync=off",
        "synchronous_commit=off",
        "wal_writer_delay=10000",
        "autovacuum=off",
    ];
    let (mut server, url) = server(settings).await;
    let store = PostgresOptions::new()
        .with_rotations(RotationDurability::Relaxed)
        .connect(&url)
        .await
        .unwrap();
    for number in 0..5 {
        let one = begin(&store, "alice", number).await;
        let other = begin(&store, "bob", number).await;
        store.end(one, EndReason::SignedOut).await.unwrap();
        store.end_all(&subject("bob"), None, EndReason::AllEnded).await.unwrap();
        server = spawn_blocking(move || {
            server.kill();
            server.up();
            server
        })
        .await
        .unwrap();
        eventually("service is back", || async { store.find(one).await.is_ok() }).await;
        for id in [one, other] {
            let found = store
                .find(id)
                .await
                .unwrap()
                .expect("it was created before it was ended");
            assert!(
                found.record.status(found.now).is_some(),
                "an acknowledged ending was lost"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_holds_nobody_for_longer_than_the_deadline() {
    let (server, url) = server(&["fsync=off"]).await;
    let server = Arc::new(server);
    let deadline = Duration::from_secs(1);
    let store = PostgresOptions::new()
        .with_deadline(deadline)
        .connect(&url)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(begin(&store, "alice", number).await);
    }
    server.pause();
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for &id in &ids {
        let store = store.clone();
        calls.spawn(async move { store.find(id).await.is_err() });
    }
    assert!(calls.join_all().await.into_iter().all(|failed| failed));
    assert!(start.elapsed() < deadline + NOTICE, "{:?}", start.elapsed());
    // By now it is known that the server does not answer, and one caller at a time finds out whether it does again.
    let _ = store.find(ids[0]).await;
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for &id in ids.iter().cycle().take(500) {
        let store = store.clone();
        calls.spawn(async move { store.find(id).await.is_err() });
    }
    assert!(calls.join_all().await.into_iter().all(|failed| failed));
    assert!(start.elapsed() < deadline + NOTICE, "{:?}", start.elapsed());
    server.resume();
    let back = eventually("service is back", || async { store.find(ids[0]).await.is_ok() }).await;
    assert!(back < BACK, "{back:?}");
    // No answer to a call that was given up is taken for another's.
    for &id in &ids {
        assert_eq!(store.find(id).await.unwrap().unwrap().record.id, id);
    }
}

/// Batches of acknowledgements, rotations, revocations and purges meet on the same rows in every order.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_meet_never_wait_for_each_other_in_a_circle() {
    use auth_tower::store::Acknowledgement;
    use auth_tower::store::Retention;
    let url = database().await;
    let stores = [connect(&url).await, connect(&url).await];
    let mut ids = Vec::new();
    for number in 0..40 {
        ids.push(begin(&stores[0], ["alice", "bob"][number as usize % 2], number).await);
    }
    let ids = Arc::new(ids);
    let mut tasks = JoinSet::new();
    for task in 0..12_usize {
        let (store, ids) = (stores[task % 2].clone(), Arc::clone(&ids));
        tasks.spawn(async move {
            for round in 0..25_u32 {
                let turned = ids.iter().cycle().skip(task * 7 + round as usize).take(ids.len());
                match task % 6 {
                    0 | 1 => {
                        let mut acknowledgements: Vec<_> = turned
                            .map(|&id| Acknowledgement {
                                id,
                                generation: 1 + round,
                            })
                            .collect();
                        if task % 2 == 1 {
                            acknowledgements.reverse();
                        }
                        store.acknowledge(acknowledgements).await.unwrap();
                    }
                    2 | 3 => {
                        for &id in turned.take(8) {
                            let found = store.find(id).await.unwrap().unwrap();
                            store.advance(id, step(found.record.rotation.current)).await.unwrap();
                        }
                    }
                    4 => {
                        let keep = turned.copied().next();
                        store.end_all(&subject("bob"), keep, EndReason::AllEnded).await.unwrap();
                        let number = 1_000_000 + u64::from(round) + 1_000 * task as u64;
                        store.create(session("bob", number)).await.unwrap();
                    }
                    _ => {
                        store
                            .end(*turned.copied().next().as_ref().unwrap(), EndReason::SignedOut)
                            .await
                            .unwrap();
                        let all = Retention {
                            sessions: Duration::from_secs(3_600),
                            revocations: Duration::ZERO,
                        };
                        store.purge(all).await.unwrap();
                    }
                }
            }
        });
    }
    tasks.join_all().await;
}

/// Two instances, one token: of a hundred presentations one rotates.
#[tokio::test(flavor = "multi_thread")]
async fn over_two_instances_exactly_one_step_is_taken() {
    let url = database().await;
    let stores = [connect(&url).await, connect(&url).await];
    let id = begin(&stores[0], "alice", 1).await;
    for generation in 1..=20 {
        let mut calls = JoinSet::new();
        for number in 0..100 {
            let store = stores[number % 2].clone();
            calls.spawn(async move { store.advance(id, step(generation)).await.unwrap().unwrap() });
        }
        let answers = calls.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.taken).count(), 1);
        for answer in answers {
            assert_eq!(
                answer.before.rotation.current,
                if answer.taken { generation } else { generation + 1 }
            );
        }
    }
}
