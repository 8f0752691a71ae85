//! Guards, prefixes, and what a wrongly wired app is told.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use auth_axum::{Claims, MaybeClaims, Session, require, require_scope};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tower::{Layer as _, Service, ServiceExt as _};

use super::support::*;

async fn hello() -> &'static str {
    "hello"
}

fn guarded(world: &World) -> Router {
    let admin = Router::new()
        .route("/admin", get(hello))
        .route_layer(require(|user: &User| user.roles.iter().any(|role| role == "admin")));
    let read = Router::new()
        .route("/read", get(hello))
        .route_layer(require_scope::<User>("notes:read"));
    let both = Router::new()
        .route("/both", get(hello))
        .route_layer(require_scope::<User>("notes:list notes:read"));
    let write = Router::new()
        .route("/write", get(hello))
        .route_layer(require_scope::<User>("notes:read notes:write"));
    Router::new()
        .merge(admin)
        .merge(read)
        .merge(both)
        .merge(write)
        .layer(world.auth.layer())
}

#[tokio::test(start_paused = true)]
async fn br_04_a_guard_asks_for_scopes_and_names_them_in_its_challenge() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let app = guarded(&world);
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
    let app = guarded(&world);
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
    let app = guarded(&world);
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
    async fn handler(claims: Claims<User>) -> Result<&'static str, auth_axum::Rejection> {
        assert!(claims.has_scope("notes:read") && claims.has_scope("") && !claims.has_scope("notes"));
        claims.require(|user| user.name == "alice")?;
        claims.require_scope("notes:write")?;
        Ok("hello")
    }
    let world = World::new();
    let app = Router::new().route("/", get(handler)).layer(world.auth.layer());
    for (name, has_scope) in [("alice", true), ("bob", false)] {
        let access = world.sign_in(name).await.access;
        let reply = send(&app, ask("GET", "/").bearer(&access)).await;
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
    let routes = auth_axum::routes(&world.auth).prefix("/account/v1").unwrap();
    let app: Router = Router::new().merge(routes);
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
        assert!(auth_axum::routes(&world.auth).prefix(bad).is_err(), "{bad:?}");
    }
}

/// Another claims type than the authority's.
#[derive(Clone, Serialize, Deserialize)]
struct Other {
    other: String,
}

#[tokio::test(start_paused = true)]
async fn a_wrongly_wired_app_is_a_500_whose_log_says_what_to_add() {
    async fn claims(_: Claims<User>) {}
    async fn option(_: Option<Claims<User>>) {}
    async fn maybe(_: MaybeClaims<User>) {}
    async fn session(_: Session) {}
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let missing = Router::new()
        .route("/claims", get(claims))
        .route("/option", get(option))
        .route("/maybe", get(maybe))
        .route("/session", post(session))
        .merge(
            Router::new()
                .route("/guard", get(hello))
                .route_layer(require_scope::<User>("x")),
        );
    for (method, path) in [
        ("GET", "/claims"),
        ("GET", "/option"),
        ("GET", "/maybe"),
        ("POST", "/session"),
        ("GET", "/guard"),
    ] {
        let log = Log::start();
        let reply = send(
            &missing,
            ask(method, path).bearer(&alice.access).refresh(&alice.refresh),
        )
        .await;
        assert_eq!((reply.status, &*reply.code()), (500, "internal"), "{path}");
        assert!(!reply.body.contains("layer"), "the client is told nothing of it");
        assert_eq!(reply.header("www-authenticate"), None);
        let text = log.text();
        let line = text
            .lines()
            .find(|line| line.contains("ERROR"))
            .unwrap_or_else(|| panic!("no error: {text}"));
        assert!(line.contains(".layer(auth.layer())"), "{line}");
    }

    async fn other(_: Claims<Other>) {}
    let wrong = Router::new().route("/", get(other)).layer(world.auth.layer());
    let log = Log::start();
    let reply = send(&wrong, ask("GET", "/").bearer(&alice.access)).await;
    assert_eq!((reply.status, &*reply.code()), (500, "internal"));
    assert!(log.text().contains("claims type"), "{}", log.text());
    assert_eq!(
        send(&wrong, ask("GET", "/")).await.status,
        401,
        "nobody's claims have no type"
    );
}

/// A service that may be called once for each time that this very instance was polled ready.
struct OncePolled(bool);

impl Clone for OncePolled {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Request<Body>> for OncePolled {
    type Response = Response;
    type Error = Infallible;
    type Future = Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "called without having been polled ready");
        ready(Ok("hello".into_response()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_calls_the_service_that_was_polled_ready() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let mut service = world
        .auth
        .layer()
        .layer(require_scope::<User>("notes:read").layer(OncePolled(false)));
    for _ in 0..3 {
        let request = ask("GET", "/").bearer(&alice.access).build();
        assert_eq!(
            service.ready().await.unwrap().call(request).await.unwrap().status(),
            200
        );
        let refused = service
            .ready()
            .await
            .unwrap()
            .call(ask("GET", "/").build())
            .await
            .unwrap();
        assert_eq!(refused.status(), 401);
    }
}
