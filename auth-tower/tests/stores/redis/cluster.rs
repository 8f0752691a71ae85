//! A cluster that is changed, or loses a node, while it is used.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::time::{Duration, Instant};

use auth_tower::session::EndReason;
use auth_tower::store::{Cursor, RevocationFeed as _, SessionStore, StoreError};
use auth_tower::{RedisOptions, RedisStore, SessionId, Subject};
use servers::RedisCluster;

use super::support::{
    PATIENCE, begin, connect, end, impatient, is_live, is_outage, read_on, sessions, step, subject, until_it_answers,
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

/// A slot on its way to another node, key by key.
struct Moving<'a> {
    cluster: &'a RedisCluster,
    slot: u16,
    from: usize,
    to: usize,
}

impl<'a> Moving<'a> {
    /// The slot of a session.
    fn begin(cluster: &'a RedisCluster, id: SessionId) -> Self {
        let (from, slot) = slot_of(cluster, id);
        let to = (from + 1) % 3;
        assert_eq!(cluster.owner(slot), from);
        let (source, target) = (&cluster.nodes()[from], &cluster.nodes()[to]);
        let (source_id, target_id) = (source.cli(&["CLUSTER", "MYID"]), target.cli(&["CLUSTER", "MYID"]));
        target.cli(&["CLUSTER", "SETSLOT", &slot.to_string(), "IMPORTING", &source_id]);
        source.cli(&["CLUSTER", "SETSLOT", &slot.to_string(), "MIGRATING", &target_id]);
        Self {
            cluster,
            slot,
            from,
            to,
        }
    }

    /// What has not left yet.
    fn keys(&self) -> Vec<String> {
        let keys = self.cluster.nodes()[self.from].cli(&["CLUSTER", "GETKEYSINSLOT", &self.slot.to_string(), "1000"]);
        keys.lines().map(str::to_owned).collect()
    }

    fn take(&self, key: &str) {
        let port = self.cluster.nodes()[self.to].port().to_string();
        let moved = self.cluster.nodes()[self.from].cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        assert_eq!(moved, "OK");
    }

    /// Tells everybody that it has arrived.
    fn end(self) {
        let nodes = self.cluster.nodes();
        let target_id = nodes[self.to].cli(&["CLUSTER", "MYID"]);
        for number in [self.to, self.from, 3 - self.to - self.from] {
            nodes[number].cli(&["CLUSTER", "SETSLOT", &self.slot.to_string(), "NODE", &target_id]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_sessions_along() {
    let cluster = RedisCluster::start();
    let store = connect(&cluster.url()).await;
    let id = begin(&store, "alice").await;
    let ended = begin(&store, "alice").await;
    end(&store, ended).await;
    let (_, cursor) = read_on(&store, Cursor::start()).await;
    let moving = Moving::begin(&cluster, id);
    let (slot, to) = (moving.slot, moving.to);
    let keys = moving.keys();
    let mut moved = 0;
    let mut generation = 1;
    for key in &keys {
        // With part of the keys on either side: the truth or nothing.
        match store.advance(id, step(generation)).await {
            Ok(advanced) => {
                assert!(advanced.unwrap().taken);
                generation += 1;
            }
            Err(error) => assert!(is_outage(&error), "{error:?}"),
        }
        match store.find(ended).await {
            Ok(found) => assert!(found.is_none_or(|found| found.record.status(found.now).is_some())),
            Err(error) => assert!(is_outage(&error), "{error:?}"),
        }
        moving.take(key);
        moved += 1;
    }
    assert!(moved >= 4, "the session, the one that ended, the index, the log");
    moving.end();
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

/// Somebody with a session that lives, one to be ended, and one that was left behind if an index was dropped before.
struct User {
    subject: Subject,
    live: SessionId,
    generation: u32,
    victim: SessionId,
    left: Option<SessionId>,
}

/// What was answered, and what was refused.
#[derive(Default)]
struct Tally(u32, u32);

impl Tally {
    fn count<T>(&mut self, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.0 += 1;
                Some(answer)
            }
            Err(error) => {
                assert!(is_outage(&error), "{error:?}");
                self.1 += 1;
                None
            }
        }
    }
}

impl User {
    async fn is_told_the_truth_or_nothing(&mut self, store: &RedisStore, tally: &mut Tally, when: &str) {
        let left = async {
            match self.left {
                Some(left) => store.find(left).await,
                None => Ok(None),
            }
        };
        let (found, advanced, ended, left) = tokio::join!(
            store.find(self.live),
            store.advance(self.live, step(self.generation)),
            store.end(self.victim, EndReason::SignedOut),
            left
        );
        if let Some(found) = tally.count(found) {
            let found = found.expect(when);
            assert_eq!(found.record.status(found.now), None, "{when}");
        }
        if let Some(advanced) = tally.count(advanced) {
            let advanced = advanced.expect(when);
            assert_eq!(advanced.before.ended, None, "{when}");
            // A step whose answer was lost may have been taken.
            self.generation = advanced.before.rotation.current + u32::from(advanced.taken);
        }
        if let Some(ended) = tally.count(ended) {
            assert!(ended.is_some(), "{when}");
            if let Some(found) = tally.count(store.find(self.victim).await) {
                assert!(found.expect(when).record.ended.is_some(), "{when}");
            }
        }
        let left = left.ok().flatten();
        assert!(left.is_none_or(|left| left.record.ended.is_some()), "{when}");
    }
}

/// Scripts are told the name of the session's key alone, and what belongs to it may be on the other side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_slot_moves_nobody_who_is_signed_in_is_taken_for_signed_out() {
    let cluster = RedisCluster::start();
    let store = connect(&cluster.url()).await;
    // Who is refused would be so after a second as well.
    let options = RedisOptions::new().with_deadline(Duration::from_millis(80));
    let hasty = options.connect(cluster.url()).await.unwrap();
    let part = |name: &str| subject(name).key().routing()[0] >> 4;
    let neighbour = (0..)
        .map(|number| format!("neighbour {number}"))
        .find(|name| part(name) == part("alice"));
    let mut users = Vec::new();
    for (name, has_left) in [("alice", false), (&neighbour.unwrap(), true)] {
        let left = has_left.then_some(begin(&store, name).await);
        let live = begin(&store, name).await;
        if has_left {
            let subject = subject(name);
            let all = store.end_all(&subject, Some(live), EndReason::AllEnded);
            assert_eq!(all.await.unwrap().ended, 1);
        }
        users.push(User {
            subject: subject(name),
            live,
            generation: 1,
            victim: live,
            left,
        });
    }
    let mut tally = Tally::default();
    // Sessions, indexes, epochs and the log; the log beside the sessions, as a session is ended only where its log is.
    for order in ["sfue", "sfeu", "usfe", "uesf", "esfu", "eusf"] {
        for user in &mut users {
            user.victim = begin(&store, user.subject.as_str()).await;
        }
        let (_, cursor) = read_on(&store, Cursor::start()).await;
        let moving = Moving::begin(&cluster, users[0].live);
        let mut keys = moving.keys();
        let kind = |key: &str| {
            key.split_once('}')
                .and_then(|(_, name)| order.find(&name[..1]))
                .unwrap()
        };
        keys.sort_by_key(|key| kind(key));
        assert!(
            order
                .chars()
                .all(|kind| keys.iter().any(|key| key.contains(&format!("}}{kind}"))))
        );
        for key in &keys {
            moving.take(key);
            for user in &mut users {
                let when = format!("{order}, after {key}");
                user.is_told_the_truth_or_nothing(&hasty, &mut tally, &when).await;
            }
        }
        moving.end();
        for user in &mut users {
            until_it_answers(&store, user.live).await;
            assert!(is_live(&store, user.live).await, "{order}");
            end(&store, user.victim).await;
            assert!(!is_live(&store, user.victim).await, "{order}");
        }
        let told = sessions(&read_on(&store, cursor).await.0);
        assert!(
            users.iter().all(|user| told.contains(&user.victim)),
            "{order}: {told:?}"
        );
    }
    let Tally(answered, refused) = tally;
    assert!(
        answered > 100 && refused > 100,
        "{answered} answers, {refused} refusals"
    );
    for user in users {
        end(&store, user.live).await;
        assert!(!is_live(&store, user.live).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_half_of_a_slot_is_refused_in_time() {
    let cluster = RedisCluster::start();
    let store = connect(&cluster.url()).await;
    let id = begin(&store, "alice").await;
    let moving = Moving::begin(&cluster, id);
    let session = moving.keys().into_iter().find(|key| key.contains("}s:")).unwrap();
    moving.take(&session);
    let asked = Instant::now();
    let (found, ended) = tokio::join!(store.find(id), store.end(id, EndReason::SignedOut));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
    for key in moving.keys() {
        moving.take(&key);
    }
    moving.end();
    assert!(is_live(&store, id).await);
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
        is_outage(
            &store
                .revocations_since(cursor.clone(), Duration::ZERO)
                .await
                .unwrap_err()
        ),
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
