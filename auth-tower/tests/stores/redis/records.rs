//! What lies in the server: only what belongs there, for as long as it should, and never believed if it was tampered with.

use std::time::Duration;

use auth_tower::session::{EndReason, Lifetime};
use auth_tower::store::{
    Acknowledgement, Advance, Cursor, NewSession, Retention, RevocationFeed as _, SessionStore, StoreError,
};
use auth_tower::{RedisOptions, RedisStore};
use servers::Redis;

use super::support::{HOUR, begin, connect, end, is_live, read_on, session, sessions, step, subject};

/// The key of a session.
fn key_of(server: &Redis, id: auth_tower::SessionId) -> String {
    let key = server.cli(&["KEYS", &format!("auth:*s:{id}")]);
    assert_eq!(key.lines().count(), 1);
    key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_session_is_refused_and_harms_no_other() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    for damage in [
        &["SET", "KEY", ""][..],
        &["SET", "KEY", "nonsense"],
        &["SETRANGE", "KEY", "0", "\u{2}"],
        // The reason of its ending, its marks, the length and the name of its subject, something behind the end.
        &["SETRANGE", "KEY", "1", "z"],
        &["SETRANGE", "KEY", "2", "z"],
        &["SETRANGE", "KEY", "53", "z"],
        &["SETRANGE", "KEY", "54", "\n"],
        &["SETRANGE", "KEY", "54", "m"],
        &["APPEND", "KEY", "x"],
    ] {
        let damaged = begin(&store, "alice").await;
        let sound = begin(&store, "alice").await;
        let key = key_of(&server, damaged);
        let command: Vec<&str> = damage
            .iter()
            .map(|word| if *word == "KEY" { &key } else { *word })
            .collect();
        server.cli(&command);
        let is_refused = |error: StoreError| matches!(error, StoreError::Corrupt(_));
        let found = store.find(damaged).await;
        // A name that is not its own leaves it without a place in any index: it is then over.
        let is_nothing = matches!(found, Ok(None));
        assert!(is_nothing || found.is_err_and(is_refused), "{damage:?}");
        let step_taken = store.advance(damaged, step(1)).await;
        assert!(
            matches!(step_taken, Ok(None)) || step_taken.is_err_and(is_refused),
            "{damage:?}"
        );
        let marks = vec![
            Acknowledgement {
                id: damaged,
                generation: 1,
            },
            Acknowledgement {
                id: sound,
                generation: 1,
            },
        ];
        store.acknowledge(marks).await.unwrap();
        assert!(store.find(sound).await.unwrap().unwrap().record.rotation.seen);
        let listed = store.list(&subject("alice"), 100).await.unwrap();
        assert_eq!(
            listed.iter().map(|record| record.id).collect::<Vec<_>>(),
            [sound],
            "{damage:?}"
        );
        assert!(store.advance(sound, step(1)).await.unwrap().unwrap().taken);
        store
            .end_all(&subject("alice"), None, EndReason::AllEnded)
            .await
            .unwrap();
        assert!(!is_live(&store, sound).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_a_session_of_a_later_format_is_told_to_others_once_and_keeps_what_it_was() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    let key = key_of(&server, id);
    server.cli(&["SETRANGE", &key, "0", "\u{2}"]);
    for _ in 0..3 {
        assert!(matches!(
            store.end(id, EndReason::Administrator).await,
            Err(StoreError::Corrupt(_))
        ));
    }
    assert_eq!(sessions(&read_on(&store, Cursor::start()).await.0), [id]);
    assert!(matches!(store.find(id).await, Err(StoreError::Corrupt(_))));
    assert!(
        server.cli(&["PTTL", &key]).parse::<i64>().unwrap() > 0,
        "it is forgotten in time"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_keys_are_neither_believed_nor_changed() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let id = begin(&store, "alice").await;
    let key = key_of(&server, id);
    server.cli(&["DEL", &key]);
    server.cli(&["HSET", &key, "of", "somebody else"]);
    assert!(matches!(store.find(id).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.advance(id, step(1)).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(
        store.end(id, EndReason::SignedOut).await,
        Err(StoreError::Corrupt(_))
    ));
    let sound = begin(&store, "bob").await;
    let marks = [id, sound].map(|id| Acknowledgement { id, generation: 1 });
    store.acknowledge(marks.into()).await.unwrap();
    assert!(store.find(sound).await.unwrap().unwrap().record.rotation.seen);
    assert_eq!(server.cli(&["HGET", &key, "of"]), "somebody else");
    let log = server.cli(&["KEYS", "auth:{*}f"]);
    assert_eq!(log, "", "nothing has ended");
    let base = key.split("s:").next().unwrap();
    server.cli(&["SET", &format!("{base}f"), "somebody else's"]);
    let other = begin(&store, "alice").await;
    assert!(matches!(
        store.end(other, EndReason::SignedOut).await,
        Err(StoreError::Corrupt(_))
    ));
    assert!(
        is_live(&store, other).await,
        "a revocation that no reader could learn of has not happened"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_keep_applications_apart() {
    let server = Redis::start();
    server.cli(&["SET", "session:1", "the application's own"]);
    let one = RedisOptions::new()
        .with_prefix("one:")
        .connect(server.url())
        .await
        .unwrap();
    let two = connect(&format!("{}?prefix=two:", server.url())).await;
    let id = begin(&one, "alice").await;
    assert!(two.find(id).await.unwrap().is_none());
    assert!(two.end(id, EndReason::SignedOut).await.unwrap().is_none());
    assert_eq!(
        two.end_all(&subject("alice"), None, EndReason::AllEnded)
            .await
            .unwrap()
            .ended,
        0
    );
    assert!(two.list(&subject("alice"), 10).await.unwrap().is_empty());
    assert!(is_live(&one, id).await);
    end(&one, id).await;
    assert_eq!(read_on(&one, Cursor::start()).await.0.len(), 1);
    assert!(sessions(&read_on(&two, Cursor::start()).await.0).is_empty());
    let keys = server.cli(&["KEYS", "*"]);
    let foreign = keys
        .lines()
        .filter(|key| !key.starts_with("one:") && !key.starts_with("two:"));
    assert_eq!(foreign.collect::<Vec<_>>(), ["session:1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_forgets_what_is_over_by_itself() {
    let server = Redis::start();
    let store = RedisOptions::new()
        .with_retention(Duration::from_millis(300))
        .connect(server.url())
        .await
        .unwrap();
    let short = || NewSession {
        lifetime: Lifetime {
            idle: Duration::from_millis(400),
            absolute: Duration::from_millis(600),
        },
        ..session("alice")
    };
    let lapsing = store.create(short()).await.unwrap().id;
    let rotated = store.create(short()).await.unwrap().id;
    assert!(store.advance(rotated, step(1)).await.unwrap().unwrap().taken);
    store.create(short()).await.unwrap();
    store
        .end_all(&subject("alice"), Some(rotated), EndReason::AllEnded)
        .await
        .unwrap();
    let long = store.create(session("bob")).await.unwrap().id;
    end(&store, long).await;
    assert!(store.find(lapsing).await.unwrap().is_some());
    server.until("a server that holds only the logs", || {
        let keys = server.cli(&["KEYS", "*"]);
        keys.lines().all(|key| key.ends_with("}f") || key.contains("}u:bob"))
    });
    let left = server.cli(&["KEYS", "*u:bob"]);
    assert!(left.is_empty() || server.cli(&["PTTL", &left]).parse::<i64>().unwrap() > 0);
}

/// A step pushes the expiry of the key only now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_kept_beyond_each_of_its_deadlines_and_not_for_long() {
    let server = Redis::start();
    let store = RedisOptions::new()
        .with_retention(HOUR)
        .connect(server.url())
        .await
        .unwrap();
    let id = begin(&store, "alice").await;
    let key = key_of(&server, id);
    let mut expiries = Vec::new();
    let idle_times = [
        HOUR,
        HOUR,
        HOUR / 2,
        HOUR / 2,
        HOUR / 60,
        HOUR,
        HOUR * 9,
        HOUR * 9,
        HOUR,
    ];
    for (generation, idle) in (1..).zip(idle_times) {
        let step = Advance {
            idle,
            ..step(generation)
        };
        assert!(store.advance(id, step).await.unwrap().unwrap().taken);
        let marks = vec![Acknowledgement {
            id,
            generation: generation + 1,
        }];
        store.acknowledge(marks).await.unwrap();
        let deadline = store
            .find(id)
            .await
            .unwrap()
            .unwrap()
            .record
            .idle_expires_at
            .as_millis();
        let expiry: i64 = server.cli(&["PEXPIRETIME", &key]).parse().unwrap();
        let beyond = expiry - i64::try_from(HOUR.as_millis()).unwrap() - deadline;
        let most = i64::try_from(idle.as_millis()).unwrap() / 64;
        assert!((0..=most).contains(&beyond), "{beyond} ms after {idle:?}");
        expiries.push(expiry);
    }
    assert_eq!(expiries[0], expiries[1]);
    assert_eq!(expiries[2], expiries[3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_of_very_many_sessions_are_listed() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let mut ids = Vec::new();
    for _ in 0..1_200 {
        ids.push(begin(&store, "alice").await);
    }
    for id in ids.iter().rev().step_by(2) {
        store.end(*id, EndReason::SignedOut).await.unwrap();
    }
    for _ in 0..600 {
        ids.push(begin(&store, "alice").await);
    }
    let newest = store.list(&subject("alice"), 50).await.unwrap();
    assert_eq!(newest.len(), 50);
    let created: Vec<_> = newest.iter().map(|record| record.created_at).collect();
    assert!(created.is_sorted());
    assert!(newest.iter().all(|record| ids[1_200..].contains(&record.id)));
    let all = store.list(&subject("alice"), usize::MAX).await.unwrap();
    assert_eq!(all.len(), 1_200, "600 of the first, and all of the others");
}

/// The time that one `end_all` takes must not grow with what it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_index_signs_out_and_brings_nothing_back() {
    let server = Redis::start();
    let store: RedisStore = connect(&server.url()).await;
    let ended = begin(&store, "alice").await;
    let live = begin(&store, "alice").await;
    end(&store, ended).await;
    let index = server.cli(&["KEYS", "auth:*u:alice"]);
    server.cli(&["DEL", &index]);
    assert!(!is_live(&store, ended).await);
    assert!(!is_live(&store, live).await);
    let new = begin(&store, "alice").await;
    assert!(is_live(&store, new).await);
    assert!(!is_live(&store, live).await);
    assert!(server.cli(&["PTTL", &index]).parse::<u128>().unwrap() > HOUR.as_millis());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_later_version_says_more_in_the_log_is_passed_over_and_what_ends_nothing_is_refused() {
    let server = Redis::start();
    let store = connect(&server.url()).await;
    let live = begin(&store, "alice").await;
    let [one, two] = [(); 2].map(|()| session("alice").id);
    let key = key_of(&server, live);
    let log = format!("{}f", key.split("s:").next().unwrap());
    let add = |fields: &[&str]| server.cli(&[&["XADD", &log, "*"], fields].concat());
    let far = "1900000000000";
    add(&[
        "by",
        "7",
        "session",
        &one.to_string(),
        "reason",
        "9",
        "at",
        far,
        "more",
        "1",
    ]);
    add(&["session", &two.to_string(), "at", far]);
    assert_eq!(sessions(&read_on(&store, Cursor::start()).await.0), [one, two]);
    let retention = Retention {
        sessions: HOUR,
        revocations: HOUR,
    };
    assert_eq!(
        store.purge(retention).await.unwrap(),
        0,
        "by when it happened, wherever that stands"
    );
    for nonsense in [
        &["session", "nobody", "at", far][..],
        &["device", "of alice", "at", far],
        &["session", &one.to_string()],
    ] {
        let number = add(nonsense);
        assert!(
            matches!(
                store.revocations_since(Cursor::start(), Duration::ZERO).await,
                Err(StoreError::Corrupt(_))
            ),
            "{nonsense:?}"
        );
        // Who starts now looks sessions up.
        let late = connect(&server.url()).await;
        assert!(is_live(&late, live).await);
        assert_eq!(server.cli(&["XDEL", &log, &number]), "1");
    }
    server.cli(&["DEL", &log]);
    server.cli(&["SET", &log, "somebody else's"]);
    assert!(matches!(
        RedisStore::connect(server.url()).await,
        Err(StoreError::Open { .. })
    ));
}
