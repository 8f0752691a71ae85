//! An optional user: what `MaybeClaims` says, and what actix makes of an `Option`.

use actix_web::{App, web};
use auth_actix::{Claims, MaybeClaims};

use super::support::*;

async fn maybe(MaybeClaims(claims): MaybeClaims<User>) -> String {
    claims.map_or("nobody".to_owned(), |claims| claims.name.clone())
}

async fn option(claims: Option<Claims<User>>) -> String {
    claims.map_or("nobody".to_owned(), |claims| claims.name.clone())
}

fn app(world: &World) -> crate::support::App {
    serve(
        App::new()
            .route("/maybe", web::get().to(maybe))
            .route("/option", web::get().to(option))
            .wrap(auth_actix::middleware(&world.auth)),
    )
}

/// Sends the same to both. What is written onto the response must not depend on how the user was asked for.
async fn both(world: &World, request: impl Fn(&str) -> Ask) -> (Reply, Reply) {
    let app = app(world);
    let maybe = send(&app, request("/maybe")).await;
    let option = send(&app, request("/option")).await;
    assert_eq!(maybe.clears(), option.clears());
    assert_eq!(maybe.refresh(), option.refresh());
    (maybe, option)
}

#[tokio::test(start_paused = true)]
async fn nothing_sent_is_nobody() {
    let world = World::new();
    let (maybe, option) = both(&world, |path| ask("GET", path)).await;
    for reply in [maybe, option] {
        assert_eq!((reply.status, &*reply.body), (200, "nobody"));
        reply.writes_nothing();
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_token_or_a_live_cookie_is_the_user() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let (maybe, option) = both(&world, |path| ask("GET", path).bearer(&alice.access)).await;
    for reply in [maybe, option] {
        assert_eq!((reply.status, &*reply.body), (200, "alice"));
        reply.writes_nothing();
    }
    world.travel(HOUR);
    let (maybe, option) = both(&world, |path| ask("GET", path).refresh(&alice.refresh)).await;
    for reply in [maybe, option] {
        assert_eq!((reply.status, &*reply.body), (200, "alice"));
        assert!(reply.refresh().is_some() && reply.access().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_access_token_is_a_401_that_an_option_hides() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let bob = world.sign_in("bob").await;
    let ended = world.sign_in("alice").await;
    world.auth.end_session(ended.session).await.unwrap();
    for (token, code) in [
        (bob.forged_access(), "invalid_token"),
        ("a.b.c".to_owned(), "invalid_token"),
        (ended.access, "token_revoked"),
    ] {
        // A bad token never falls through to the cookie.
        let request = |path: &str| ask("GET", path).bearer(&token).refresh(&alice.refresh);
        let (maybe, option) = both(&world, request).await;
        assert_eq!((maybe.status, &*maybe.code()), (401, code));
        assert_eq!((option.status, &*option.body), (200, "nobody"), "{code}");
        maybe.writes_nothing();
    }
    world.travel(HOUR);
    let (maybe, option) = both(&world, |path| ask("GET", path).bearer(&alice.access)).await;
    assert_eq!((maybe.status, &*maybe.code()), (401, "token_expired"));
    assert_eq!((option.status, &*option.body), (200, "nobody"));
}

#[tokio::test(start_paused = true)]
async fn a_forged_cookie_alone_is_nobody_and_stays_a_dead_one_is_cleared() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let forged = alice.forged_refresh();
    let (maybe, option) = both(&world, |path| ask("GET", path).refresh(&forged)).await;
    for reply in [maybe, option] {
        assert_eq!((reply.status, &*reply.body), (200, "nobody"));
        reply.writes_nothing();
    }
    world.auth.end_session(alice.session).await.unwrap();
    let (maybe, option) = both(&world, |path| ask("GET", path).refresh(&alice.refresh)).await;
    for reply in [maybe, option] {
        assert_eq!((reply.status, &*reply.body), (200, "nobody"));
        assert!(reply.clears());
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_a_503_that_an_option_hides() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    world.store.fail_all(Fault::Error);
    let (maybe, option) = both(&world, |path| ask("GET", path).refresh(&alice.refresh)).await;
    maybe.is_outage();
    assert_eq!((option.status, &*option.body), (200, "nobody"));
    option.writes_nothing();
}
