//! Guards, and prefixes of the ready routes.

use super::support::*;

#[tokio::test(start_paused = true)]
async fn br_04_a_guard_asks_for_scopes_and_names_them_in_its_challenge() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let app = guarded(&world.auth);
    for path in ["/read", "/both"] {
        assert_eq!(send(&app, ask("GET", path).bearer(&alice.access)).await.body, "hello");
    }
    let reply = send(&app, ask("GET", "/write").bearer(&alice.access)).await;
    assert_eq!((reply.status, &*reply.code()), (403, "insufficient_scope"));
    assert_eq!(
        reply.header("www-authenticate"),
        Some(
            "Bearer error=\"insufficient_scope\", error_description=\"The access token does not allow this.\", \
             scope=\"notes:read notes:write\""
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_guard_asks_for_roles() {
    let world = World::new();
    let app = guarded(&world.auth);
    let reader = world.sign_in("alice").await;
    let reply = send(&app, ask("GET", "/admin").bearer(&reader.access)).await;
    assert_eq!((reply.status, &*reply.code()), (403, "insufficient_scope"));
    world.accounts.roles(&["admin"]);
    let admin = world.sign_in("alice").await;
    assert_eq!(
        send(&app, ask("GET", "/admin").bearer(&admin.access)).await.body,
        "hello"
    );
}

#[tokio::test(start_paused = true)]
async fn a_guard_refuses_strangers_and_exchanges_like_any_route() {
    let world = World::new();
    let app = guarded(&world.auth);
    for path in ["/admin", "/read"] {
        let reply = send(&app, ask("GET", path)).await;
        assert_eq!((reply.status, &*reply.code()), (401, "missing_token"));
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        let reply = send(&app, ask("GET", path).bearer("a.b.c")).await;
        assert_eq!(reply.code(), "invalid_token");
    }
    let alice = world.sign_in("alice").await;
    let reply = send(&app, ask("GET", "/read").refresh(&alice.refresh)).await;
    assert_eq!((reply.status, &*reply.body), (200, "hello"));
    assert!(reply.refresh().is_some());
    world.travel(HOUR);
    let reply = send(&app, ask("GET", "/admin").refresh(&reply.refresh().unwrap())).await;
    assert_eq!(reply.status, 403);
    assert!(reply.refresh().is_some(), "also with a refusal");
}

#[tokio::test(start_paused = true)]
async fn claims_check_themselves_too() {
    let world = World::new();
    let app = guarded(&world.auth);
    for (name, has_scope) in [("alice", true), ("bob", false)] {
        let access = world.sign_in(name).await.access;
        let reply = send(&app, ask("GET", "/checks").bearer(&access)).await;
        assert_eq!((reply.status, &*reply.code()), (403, "insufficient_scope"));
        assert_eq!(
            reply
                .header("www-authenticate")
                .unwrap()
                .contains("scope=\"notes:write\""),
            has_scope
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_routes_stand_below_any_prefix() {
    let world = World::new();
    let app = prefixed(&world.auth, "/account/v1").unwrap();
    let login = ask("POST", "/account/v1/login").json(r#"{"username":"alice","password":"wonderland"}"#);
    let login = send(&app, login).await;
    assert_eq!(login.status, 200);
    let (access, refresh) = (login.access().unwrap(), login.refresh().unwrap());
    assert_eq!(
        send(&app, ask("POST", "/account/v1/refresh").refresh(&refresh))
            .await
            .status,
        200
    );
    let list = send(&app, ask("GET", "/account/v1/sessions").bearer(&access)).await;
    let session = list.json()["sessions"][0]["id"].as_str().unwrap().to_owned();
    let end = ask("DELETE", &format!("/account/v1/sessions/{session}")).bearer(&access);
    assert_eq!(send(&app, end).await.status, 204);
    assert_eq!(
        send(&app, ask("GET", "/.well-known/jwks.json")).await.status,
        200,
        "it stays where it is"
    );
    assert_eq!(send(&app, ask("POST", "/auth/login")).await.status, 404);

    for bad in ["", "/", "account", "/account/", "/a//b", "/a b", "/{id}", "/a?b", "/é"] {
        assert!(prefixed(&world.auth, bad).is_none(), "{bad:?}");
    }
}
