//! What a wrongly wired app is told.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use auth_axum::{Claims, MaybeClaims, Session, require_scope};
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
        let request = build(ask("GET", "/").bearer(&alice.access));
        assert_eq!(
            service.ready().await.unwrap().call(request).await.unwrap().status(),
            200
        );
        let refused = service
            .ready()
            .await
            .unwrap()
            .call(build(ask("GET", "/")))
            .await
            .unwrap();
        assert_eq!(refused.status(), 401);
    }
}
