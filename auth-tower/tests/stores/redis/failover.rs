//! Replicas: promoted without the last writes, demoted, slow.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::time::{Duration, Instant};

use auth_tower::RedisOptions;
use auth_tower::session::rotation::{Decision, Policy, Reuse, decide};
use auth_tower::session::{EndReason, Terminated};
use auth_tower::store::{Cursor, RevocationFeed as _, SessionStore, StoreError};
use servers::Redis;
use tokio::task::JoinSet;

use super::support::{Tunnel, begin, connect, end, is_live, is_outage, read_on, sessions, step, until_it_answers};

/// Puts the replica in the place, and at the port, of its primary, without what the primary was told in between.
fn promote(primary: &mut Redis, replica: &Redis) {
    primary.kill();
    let port = primary.port().to_string();
    assert_eq!(replica.cli(&["CONFIG", "SET", "port", &port]), "OK");
}

/// The only log that is not empty.
fn log_of(server: &Redis) -> String {
    let keys = server.cli(&["KEYS", "auth:{*}f"]);
    assert_eq!(keys.lines().count(), 1, "{keys}");
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_a_promoted_replica_lacks_is_healed() {
    let mut primary = Redis::start();
    let store = connect(&primary.url()).await;
    let id = begin(&store, "alice").await;
    let replica = primary.replica();
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    assert!(store.advance(id, step(1)).await.unwrap().unwrap().taken);
    promote(&mut primary, &replica);
    until_it_answers(&store, id).await;
    let found = store.find(id).await.unwrap().unwrap();
    assert_eq!(found.record.rotation.current, 1, "the rotation is lost");
    let policy = Policy {
        grace: Duration::from_secs(30),
        reuse: Reuse::Recover,
    };
    let decision = decide(&found.record.rotation, 2, found.now, &policy);
    assert!(matches!(decision, Decision::Repair { .. }), "{decision:?}");
}

/// The new primary counts on from where it was, so its next entries may have smaller numbers than those that are lost, or
/// the very same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ending_after_a_promotion_is_missed_whatever_its_number() {
    let mut primary = Redis::start();
    let store = connect(&primary.url()).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(begin(&store, "alice").await);
    }
    end(&store, ids[0]).await;
    let replica = primary.replica();
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    let kept = log_of(&primary);
    let numbers = |server: &Redis| -> Vec<String> {
        let log = server.cli(&["XRANGE", &kept, "-", "+"]);
        let is_number = |line: &&str| {
            line.split_once('-')
                .is_some_and(|(time, _)| time.parse::<u64>().is_ok())
        };
        log.lines().filter(is_number).map(str::to_owned).collect()
    };
    end(&store, ids[1]).await;
    let (entries, cursor) = read_on(&store, Cursor::start()).await;
    assert_eq!(sessions(&entries), ids[..2]);
    let lost = numbers(&primary).pop().unwrap();
    let common = numbers(&replica).pop().unwrap();
    assert!(common < lost);
    promote(&mut primary, &replica);
    until_it_answers(&store, ids[0]).await;
    let ended = |number: &str, id: &str| {
        let added = primary.cli(&[
            "XADD",
            &kept,
            number,
            "session",
            id,
            "reason",
            "1",
            "at",
            "1800000000000",
        ]);
        assert_eq!(added, number);
    };
    let (time, order) = common.split_once('-').unwrap();
    let smaller = format!("{time}-{}", order.parse::<u64>().unwrap() + 1);
    assert!(smaller < lost);
    ended(&smaller, &ids[2].to_string());
    let (entries, after_smaller) = read_on(&store, cursor.clone()).await;
    assert!(sessions(&entries).contains(&ids[2]), "a smaller number");
    ended(&lost, &ids[3].to_string());
    let (entries, _) = read_on(&store, after_smaller).await;
    assert_eq!(sessions(&entries), [ids[3]], "and read on from there, each once");
    let (entries, last) = read_on(&store, cursor).await;
    assert!(
        sessions(&entries).contains(&ids[3]),
        "the same number, and another ending"
    );
    end(&store, ids[4]).await;
    assert_eq!(sessions(&read_on(&store, last).await.0), [ids[4]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_primary_is_not_believed() {
    let primary = Redis::start();
    let other = Redis::start();
    let store = connect(&primary.url()).await;
    let id = begin(&store, "alice").await;
    primary.cli(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    assert!(is_outage(&store.advance(id, step(1)).await.unwrap_err()));
    // What a replica says may be old. For longer than the pause in which nothing is asked at all.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert!(is_outage(&store.find(id).await.unwrap_err()));
        let read = store.revocations_since(Cursor::start(), Duration::ZERO).await;
        assert!(is_outage(&read.unwrap_err()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    primary.cli(&["REPLICAOF", "NO", "ONE"]);
    until_it_answers(&store, id).await;
    begin(&store, "alice").await;
}

/// As behind a name or a load balancer that follows the primary, while the old one goes on as a replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_primary_is_left_for_the_server_that_the_address_leads_to() {
    let primary = Redis::start();
    let tunnel = Tunnel::to(primary.port()).await;
    let store = connect(&format!("redis://127.0.0.1:{}", tunnel.port)).await;
    let id = begin(&store, "alice").await;
    let replica = primary.replica();
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    primary.cli(&["REPLICAOF", "127.0.0.1", &replica.port().to_string()]);
    assert!(is_outage(&store.find(id).await.unwrap_err()));
    tunnel.lead_to(replica.port());
    let back = until_it_answers(&store, id).await;
    assert!(back < Duration::from_secs(1), "{back:?}");
    assert!(store.advance(id, step(1)).await.unwrap().unwrap().taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ending_waits_for_the_replicas_that_were_asked_for() {
    let primary = Redis::start();
    let replica = primary.replica();
    let options = RedisOptions::new()
        .with_replicas(1)
        .with_deadline(Duration::from_millis(800));
    let store = options.connect(primary.url()).await.unwrap();
    let one = begin(&store, "alice").await;
    let two = begin(&store, "alice").await;
    // A replica that has just come acknowledges nothing for up to a second.
    while store.end(one, EndReason::SignedOut).await.is_err() {}
    replica.pause();
    let begun = Instant::now();
    let refused = store.end(two, EndReason::SignedOut).await;
    assert!(matches!(refused, Err(StoreError::Timeout)), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_millis(1_200));
    assert!(!is_live(&store, two).await, "it is in force here all the same");
    assert!(begin(&store, "bob").await != two, "others do not wait");
    let refused = store.end(two, EndReason::SignedOut).await;
    assert!(
        matches!(refused, Err(StoreError::Timeout)),
        "asking again waits again: {refused:?}"
    );
    replica.resume();
    replica.until("a replica that catches up", || {
        replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
    });
    let found = store.end(two, EndReason::SignedOut).await.unwrap().unwrap();
    assert_eq!(
        found.record.status(found.now),
        Some(Terminated::Ended(EndReason::SignedOut))
    );
    let three = begin(&store, "alice").await;
    primary.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    end(&store, three).await;
    assert_eq!(sessions(&read_on(&store, Cursor::start()).await.0), [one, two, three]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endings_do_not_queue_behind_those_that_wait_for_a_replica_that_is_away() {
    const DEADLINE: Duration = Duration::from_secs(1);
    let primary = Redis::start();
    let replica = primary.replica();
    let options = RedisOptions::new().with_replicas(1).with_deadline(DEADLINE);
    let store = options.connect(primary.url()).await.unwrap();
    // Another instance, as this one might refuse by itself.
    let other = connect(&primary.url()).await;
    replica.pause();
    for _ in 0..3 {
        let mut tasks = JoinSet::new();
        let mut ids = Vec::new();
        for number in 0..10 {
            let id = begin(&store, &format!("user {number}")).await;
            ids.push(id);
            let store = store.clone();
            tasks.spawn(async move {
                let begun = Instant::now();
                (store.end(id, EndReason::SignedOut).await, begun.elapsed())
            });
        }
        tokio::time::sleep(DEADLINE / 4).await;
        for id in &ids {
            assert!(
                !is_live(&other, *id).await,
                "in force long before the replica could have it"
            );
        }
        for (refused, elapsed) in tasks.join_all().await {
            assert!(matches!(refused, Err(StoreError::Timeout)), "{refused:?}");
            assert!(elapsed < DEADLINE + Duration::from_millis(300), "{elapsed:?}");
        }
    }
    replica.resume();
    replica.until("a replica that catches up", || {
        replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
    });
    let patient = RedisOptions::new()
        .with_replicas(1)
        .with_deadline(Duration::from_secs(10));
    let patient = patient.connect(primary.url()).await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..100 {
        let id = begin(&patient, &format!("user {number}")).await;
        let store = patient.clone();
        tasks.spawn(async move { store.end(id, EndReason::SignedOut).await });
    }
    let ended = tasks.join_all().await;
    assert!(ended.iter().all(|ended| matches!(ended, Ok(Some(_)))), "{ended:?}");
    assert_eq!(sessions(&read_on(&other, Cursor::start()).await.0).len(), 130);
}
