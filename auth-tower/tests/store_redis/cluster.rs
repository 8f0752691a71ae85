//! A cluster that is changed, or loses a node, while it is used.

use std::time::{Duration, Instant};

use auth_tower::session::store::{Cursor, RedisStore, SessionStore};
use auth_tower::{SessionId, Subject};
use servers::RedisCluster;

use crate::support::{
    PATIENCE, begin, connect, end, impatient, is_live, is_outage, read_on, sessions, step, until_it_answers,
};

/// Users whose sessions lie on each of the three nodes, with one session each.
async fn one_on_each(cluster: &RedisCluster, store: &RedisStore) -> [(Subject, SessionId); 3] {
    let mut found = [None, None, None];
    for number in 0.. {
        let name = format!("user {number}");
        let id = begin(store, &name).await;
        let node = cluster
            .nodes()
            .iter()
            .position(|node| node.cli(&["KEYS", &format!("auth:*s:{id}")]).contains(&id.to_string()));
        found[node.unwrap()].get_or_insert((Subject::new(name).unwrap(), id));
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found.map(Option::unwrap)
}

fn slot_of(cluster: &RedisCluster, id: SessionId) -> (usize, u16) {
    for (number, node) in cluster.nodes().iter().enumerate() {
        let key = node.cli(&["KEYS", &format!("auth:*s:{id}")]);
        if !key.is_empty() {
            return (number, node.cli(&["CLUSTER", "KEYSLOT", &key]).parse().unwrap());
        }
    }
    panic!("nobody has it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_sessions_along() {
    let cluster = RedisCluster::start();
    let store = connect(&cluster.url()).await;
    let id = begin(&store, "alice").await;
    let ended = begin(&store, "alice").await;
    end(&store, ended).await;
    let (_, cursor) = read_on(&store, Cursor::start()).await;
    let (from, slot) = slot_of(&cluster, id);
    let to = (from + 1) % 3;
    assert_eq!(cluster.owner(slot), from);
    let (source, target) = (&cluster.nodes()[from], &cluster.nodes()[to]);
    let (source_id, target_id) = (source.cli(&["CLUSTER", "MYID"]), target.cli(&["CLUSTER", "MYID"]));
    let slot_text = slot.to_string();
    target.cli(&["CLUSTER", "SETSLOT", &slot_text, "IMPORTING", &source_id]);
    source.cli(&["CLUSTER", "SETSLOT", &slot_text, "MIGRATING", &target_id]);
    let keys = source.cli(&["CLUSTER", "GETKEYSINSLOT", &slot_text, "1000"]);
    let mut moved = 0;
    let mut generation = 1;
    for key in keys.lines() {
        // With part of the keys on either side: the truth or nothing.
        match store.advance(id, step(generation)).await {
            Ok(advanced) => {
                assert!(advanced.unwrap().taken);
                generation += 1;
            }
            Err(error) => assert!(is_outage(&error), "{error:?}"),
        }
        match store.find(ended).await {
            Ok(found) => assert!(found.is_none_or(|found| found.record.over(found.now).is_some())),
            Err(error) => assert!(is_outage(&error), "{error:?}"),
        }
        let port = target.port().to_string();
        assert_eq!(source.cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]), "OK");
        moved += 1;
    }
    assert!(moved >= 4, "the session, the one that ended, the index, the log");
    for node in [target, source, &cluster.nodes()[(from + 2) % 3]] {
        node.cli(&["CLUSTER", "SETSLOT", &slot_text, "NODE", &target_id]);
    }
    until_it_answers(&store, id).await;
    let found = store.find(id).await.unwrap().unwrap();
    // A step whose answer was lost may have been taken.
    assert!(found.record.rotation.current >= generation);
    assert!(is_live(&store, id).await && !is_live(&store, ended).await);
    assert!(
        store
            .advance(id, step(found.record.rotation.current))
            .await
            .unwrap()
            .unwrap()
            .taken
    );
    end(&store, id).await;
    assert_eq!(sessions(&read_on(&store, cursor).await.0), [id], "the log came along");
    assert_eq!(cluster.owner(slot), to);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_one_node_the_sessions_of_the_others_go_on() {
    let mut cluster = RedisCluster::start();
    let store = impatient(&cluster.url()).await;
    let [(_, lost), (_, other), (_, third)] = one_on_each(&cluster, &store).await;
    let (_, cursor) = read_on(&store, Cursor::start()).await;
    cluster.node_mut(0).kill();
    let begun = Instant::now();
    for generation in 1..=20 {
        let asked = Instant::now();
        assert!(is_outage(&store.find(lost).await.unwrap_err()));
        assert!(asked.elapsed() < Duration::from_millis(900), "{:?}", asked.elapsed());
        for id in [other, third] {
            let mut answer = store.advance(id, step(generation)).await;
            // While the client looks for the lost node, others may have to wait once.
            while answer.is_err() && begun.elapsed() < PATIENCE {
                answer = store.advance(id, step(generation)).await;
            }
            let advanced = answer.unwrap().unwrap();
            assert!(advanced.taken || advanced.before.rotation.current == generation + 1);
        }
    }
    assert!(
        is_outage(&store.ended_since(cursor.clone(), Duration::ZERO).await.unwrap_err()),
        "a log that cannot be read whole is not fresh"
    );
    cluster.node_mut(0).restart();
    cluster.await_agreement();
    let back = until_it_answers(&store, lost).await;
    assert!(back < Duration::from_secs(2), "{back:?}");
    assert!(is_live(&store, lost).await);
    end(&store, lost).await;
    assert_eq!(sessions(&read_on(&store, cursor).await.0), [lost]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_cluster_that_was_away_is_found_again() {
    let mut cluster = RedisCluster::start();
    let store = impatient(&cluster.url()).await;
    let id = begin(&store, "alice").await;
    for node in 0..3 {
        cluster.node_mut(node).kill();
    }
    for _ in 0..5 {
        let asked = Instant::now();
        assert!(is_outage(&store.find(id).await.unwrap_err()));
        assert!(asked.elapsed() < Duration::from_millis(900), "{:?}", asked.elapsed());
    }
    for node in 0..3 {
        cluster.node_mut(node).restart();
    }
    cluster.await_agreement();
    let back = until_it_answers(&store, id).await;
    assert!(back < Duration::from_secs(2), "{back:?}");
    assert!(is_live(&store, id).await);
}
