//! A server that is killed, that hangs, that loses its connections or its scripts: what was acknowledged stays, calls fail
//! in time, and service comes back by itself.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::time::{Duration, Instant};

use auth_tower::RedisOptions;
use auth_tower::session::{EndReason, Terminated};
use auth_tower::store::{Cursor, RevocationFeed as _, SessionStore, StoreError};
use servers::Redis;
use tokio::task::JoinSet;

use super::support::{
    PATIENCE, Tunnel, begin, connect, end, impatient, is_live, is_outage, read_on, session, sessions, step, subject,
    until_it_answers,
};

/// How soon service has to be back.
const BACK: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_killed_server() {
    let mut server = Redis::with(&["--appendfsync", "always"]);
    let store = connect(&server.url()).await;
    let rotated = begin(&store, "alice").await;
    let ended = begin(&store, "alice").await;
    let left = begin(&store, "bob").await;
    let (_, cursor) = read_on(&store, Cursor::start()).await;
    assert!(store.advance(rotated, step(1)).await.unwrap().unwrap().taken);
    end(&store, ended).await;
    store.end_all(&subject("bob"), None, EndReason::AllEnded).await.unwrap();
    server.restart();
    until_it_answers(&store, rotated).await;
    let found = store.find(rotated).await.unwrap().unwrap();
    assert_eq!(found.record.rotation.current, 2);
    assert!(is_live(&store, rotated).await);
    for (id, reason) in [(ended, EndReason::SignedOut), (left, EndReason::AllEnded)] {
        let found = store.find(id).await.unwrap().unwrap();
        assert_eq!(found.record.status(found.now), Some(Terminated::Ended(reason)));
        assert!(!store.advance(id, step(1)).await.unwrap().unwrap().taken);
    }
    let (entries, _) = read_on(&store, cursor).await;
    assert_eq!(entries.len(), 2, "the log goes on where it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_calls_fail_at_once_and_service_is_back_soon_after_it() {
    let mut server = Redis::start();
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    server.kill();
    assert!(is_outage(&store.find(id).await.unwrap_err()));
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..2_000 {
        let store = store.clone();
        tasks.spawn(async move { is_outage(&store.find(id).await.unwrap_err()) });
    }
    assert!(tasks.join_all().await.into_iter().all(|is_outage| is_outage));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    server.restart();
    let back = until_it_answers(&store, id).await;
    assert!(back < BACK, "{back:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_keeps_nobody_for_longer_than_the_deadline() {
    let server = Redis::start();
    let store = impatient(&server.url()).await;
    let id = begin(&store, "alice").await;
    server.pause();
    for _ in 0..3 {
        let begun = Instant::now();
        assert!(is_outage(&store.find(id).await.unwrap_err()));
        assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    }
    server.resume();
    let back = until_it_answers(&store, id).await;
    assert!(back < BACK, "{back:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_give_up_first_do_not_keep_a_dead_connection() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    server.pause();
    // As the engine does, whose deadline may be shorter than the store's.
    for _ in 0..2 {
        let given_up = tokio::time::timeout(Duration::from_millis(700), store.find(id)).await;
        assert!(given_up.is_err() || given_up.is_ok_and(|answer| answer.is_err()));
    }
    server.resume();
    let back = until_it_answers(&store, id).await;
    assert!(back < BACK, "{back:?}");
}

/// As after a power cut, or when a firewall has forgotten a connection: there is never an error to be seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_leads_nowhere_is_replaced() {
    let server = Redis::start();
    let tunnel = Tunnel::to(server.port()).await;
    let store = impatient(&format!("redis://127.0.0.1:{}", tunnel.port)).await;
    let id = begin(&store, "alice").await;
    tunnel.jam();
    assert!(is_outage(&store.find(id).await.unwrap_err()));
    let back = until_it_answers(&store, id).await;
    assert!(back < Duration::from_millis(500), "{back:?}");
    // Also when the callers go away before the deadline.
    let store = connect(&format!("redis://127.0.0.1:{}", tunnel.port)).await;
    tunnel.jam();
    let given_up = tokio::time::timeout(Duration::from_secs(1), store.find(id)).await;
    assert!(given_up.is_err());
    let back = until_it_answers(&store, id).await;
    assert!(back < Duration::from_millis(500), "{back:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_agreed_fail_at_once() {
    let server = Redis::start();
    let options = RedisOptions::new()
        .with_queue(8)
        .with_deadline(Duration::from_millis(600));
    let store = options.connect(server.url()).await.unwrap();
    let id = begin(&store, "alice").await;
    server.pause();
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        tasks.spawn(async move {
            let error = store.find(id).await.unwrap_err();
            (matches!(error, StoreError::Timeout), begun.elapsed())
        });
    }
    let answers = tasks.join_all().await;
    server.resume();
    let waited = answers.iter().filter(|(timed_out, _)| *timed_out).count();
    assert!(waited <= 8, "{waited}");
    let at_once = answers
        .iter()
        .filter(|(_, after)| *after < Duration::from_millis(300))
        .count();
    assert!(at_once >= 92, "{at_once}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_and_forgotten_scripts_are_replaced() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    for generation in 1..=5 {
        server.cli(&["SCRIPT", "FLUSH"]);
        assert!(store.advance(id, step(generation)).await.unwrap().unwrap().taken);
        server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        let back = until_it_answers(&store, id).await;
        assert!(back < Duration::from_millis(500), "{back:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_whose_connection_is_lost_reads_on() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    let (_, cursor) = read_on(&store, Cursor::start()).await;
    let reading = {
        let (store, cursor) = (store.clone(), cursor.clone());
        tokio::spawn(async move { store.revocations_since(cursor, PATIENCE).await })
    };
    server.until("a reader that waits", || {
        server.cli(&["CLIENT", "LIST"]).contains("cmd=xread")
    });
    server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert!(is_outage(&reading.await.unwrap().unwrap_err()));
    until_it_answers(&store, id).await;
    end(&store, id).await;
    assert_eq!(sessions(&read_on(&store, cursor).await.0), [id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_waits_holds_up_nobody() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    let (_, cursor) = read_on(&store, Cursor::start()).await;
    for _ in 0..4 {
        let (store, cursor) = (store.clone(), cursor.clone());
        tokio::spawn(async move { store.revocations_since(cursor, PATIENCE * 3).await });
    }
    server.until("readers that wait", || {
        server.cli(&["CLIENT", "LIST"]).matches("cmd=xread").count() == 4
    });
    let begun = Instant::now();
    for generation in 1..=20 {
        assert!(store.advance(id, step(generation)).await.unwrap().unwrap().taken);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_loads_its_data_is_waited_for() {
    // A fifth of a millisecond for each command; it answers after every 1,024 of them.
    let mut server = Redis::with(&["--key-load-delay", "200"]);
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    for number in 0..800 {
        store.create(session(&format!("user {number}"))).await.unwrap();
    }
    server.restart_without_waiting();
    server.until("a server that loads", || server.cli(&["PING"]).contains("LOADING"));
    assert!(is_outage(&store.find(id).await.unwrap_err()));
    let late = connect(&server.url()).await;
    assert!(is_live(&late, id).await, "connecting has waited");
    until_it_answers(&store, id).await;
    assert!(is_live(&store, id).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_memory_still_ends_sessions() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(is_outage(&store.create(session("alice")).await.unwrap_err()));
    assert!(store.advance(id, step(1)).await.unwrap().unwrap().taken);
    end(&store, id).await;
    assert!(!is_live(&store, id).await);
    assert_eq!(sessions(&read_on(&store, Cursor::start()).await.0), [id]);
}
