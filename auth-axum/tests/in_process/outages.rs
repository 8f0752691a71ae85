//! A store or accounts that fail, hang, or lose their answers: nobody is signed out, and no one has to restart anything.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::time::Duration;

use auth_tower::session::rotation::Reuse;
use auth_tower::{Event, MemoryStore, OnOutage};
use tokio::time::Instant;

use super::support::*;

const DEADLINE: Duration = Duration::from_millis(700);

const FAULTS: [Fault; 4] = [Fault::Error, Fault::Hang, Fault::LostAcknowledgement, Fault::LostAnswer];

/// Something that a client does and that takes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Login,
    Refresh,
    Silently,
    Logout,
    LogoutAll,
    List,
    End,
}

impl Deed {
    fn ask(self, alice: &TokenResponse, other: &TokenResponse) -> Ask {
        match self {
            Self::Login => ask("POST", "/auth/login").json(r#"{"username":"alice","password":"wonderland"}"#),
            Self::Refresh => ask("POST", "/auth/refresh").refresh(&alice.refresh),
            Self::Silently => ask("GET", "/me").refresh(&alice.refresh),
            Self::Logout => ask("POST", "/auth/logout").refresh(&alice.refresh),
            Self::LogoutAll => ask("POST", "/auth/logout-all").bearer(&alice.access),
            Self::List => ask("GET", "/auth/sessions").bearer(&alice.access),
            Self::End => ask("DELETE", &format!("/auth/sessions/{}", other.session)).bearer(&alice.access),
        }
    }

    /// What the same request answers once the store is back.
    fn afterwards(self, fault: Fault) -> u16 {
        let done = matches!(fault, Fault::LostAcknowledgement | Fault::LostAnswer);
        match self {
            Self::Login | Self::Refresh | Self::Silently | Self::List => 200,
            Self::Logout => 204,
            // It was done although nobody was told, so there is nothing left to end, or nobody left to ask.
            Self::LogoutAll if done => 401,
            Self::End if done => 404,
            Self::LogoutAll => 200,
            Self::End => 204,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_cannot_be_read_is_refused_told_of_and_left_as_it_is() {
    for reuse in [Reuse::Recover, Reuse::Strict] {
        let world = World::with(|builder| builder.reuse(reuse));
        let alice = world.sign_in("alice").await;
        world.events();
        for call in [Call::Find, Call::Advance, Call::End] {
            world.store.fail(call, Fault::Damage);
        }
        let session = alice.session;
        for request in [
            ask("GET", "/me").refresh(&alice.refresh),
            ask("POST", "/auth/refresh").refresh(&alice.refresh),
        ] {
            let response = world.send(request).await;
            assert_eq!(
                (response.status, &*response.code()),
                (401, "session_ended"),
                "{response:?}"
            );
            response.writes_nothing();
            assert_eq!(world.events(), [Event::SessionUnreadable { session }]);
        }
        let response = world.send(ask("POST", "/auth/logout").refresh(&alice.refresh)).await;
        assert_eq!(response.status, 204, "whoever wants to be rid of it is");
        assert_eq!(world.events(), [Event::SessionUnreadable { session }]);
        world.store.heal();
        let response = world.post_refresh(&alice.refresh).await;
        assert_eq!(
            (response.status, &*response.code()),
            (401, "session_ended"),
            "it was signed out of"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn br_06_op_07_every_failing_call_is_a_503_within_the_deadline_and_leaves_the_cookies_alone() {
    for (deed, call) in [
        (Deed::Login, Call::Create),
        (Deed::Refresh, Call::Advance),
        (Deed::Silently, Call::Advance),
        (Deed::Logout, Call::End),
        (Deed::LogoutAll, Call::EndAll),
        (Deed::List, Call::List),
        (Deed::End, Call::Find),
        (Deed::End, Call::End),
    ] {
        for fault in FAULTS {
            let world = World::with(|builder| builder.store_deadline(DEADLINE));
            let (alice, other) = (world.sign_in("alice").await, world.sign_in("alice").await);
            world.settle().await;
            world.store.fail(call, fault);
            let began = Instant::now();
            world.send(deed.ask(&alice, &other)).await.is_outage();
            let took = began.elapsed();
            assert!(
                took <= DEADLINE + 2 * MILLISECOND,
                "{deed:?} {call:?} {fault:?} took {took:?}"
            );
            if matches!(fault, Fault::Hang | Fault::LostAnswer) {
                assert!(took >= DEADLINE, "it was not even waited for");
            }

            world.store.heal();
            world.settle().await;
            let reply = world.send(deed.ask(&alice, &other)).await;
            let expected = match (deed, call) {
                (Deed::End, Call::Find) => 204,
                _ => deed.afterwards(fault),
            };
            assert_eq!(reply.status, expected, "{deed:?} {call:?} {fault:?}: {reply:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_is_waited_for() {
    let world = World::with(|builder| builder.store_deadline(DEADLINE));
    let alice = world.sign_in("alice").await;
    world.store.fail(Call::Advance, Fault::Delay(DEADLINE - MILLISECOND));
    assert!(world.post_refresh(&alice.refresh).await.refresh().is_some());
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_acknowledgement_the_retry_gets_the_same_successor() {
    for fault in [Fault::LostAcknowledgement, Fault::LostAnswer] {
        let world = World::new();
        let elsewhere = world.another();
        let alice = world.sign_in("alice").await;
        world.travel(HOUR);
        world.store.fail_once(Call::Advance, fault);
        world.silently(&alice.refresh).await.is_outage();
        assert_eq!(
            world.store.record(alice.session).await.unwrap().rotation.current,
            2,
            "it was done"
        );
        let second = world.silently(&alice.refresh).await.refresh().unwrap();
        assert_eq!(generation_of(&second), 2);
        assert_eq!(
            elsewhere.post_refresh(&alice.refresh).await.refresh(),
            Some(second.clone())
        );
        world.travel(HOUR);
        assert_eq!(generation_of(&world.post_refresh(&second).await.refresh().unwrap()), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_stands_though_the_previous_session_could_not_be_ended() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    world.store.fail(Call::End, Fault::Error);
    let again = ask("POST", "/auth/login").refresh(&alice.refresh);
    let again = world
        .send(again.json(r#"{"username":"alice","password":"wonderland"}"#))
        .await;
    assert_eq!(again.status, 200);
    assert_eq!(world.me(&again.access().unwrap()).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_full_store_takes_no_sign_in_and_ends_no_session() {
    let world = World::new();
    let auth = auth_tower::Auth::<User>::authority(key_ring("first"))
        .issuer(ISSUER)
        .audience("api")
        .sessions(MemoryStore::with_clock(world.clock.clone()).with_capacity(1))
        .accounts(world.accounts.clone())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    let app = app_of(&auth);
    let login = ask("POST", "/auth/login").json(r#"{"username":"alice","password":"wonderland"}"#);
    let first = send(&app, login.clone()).await;
    let second = send(&app, login).await;
    second.is_outage();
    assert_eq!(second.header("retry-after"), Some("60"));
    let refreshed = send(&app, ask("POST", "/auth/refresh").refresh(&first.refresh().unwrap())).await;
    assert_eq!(refreshed.status, 200);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_cannot_tell_at_a_sign_in() {
    let world = World::new();
    let refused = world.try_sign_in("alice", "looking glass").await;
    world.accounts.answer(Answer::Gone);
    let gone = world.try_sign_in("alice", "wonderland").await;
    // BR-09: the same answer to the byte.
    assert_eq!((refused.status, &*refused.code()), (401, "invalid_credentials"));
    assert_eq!(
        (gone.status, &gone.body, &gone.headers),
        (refused.status, &refused.body, &refused.headers)
    );

    world.accounts.answer(Answer::Unavailable);
    world.try_sign_in("alice", "wonderland").await.is_outage();
    world.accounts.answer(Answer::Hang);
    let began = Instant::now();
    world.try_sign_in("alice", "wonderland").await.is_outage();
    assert!(began.elapsed() < 11 * SECOND);
    world.accounts.answer(Answer::RateLimited);
    let limited = world.try_sign_in("alice", "wonderland").await;
    assert_eq!((limited.status, &*limited.code()), (429, "rate_limited"));
    assert_eq!(limited.header("retry-after"), Some("17"));
    limited.writes_nothing();
    assert_eq!(world.store.calls(), []);

    world.accounts.answer(Answer::Usual);
    assert_eq!(world.try_sign_in("alice", "wonderland").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_cannot_tell_at_a_refresh_sign_nobody_out() {
    for silently in [true, false] {
        for (answer, status) in [
            (Answer::Unavailable, 503),
            (Answer::Hang, 503),
            (Answer::Panic, 503),
            (Answer::RateLimited, 429),
        ] {
            let world = World::new();
            let alice = world.sign_in("alice").await;
            world.accounts.answer(answer);
            let refresh = async || match silently {
                true => world.silently(&alice.refresh).await,
                false => world.post_refresh(&alice.refresh).await,
            };
            let reply = refresh().await;
            assert_eq!(reply.status, status, "{answer:?}");
            assert!(reply.header("retry-after").is_some());
            reply.writes_nothing();
            world.accounts.answer(Answer::Usual);
            let reply = refresh().await;
            assert_eq!(
                (reply.status, reply.refresh().map(|token| generation_of(&token))),
                (200, Some(2)),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rt_21_se_09_an_account_that_is_gone_has_its_session_ended() {
    for silently in [true, false] {
        let world = World::new();
        let alice = world.sign_in("alice").await;
        world.accounts.answer(Answer::Gone);
        let reply = match silently {
            true => world.silently(&alice.refresh).await,
            false => world.post_refresh(&alice.refresh).await,
        };
        assert_eq!((reply.status, &*reply.code()), (401, "session_ended"));
        assert!(reply.clears());
        world.accounts.answer(Answer::Usual);
        assert_eq!(
            world.post_refresh(&alice.refresh).await.status,
            401,
            "it does not come back with the account"
        );
        assert_eq!(world.me(&alice.access).await.code(), "token_revoked");
        assert_eq!(world.store.rows("alice").await, 0);
    }
}

/// Stops the feed, and lets it grow too old.
async fn lose_the_feed(world: &World) {
    world.store.fail(Call::EndedSince, Fault::Hang);
    world.settle().await;
    world.travel(6 * SECOND);
    let health = world.auth.health();
    assert!(
        !health.feed_is_fresh && health.feed_age >= Some(6 * SECOND),
        "{health:?}"
    );
    let _ = world.store.calls();
}

#[tokio::test(start_paused = true)]
async fn op_06_without_a_fresh_feed_a_session_is_looked_up_once_in_a_while() {
    let world = World::new();
    let (alice, bob) = (world.sign_in("alice").await, world.sign_in("bob").await);
    world.settle().await;
    assert!(world.auth.health().feed_is_fresh);
    lose_the_feed(&world).await;
    for _ in 0..5 {
        assert_eq!(world.me(&alice.access).await.status, 200);
    }
    assert_eq!(world.store.calls(), [(Call::Find, 1)]);
    assert_eq!(world.me(&bob.access).await.status, 200);
    assert_eq!(world.store.calls(), [(Call::Find, 1)]);

    world.store.heal();
    world.settle().await;
    assert!(world.auth.health().feed_is_fresh);
    let carol = world.sign_in("carol").await;
    let _ = world.store.calls();
    assert_eq!(world.me(&carol.access).await.status, 200);
    assert_eq!(world.store.calls(), [], "with the feed back, memory knows");
}

#[tokio::test(start_paused = true)]
async fn without_a_fresh_feed_an_ending_elsewhere_is_found_in_the_store() {
    let here = World::new();
    let there = here.another();
    let (alice, bob) = (here.sign_in("alice").await, here.sign_in("bob").await);
    there.settle().await;
    lose_the_feed(&there).await;
    here.auth.end_session(alice.session).await.unwrap();
    here.auth.end_all(&"bob".parse().unwrap()).await.unwrap();
    for access in [&alice.access, &bob.access] {
        for _ in 0..2 {
            assert_eq!(there.me(access).await.code(), "token_revoked");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn op_06_with_the_store_gone_too_a_layer_accepts_or_refuses_as_it_was_told() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    world.settle().await;
    let app = |on_outage| app_in_outage(&world.auth, on_outage);
    let request = ask("GET", "/me").bearer(&alice.access);
    for fault in [Fault::Error, Fault::Hang] {
        world.store.fail_all(fault);
        lose_the_feed(&world).await;
        assert_eq!(send(&app(OnOutage::Accept), request.clone()).await.status, 200);
        send(&app(OnOutage::Refuse), request.clone()).await.is_outage();
        assert_eq!(world.me(&alice.access).await.status, 200, "to accept is the default");
        world.store.heal();
        world.settle().await;
        assert_eq!(send(&app(OnOutage::Refuse), request.clone()).await.status, 200);
    }
    world.travel(EXPIRY);
    world.store.fail_all(Fault::Error);
    lose_the_feed(&world).await;
    let expired = send(&app(OnOutage::Accept), request).await;
    assert_eq!(
        expired.code(),
        "token_expired",
        "accepted until it expires, and no longer"
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_open_a_session_that_may_have_been_ended() {
    let here = World::new();
    let there = here.another();
    let alice = here.sign_in("alice").await;
    here.auth.end_all(&"alice".parse().unwrap()).await.unwrap();
    there.settle().await;
    there.store.fail(Call::Find, Fault::Error);
    for world in [&here, &there] {
        world.me(&alice.access).await.is_outage();
    }
    there.store.heal();
    for world in [&here, &there] {
        assert_eq!(world.me(&alice.access).await.code(), "token_revoked");
    }
}

/// Waits for the whole deadline, as long as it is waited for.
async fn time_of_a_refresh(world: &World, alice: &TokenResponse) -> (u16, Duration) {
    let begun = Instant::now();
    let reply = world.post_refresh(&alice.refresh).await;
    assert!(!reply.clears());
    (reply.status, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn op_07_a_store_that_hangs_is_soon_not_waited_for_and_soon_asked_again() {
    let world = World::with(|builder| builder.store_deadline(DEADLINE));
    let alice = world.sign_in("alice").await;
    world.store.fail_all(Fault::Hang);
    let mut waited = 0;
    while world.auth.health().store_answers {
        assert_eq!(time_of_a_refresh(&world, &alice).await.0, 503);
        waited += 1;
        assert!(waited < 40, "it would be waited for for ever");
    }
    let mut at_once = 0;
    for _ in 0..100 {
        let (status, took) = time_of_a_refresh(&world, &alice).await;
        assert_eq!(status, 503);
        at_once += usize::from(took.is_zero());
        assert!(took <= DEADLINE);
    }
    assert!(at_once >= 80, "{at_once} of 100 were refused at once");
    assert_eq!(world.me(&alice.access).await.status, 200, "what needs no store goes on");

    world.store.heal();
    let back = Instant::now();
    while time_of_a_refresh(&world, &alice).await.0 != 200 {
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    assert!(back.elapsed() <= SECOND, "{:?}", back.elapsed());
    assert!(world.auth.health().store_answers);
}

#[tokio::test(start_paused = true)]
async fn op_07_what_waits_for_a_store_is_bounded() {
    let world = World::with(|builder| builder.store_deadline(DEADLINE));
    let alice = world.sign_in("alice").await;
    world.store.fail_all(Fault::Hang);
    let _ = world.store.calls();
    // Each is a session of its own, so none shares another's exchange.
    let logins = (0..9_000).map(|_| world.try_sign_in("alice", "wonderland"));
    let begun = Instant::now();
    for reply in futures_util::future::join_all(logins).await {
        assert_eq!(reply.status, 503);
    }
    assert!(begun.elapsed() <= 2 * DEADLINE, "{:?}", begun.elapsed());
    let calls = world.store.calls();
    assert!(calls.iter().all(|(_, number)| *number <= 8_192), "{calls:?}");
    world.store.heal();
    assert_eq!(world.me(&alice.access).await.status, 200);
}
