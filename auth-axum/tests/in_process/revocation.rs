//! Revocation: here at once, at every other instance within a second, and for good.

use super::support::*;

/// The second within which an ending is honoured everywhere, or a little less.
async fn within_a_second() {
    tokio::time::sleep(SECOND - 10 * MILLISECOND).await;
}

#[tokio::test(start_paused = true)]
async fn se_02_a_sign_out_is_honoured_at_another_instance_within_a_second() {
    let here = World::new();
    let there = here.another();
    let alice = here.sign_in("alice").await;
    assert_eq!(there.me(&alice.access).await.status, 200);
    let out = here.send(ask("POST", "/auth/logout").refresh(&alice.refresh)).await;
    assert_eq!(out.status, 204);
    assert!(out.clears());
    assert_eq!(here.me(&alice.access).await.code(), "token_revoked", "here at once");
    within_a_second().await;
    let _ = here.store.calls();
    assert_eq!(there.me(&alice.access).await.code(), "token_revoked");
    assert_eq!(here.store.calls(), [], "from memory");
    for world in [&here, &there] {
        let reply = world.post_refresh(&alice.refresh).await;
        assert_eq!((reply.status, &*reply.code()), (401, "session_ended"));
    }
}

#[tokio::test(start_paused = true)]
async fn se_04_ending_the_others_keeps_this_one_everywhere() {
    let here = World::new();
    let there = here.another();
    let (kept, other, bob) = (
        here.sign_in("alice").await,
        here.sign_in("alice").await,
        here.sign_in("bob").await,
    );
    here.travel(SECOND);
    assert_eq!(here.send(ask("POST", "/others").bearer(&kept.access)).await.body, "1");
    within_a_second().await;
    for world in [&here, &there] {
        assert_eq!(world.me(&kept.access).await.status, 200);
        assert_eq!(world.me(&bob.access).await.status, 200);
        assert_eq!(world.me(&other.access).await.code(), "token_revoked");
        assert_eq!(world.post_refresh(&other.refresh).await.code(), "session_ended");
    }
    assert_eq!(there.post_refresh(&kept.refresh).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_after_all_were_ended_works_at_once_everywhere() {
    // Also in the very millisecond.
    for pause in [std::time::Duration::ZERO, MILLISECOND, HOUR] {
        let here = World::new();
        let there = here.another();
        let before = here.sign_in("alice").await;
        assert_eq!(here.auth.end_all(&"alice".parse().unwrap()).await.unwrap(), 1);
        within_a_second().await;
        here.travel(pause);
        let after = here.sign_in("alice").await;
        for world in [&here, &there] {
            assert_eq!(world.me(&after.access).await.status, 200, "{pause:?}");
            assert_ne!(world.me(&before.access).await.status, 200, "{pause:?}");
            assert_eq!(world.post_refresh(&before.refresh).await.code(), "session_ended");
        }
        here.travel(MILLISECOND);
        assert_eq!(there.post_refresh(&after.refresh).await.status, 200);
        here.settle().await;
        let _ = here.store.calls();
        for world in [&here, &there] {
            assert_eq!(world.me(&after.access).await.status, 200);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_in_the_millisecond_before_all_are_ended_is_ended_too() {
    let here = World::new();
    let there = here.another();
    let alice = here.sign_in("alice").await;
    assert_eq!(here.send(ask("POST", "/wipe").bearer(&alice.access)).await.body, "1");
    within_a_second().await;
    for world in [&here, &there] {
        assert_eq!(world.me(&alice.access).await.code(), "token_revoked");
        assert_eq!(world.silently(&alice.refresh).await.code(), "session_ended");
    }
}

#[tokio::test(start_paused = true)]
async fn se_08_an_administrator_ends_one_session_or_all_of_a_user() {
    let world = World::new();
    let (one, two, bob) = (
        world.sign_in("alice").await,
        world.sign_in("alice").await,
        world.sign_in("bob").await,
    );
    assert!(world.auth.end_session(one.session).await.unwrap());
    assert!(
        !world.auth.end_session(one.session).await.unwrap(),
        "it was over already"
    );
    assert_eq!(world.me(&one.access).await.code(), "token_revoked");
    assert_eq!(world.me(&two.access).await.status, 200);
    assert_eq!(world.auth.end_all(&"alice".parse().unwrap()).await.unwrap(), 1);
    assert_eq!(world.auth.end_all(&"alice".parse().unwrap()).await.unwrap(), 0);
    assert_eq!(world.me(&two.access).await.code(), "token_revoked");
    assert_eq!(world.me(&bob.access).await.status, 200);
    assert_eq!(world.auth.end_all(&"nobody".parse().unwrap()).await.unwrap(), 0);
    world.store.fail(Call::End, Fault::Error);
    assert_eq!(world.auth.end_session(bob.session).await.unwrap_err().status(), 503);
}

#[tokio::test(start_paused = true)]
async fn se_17_no_kept_exchange_outlives_its_session() {
    for all in [false, true] {
        let here = World::new();
        let there = here.another();
        let alice = here.sign_in("alice").await;
        here.travel(HOUR);
        here.settle().await;
        let mut tokens = Vec::new();
        for world in [&here, &there] {
            tokens.push(world.silently(&alice.refresh).await.access().unwrap());
        }
        match all {
            true => assert_eq!(here.auth.end_all(&"alice".parse().unwrap()).await.unwrap(), 1),
            false => assert!(here.auth.end_session(alice.session).await.unwrap()),
        }
        within_a_second().await;
        for world in [&here, &there] {
            // The clock has not moved, so a kept exchange would still be good.
            for path in ["/me", "/auth/refresh"] {
                let reply = world.send(ask("POST", path).refresh(&alice.refresh)).await;
                assert_eq!((reply.status, &*reply.code()), (401, "session_ended"));
                assert_eq!(reply.access(), None);
            }
            for token in &tokens {
                assert_eq!(world.me(token).await.code(), "token_revoked");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn se_17_a_backup_brings_no_ended_session_back_while_somebody_remembers() {
    for all in [false, true] {
        let here = World::new();
        let there = here.another();
        let alice = here.sign_in("alice").await;
        here.travel(120 * SECOND);
        match all {
            true => assert_eq!(here.auth.end_all(&"alice".parse().unwrap()).await.unwrap(), 1),
            false => assert!(here.auth.end_session(alice.session).await.unwrap()),
        }
        within_a_second().await;
        here.store.restore_backup().await;
        for world in [&here, &there] {
            assert_eq!(world.me(&alice.access).await.code(), "token_revoked");
            let reply = world.post_refresh(&alice.refresh).await;
            assert_ne!(reply.status, 200);
            assert_eq!((reply.refresh(), reply.access()), (None, None));
            assert_ne!(world.silently(&alice.refresh).await.status, 200);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn se_03_a_sign_out_inside_an_exchanged_request_ends_signed_out() {
    for (method, path) in [("GET", "/leave"), ("POST", "/leave"), ("POST", "/wipe")] {
        for with_expired_token in [false, true] {
            let world = World::new();
            let alice = world.sign_in("alice").await;
            world.travel(EXPIRY);
            let mut request = ask(method, path).refresh(&alice.refresh);
            if with_expired_token {
                request = request.bearer(&alice.access);
            }
            let reply = world.send(request).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            assert_eq!(reply.set_cookies().len(), 1, "the last word, and no other");
            assert!(reply.clears());
            assert_eq!(reply.header("x-access-token"), None);
            assert_eq!(world.store.rows("alice").await, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ended_while_its_new_cookie_was_under_way_gets_none() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let reply = world.send(ask("GET", "/ban").refresh(&alice.refresh)).await;
    assert_eq!((reply.status, &*reply.body), (200, "banned"));
    reply.writes_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_handlers_error_still_carries_the_new_pair() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let reply = world.send(ask("GET", "/fail").refresh(&alice.refresh)).await;
    assert_eq!((reply.status, &*reply.body), (418, "the handler failed"));
    assert_eq!(generation_of(&reply.refresh().unwrap()), 2);
    assert!(reply.access().is_some());
}

#[tokio::test(start_paused = true)]
async fn se_01_signing_in_anew_ends_the_browsers_previous_session() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let again = ask("POST", "/auth/login").refresh(&alice.refresh);
    let again = world
        .send(again.json(r#"{"username":"bob","password":"wonderland"}"#))
        .await;
    let bob = again.refresh().unwrap();
    assert_eq!(world.me(&alice.access).await.code(), "token_revoked");
    let straggler = world.silently(&alice.refresh).await;
    assert_eq!(straggler.code(), "session_ended");
    straggler.writes_nothing();
    assert_eq!(world.post_refresh(&bob).await.status, 200);
}

/// The cookie belongs to somebody else than the access token, and goes on: only its own end may clear it.
#[tokio::test(start_paused = true)]
async fn another_sessions_cookie_survives_what_the_access_token_ends() {
    let world = World::new();
    let bob = world.sign_in("bob").await;
    for path in ["/auth/logout-all", "/wipe"] {
        let alice = world.sign_in("alice").await;
        let reply = world
            .send(ask("POST", path).bearer(&alice.access).refresh(&bob.refresh))
            .await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.set_cookies(), Vec::<&str>::new(), "{path}");
    }
    let alice = world.sign_in("alice").await;
    let own = ask("DELETE", &format!("/auth/sessions/{}", alice.session));
    let reply = world.send(own.bearer(&alice.access).refresh(&bob.refresh)).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.set_cookies(), Vec::<&str>::new());
    assert_eq!(world.post_refresh(&bob.refresh).await.status, 200);

    let alice = world.sign_in("alice").await;
    let own = ask("DELETE", &format!("/auth/sessions/{}", alice.session));
    let reply = world.send(own.bearer(&alice.access).refresh(&alice.refresh)).await;
    assert!(reply.clears(), "its own is cleared");
    let alice = world.sign_in("alice").await;
    let all = ask("POST", "/auth/logout-all").bearer(&alice.access);
    assert!(world.send(all.refresh(&alice.refresh)).await.clears());
}

#[tokio::test(start_paused = true)]
async fn se_17_what_one_ending_of_all_spared_survives_an_earlier_one_and_the_backup() {
    let here = World::new();
    let there = here.another();
    let old = here.sign_in("alice").await;
    here.travel(120 * SECOND);
    assert_eq!(here.auth.end_all(&"alice".parse().unwrap()).await.unwrap(), 1);
    let kept = here.sign_in("alice").await;
    let other = here.sign_in("alice").await;
    here.travel(120 * SECOND);
    let reply = here.send(ask("POST", "/others").bearer(&kept.access)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    within_a_second().await;
    for restored in [false, true] {
        if restored {
            here.store.restore_backup().await;
        }
        for world in [&here, &there] {
            assert_eq!(world.me(&kept.access).await.status, 200, "excluded by the last");
            assert_eq!(world.me(&other.access).await.code(), "token_revoked");
            assert_eq!(world.me(&old.access).await.code(), "token_revoked");
        }
    }
}
