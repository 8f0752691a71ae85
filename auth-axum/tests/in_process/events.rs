//! What an app hears of: each cause once, by name, and never a credential.

use auth_tower::Event;
use auth_tower::session::EndReason;
use futures_util::future::join_all;

use super::support::*;

fn ended(alice: &TokenResponse, reason: EndReason) -> Event {
    let session = alice.session;
    Event::SessionEnded { session, reason }
}

#[tokio::test(start_paused = true)]
async fn op_04_sign_ins_and_sign_outs_are_told_once() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let signed_in = |one: &TokenResponse| Event::SignedIn {
        subject: "alice".parse().unwrap(),
        session: one.session,
    };
    assert_eq!(world.events(), [signed_in(&alice)]);

    assert_eq!(world.try_sign_in("alice", "wrong").await.status, 401);
    assert_eq!(world.events(), [Event::SignInRefused]);
    world.accounts.answer(Answer::Unavailable);
    world.try_sign_in("alice", "wonderland").await.is_outage();
    assert_eq!(world.events(), [], "an outage is no refusal");
    world.accounts.answer(Answer::Usual);

    let again = ask("POST", "/auth/login").refresh(&alice.refresh);
    let again = world
        .send(again.json(r#"{"username":"alice","password":"wonderland"}"#))
        .await;
    let second = TokenResponse {
        session: again.json()["session_id"].as_str().unwrap().parse().unwrap(),
        access: again.access().unwrap(),
        refresh: again.refresh().unwrap(),
    };
    assert_eq!(world.events(), [signed_in(&second), ended(&alice, EndReason::Replaced)]);

    for _ in 0..2 {
        let out = world
            .send(
                ask("POST", "/auth/logout")
                    .bearer(&second.access)
                    .refresh(&second.refresh),
            )
            .await;
        assert_eq!(out.status, 204);
    }
    assert_eq!(world.events(), [ended(&second, EndReason::SignedOut)]);
}

#[tokio::test(start_paused = true)]
async fn op_04_every_other_ending_is_told_once_with_its_reason() {
    let world = World::new();
    let (owner, other) = (world.sign_in("alice").await, world.sign_in("alice").await);
    let _ = world.events();
    let end = ask("DELETE", &format!("/auth/sessions/{}", other.session)).bearer(&owner.access);
    for status in [204, 404] {
        assert_eq!(world.send(end.clone()).await.status, status);
    }
    assert_eq!(world.events(), [ended(&other, EndReason::EndedByOwner)]);

    world.auth.end_session(owner.session).await.unwrap();
    world.auth.end_session(owner.session).await.unwrap();
    assert_eq!(world.events(), [ended(&owner, EndReason::Administrator)]);

    world.travel(SECOND);
    let alice = world.sign_in("alice").await;
    world.sign_in("alice").await;
    let _ = world.events();
    let all = world.send(ask("POST", "/auth/logout-all").bearer(&alice.access)).await;
    assert_eq!(all.status, 200);
    assert_eq!(
        world.events(),
        [Event::AllSessionsEnded {
            subject: "alice".parse().unwrap(),
            ended: 2
        }]
    );

    let bob = world.sign_in("bob").await;
    let _ = world.events();
    world.accounts.answer(Answer::Gone);
    for _ in 0..2 {
        assert_eq!(world.post_refresh(&bob.refresh).await.status, 401);
    }
    let heard = world.events();
    assert_eq!(
        heard
            .iter()
            .filter(|event| **event == ended(&bob, EndReason::AccountGone))
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn op_04_every_exchange_is_told_once_by_what_it_was() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let session = alice.session;
    let _ = world.events();

    let second = world.post_refresh(&alice.refresh).await.refresh().unwrap();
    assert_eq!(world.events(), [Event::Rotated { session, generation: 2 }]);
    world.travel(2 * SECOND);
    world.post_refresh(&alice.refresh).await;
    assert_eq!(
        world.events(),
        [Event::ReplayServed { session, generation: 1 }],
        "again the same one"
    );
    world.travel(15 * SECOND);
    world.post_refresh(&alice.refresh).await;
    assert_eq!(
        world.events(),
        [Event::ReplayServed { session, generation: 1 }],
        "answered without one"
    );
    world.travel(HOUR);
    let third = world.post_refresh(&alice.refresh).await.refresh().unwrap();
    assert_eq!(world.events(), [Event::Recovered { session, generation: 3 }]);
    world.travel(2 * SECOND);
    world.post_refresh(&third).await;
    assert_eq!(world.events(), [], "another tab is no news");

    world.store.restore_backup().await;
    world.travel(HOUR);
    world.post_refresh(&third).await;
    assert_eq!(
        world.events(),
        [Event::SessionRepaired {
            session,
            presented: 3,
            stored: 1
        }]
    );
    // Past the third of the grace in which what came before a healing may still be under way.
    world.travel(11 * SECOND);
    for _ in 0..2 {
        assert_eq!(world.post_refresh(&alice.refresh).await.status, 401);
    }
    assert_eq!(
        world.events(),
        [
            Event::RefreshTokenReused {
                subject: "alice".parse().unwrap(),
                session,
                presented: 1,
                current: 4
            },
            ended(&alice, EndReason::Reused),
        ]
    );
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn op_04_a_burst_is_one_event() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let _ = world.events();
    world.store.fail(Call::Advance, Fault::Delay(SECOND));
    for reply in join_all((0..50).map(|_| world.silently(&alice.refresh))).await {
        assert_eq!(reply.status, 200);
    }
    assert_eq!(
        world.events(),
        [Event::Rotated {
            session: alice.session,
            generation: 2
        }]
    );
}

/// Every flow once, collecting every credential that was in play.
struct Flows {
    secrets: Vec<String>,
    shown: String,
}

impl Flows {
    fn took(&mut self, reply: &Reply) {
        self.secrets.extend(reply.refresh());
        self.secrets.extend(reply.access());
        // Headers that carry a credential are marked, so that showing a response shows none.
        self.shown.push_str(&format!("{:?} {:?}", reply.headers, reply.denial));
    }

    async fn run() -> Self {
        let mut flows = Self {
            secrets: vec!["wonderland".into(), "looking-glass".into()],
            shown: String::new(),
        };
        let world = World::with(|builder| builder.store_deadline(SECOND));
        let elsewhere = world.another();
        flows.took(&world.try_sign_in("alice", "wonderland").await);
        flows.took(&world.try_sign_in("alice", "looking-glass").await);
        for body in [
            r#"{"username":"alice","password":["wonderland"]}"#,
            r#"{"password":"wonderland""#,
        ] {
            flows.took(&world.send(ask("POST", "/auth/login").json(body)).await);
        }
        let alice = world.sign_in("alice").await;
        flows.secrets.extend([alice.access.clone(), alice.refresh.clone()]);
        flows.secrets.extend([alice.forged_access(), alice.forged_refresh()]);
        flows.took(&world.me(&alice.access).await);
        flows.took(&world.me(&alice.forged_access()).await);
        flows.took(&world.me(&alice.refresh).await);
        flows.took(&world.silently(&alice.forged_refresh()).await);
        let second = world.silently(&alice.refresh).await;
        flows.took(&second);
        world.travel(2 * SECOND);
        flows.took(&elsewhere.post_refresh(&alice.refresh).await);
        world.travel(15 * SECOND);
        flows.took(&elsewhere.post_refresh(&alice.refresh).await);
        world.travel(EXPIRY);
        flows.took(&world.me(&alice.access).await);
        let third = world
            .send(ask("POST", "/me").bearer(&alice.access).refresh(&alice.refresh))
            .await;
        flows.took(&third);
        let third = third.refresh().unwrap();
        world.store.restore_backup().await;
        world.travel(HOUR);
        let fourth = world.post_refresh(&third).await;
        flows.took(&fourth);
        world.travel(11 * SECOND);
        flows.took(&world.post_refresh(&alice.refresh).await);

        for fault in [Fault::Error, Fault::Hang, Fault::LostAcknowledgement] {
            let bob = world.sign_in("bob").await;
            flows.secrets.extend([bob.access.clone(), bob.refresh.clone()]);
            world.store.fail_all(fault);
            for (method, path) in [
                ("POST", "/auth/refresh"),
                ("GET", "/me"),
                ("POST", "/auth/logout"),
                ("GET", "/auth/sessions"),
                ("POST", "/auth/logout-all"),
            ] {
                flows.took(&world.send(ask(method, path).refresh(&bob.refresh)).await);
                flows.took(&world.send(ask(method, path).bearer(&bob.access)).await);
            }
            flows.took(&world.try_sign_in("bob", "wonderland").await);
            world.settle().await;
            world.store.heal();
            world.settle().await;
        }
        for answer in [Answer::Unavailable, Answer::RateLimited, Answer::Hang, Answer::Gone] {
            world.travel(SECOND);
            let carol = world.sign_in("carol").await;
            flows.secrets.extend([carol.access.clone(), carol.refresh.clone()]);
            world.accounts.answer(answer);
            flows.took(&world.try_sign_in("carol", "wonderland").await);
            flows.took(&world.post_refresh(&carol.refresh).await);
            world.accounts.answer(Answer::Usual);
        }
        let dave = world.sign_in("dave").await;
        flows.secrets.extend([dave.access.clone(), dave.refresh.clone()]);
        let id = format!("/auth/sessions/{}", dave.session);
        flows.took(&world.send(ask("GET", "/auth/sessions").bearer(&dave.access)).await);
        flows.took(
            &world
                .send(ask("DELETE", &id).bearer(&dave.access).refresh(&dave.refresh))
                .await,
        );
        flows.took(&world.send(ask("GET", "/leave").refresh(&dave.refresh)).await);
        flows.took(
            &world
                .send(ask("GET", &format!("/me?access_token={}", dave.access)).bearer(&dave.access))
                .await,
        );
        world.keys.replace(key_ring("second")).unwrap();
        flows.took(&world.me(&dave.access).await);
        world.settle().await;
        flows
            .shown
            .push_str(&format!("{:?} {:?} {:?}", world.events(), world.auth, world.keys));
        flows
    }
}

#[tokio::test(start_paused = true)]
async fn op_05_rt_22_no_flow_puts_a_credential_into_a_log_an_event_or_a_debug_form() {
    let log = Log::start();
    let flows = Flows::run().await;
    let text = log.text();
    for heard in [
        "SignedIn",
        "Rotated",
        "ReplayServed",
        "Recovered",
        "SessionRepaired",
        "RefreshTokenReused",
        "failed",
    ] {
        assert!(text.contains(heard), "the log was not heard: no {heard}");
    }
    assert!(text.contains("TRACE") || text.contains("DEBUG"), "not at every level");
    assert!(flows.secrets.len() > 30);
    let mut parts = Vec::new();
    for secret in &flows.secrets {
        // The header of a token is the same for all, and public.
        let secret = secret
            .strip_prefix("eyJ")
            .and_then(|jwt| jwt.split_once('.'))
            .map_or(&**secret, |(_, rest)| rest);
        for part in secret.split('.') {
            let (first, last) = part.split_at(part.len() / 2);
            parts.extend([part, first, last].into_iter().filter(|part| part.len() >= 8));
        }
    }
    // The keys: all ones and all twos, as bytes and as base64.
    parts.extend(["1, 1, 1, 1", "2, 2, 2, 2", "AQEBAQEB", "AgICAgIC"]);
    for part in parts {
        assert!(!text.contains(part), "the log has {part}");
        assert!(!flows.shown.contains(part), "a debug form has {part}");
    }
}
