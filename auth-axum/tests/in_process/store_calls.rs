//! What a request costs the store.

use super::support::*;

const ROUTES: [(&str, &str); 8] = [
    ("GET", "/me"),
    ("POST", "/me"),
    ("GET", "/option"),
    ("GET", "/maybe"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/logout-all"),
    ("GET", "/auth/sessions"),
];

#[tokio::test(start_paused = true)]
async fn op_03_rt_12_garbage_credentials_cost_no_store_call() {
    let world = World::new();
    let honest = world.sign_in("alice").await;
    world.settle().await;
    let _ = world.store.calls();
    let swapped = |at: usize| {
        let mut bytes = honest.refresh.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut refresh: Vec<String> = (0..72).map(swapped).collect();
    refresh.extend([
        "".into(),
        "x".into(),
        "A".repeat(72),
        "A".repeat(4096),
        format!("{}A", honest.refresh),
    ]);
    refresh.extend([
        honest.access.clone(),
        honest.session.to_string(),
        format!("\"{}\"", honest.refresh),
    ]);
    let access = [
        "x".to_owned(),
        "a.b.c".into(),
        "..".into(),
        "A".repeat(100_000),
        honest.refresh.clone(),
        honest.forged_access(),
        honest.access.replacen('.', "..", 1),
        format!("{}.", honest.access),
        "eyJhbGciOiJub25lIn0.e30.".into(),
    ];
    for (method, path) in ROUTES {
        for token in &refresh {
            world.send(ask(method, path).refresh(token)).await;
        }
        for token in &access {
            world.send(ask(method, path).bearer(token)).await;
        }
        world
            .send(ask(method, path).bearer(&access[5]).refresh(&refresh[5]))
            .await;
        world
            .send(
                ask(method, path)
                    .header("authorization", "Bearer")
                    .header("cookie", "__Host-refresh"),
            )
            .await;
    }
    world.settle().await;
    assert_eq!(world.store.count(Call::MarkSeen), 0);
    assert_eq!(world.store.calls(), []);
    assert_eq!(
        world.post_refresh(&honest.refresh).await.status,
        200,
        "the honest session is untouched"
    );
}

#[tokio::test(start_paused = true)]
async fn a_warm_protected_request_costs_none() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    world.settle().await;
    let _ = world.store.calls();
    for _ in 0..100 {
        assert_eq!(world.me(&alice.access).await.status, 200);
    }
    world.settle().await;
    assert_eq!(world.store.count(Call::MarkSeen), 1, "that it arrived is noted once");
    assert_eq!(world.store.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn each_deed_costs_what_it_must() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    assert_eq!(world.store.calls(), [(Call::Create, 1)]);
    world.settle().await;

    let again = ask("POST", "/auth/login").refresh(&alice.refresh);
    let again = world
        .send(again.json(r#"{"username":"alice","password":"wonderland"}"#))
        .await;
    assert_eq!(world.store.calls(), [(Call::Create, 1), (Call::End, 1)]);
    let access = again.access().unwrap();

    world.send(ask("GET", "/auth/sessions").bearer(&access)).await;
    assert_eq!(world.store.calls(), [(Call::List, 1)]);
    let other = world.sign_in("alice").await.session;
    let _ = world.store.calls();
    let end = ask("DELETE", &format!("/auth/sessions/{other}")).bearer(&access);
    assert_eq!(world.send(end).await.status, 204);
    assert_eq!(world.store.calls(), [(Call::Find, 1), (Call::End, 1)]);
    world.send(ask("POST", "/auth/logout").bearer(&access)).await;
    assert_eq!(world.store.calls(), [(Call::End, 1)]);
}

#[tokio::test(start_paused = true)]
async fn se_04_ending_all_sessions_is_one_write_whatever_their_number() {
    let world = World::new();
    for _ in 0..500 {
        world.sign_in("alice").await;
    }
    let last = world.sign_in("alice").await;
    world.settle().await;
    let _ = world.store.calls();
    let all = world.send(ask("POST", "/auth/logout-all").bearer(&last.access)).await;
    assert_eq!(all.json()["ended"], 501);
    assert_eq!(world.store.calls(), [(Call::EndAll, 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_is_one_round_trip() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let _ = world.store.calls();
    assert!(world.silently(&alice.refresh).await.refresh().is_some());
    assert_eq!(world.store.calls(), [(Call::Advance, 1)]);

    world.travel(EXPIRY);
    let bob = world.sign_in("bob").await;
    let _ = world.store.calls();
    world.travel(EXPIRY);
    let reply = world
        .send(ask("GET", "/me").bearer(&bob.access).refresh(&bob.refresh))
        .await;
    assert!(reply.refresh().is_some());
    assert_eq!(world.store.calls(), [(Call::Advance, 1)]);
}

#[tokio::test(start_paused = true)]
async fn only_a_recovery_and_a_healing_take_two() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let second = world.post_refresh(&alice.refresh).await.refresh().unwrap();
    world.travel(HOUR);
    let _ = world.store.calls();
    let third = world.post_refresh(&alice.refresh).await.refresh().unwrap();
    assert_eq!(generation_of(&third), 3, "recovered beside {second}");
    assert_eq!(world.store.calls(), [(Call::Advance, 2)]);

    world.store.restore_backup().await;
    world.travel(HOUR);
    let healed = world.post_refresh(&third).await.refresh().unwrap();
    assert_eq!(generation_of(&healed), 4);
    assert_eq!(world.store.calls(), [(Call::Advance, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_a_little_later_shares_the_exchange() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let successor = world.silently(&alice.refresh).await.refresh().unwrap();
    let _ = world.store.calls();
    world.travel(SECOND - MILLISECOND);
    assert_eq!(world.silently(&alice.refresh).await.refresh().unwrap(), successor);
    assert_eq!(world.post_refresh(&alice.refresh).await.refresh().unwrap(), successor);
    assert_eq!(world.store.calls(), []);
    world.travel(MILLISECOND);
    assert_eq!(
        world.silently(&alice.refresh).await.refresh().unwrap(),
        successor,
        "asked anew, with the same answer"
    );
    assert_eq!(world.store.calls(), [(Call::Advance, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_kept_exchange_hands_nothing_out_once_its_successor_was_seen() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let reply = world.silently(&alice.refresh).await;
    assert_eq!(world.me(&reply.access().unwrap()).await.status, 200);
    let late = world.silently(&alice.refresh).await;
    assert_eq!(late.status, 200);
    // The store has not been told yet, so it may still resend; once it has, it may not.
    world.settle().await;
    let late = world.silently(&alice.refresh).await;
    assert_eq!(late.status, 200);
    late.writes_nothing();
}
