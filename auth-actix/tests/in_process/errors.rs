//! Cookies survive whatever happens inside, and middlewares outside see every refusal.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpResponse, ResponseError, error, web};
use auth_actix::{Claims, require};

use super::support::*;

async fn me(claims: Claims<User>) -> String {
    claims.name.clone()
}

/// Asks who it is, and then fails.
async fn failing(mut request: ServiceRequest, _: Next<impl MessageBody>) -> Result<ServiceResponse, Error> {
    let _ = request.extract::<Claims<User>>().await?;
    Err(error::ErrorImATeapot("the middleware failed"))
}

#[tokio::test(start_paused = true)]
async fn an_inner_middlewares_error_keeps_the_new_pair() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let app = App::new().route("/me", web::get().to(me)).wrap(from_fn(failing));
    let app = serve(app.wrap(auth_actix::middleware(&world.auth)));
    let reply = send(&app, ask("GET", "/me").refresh(&alice.refresh)).await;
    assert_eq!((reply.status, &*reply.body), (418, "the middleware failed"));
    assert_eq!(generation_of(&reply.refresh().unwrap()), 2);
    assert!(reply.access().is_some());

    world.auth.end_session(alice.session).await.unwrap();
    let reply = send(&app, ask("GET", "/me").refresh(&alice.refresh)).await;
    assert_eq!((reply.status, &*reply.code()), (401, "session_ended"));
    assert!(reply.clears(), "a refusal that a middleware passed on as its own error");

    let reply = send(&app, ask("GET", "/me").bearer(&world.sign_in("alice").await.access)).await;
    assert_eq!(reply.status, 418);
    reply.writes_nothing();
}

/// An error with cookies of its own.
#[derive(Debug)]
struct Baked;

impl std::fmt::Display for Baked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("baked")
    }
}

impl ResponseError for Baked {
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(StatusCode::BAD_GATEWAY);
        for value in ["theme=dark", "lang=eo"] {
            let name = HeaderName::from_static("set-cookie");
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_answered_twice_carries_each_cookie_once() {
    async fn baked(mut request: ServiceRequest, _: Next<impl MessageBody>) -> Result<ServiceResponse, Error> {
        let _ = request.extract::<Claims<User>>().await?;
        Err(Baked.into())
    }
    /// Looks at the error's response and passes the error on.
    async fn curious(
        request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
    ) -> Result<ServiceResponse, Error> {
        match next.call(request).await {
            Ok(response) => Ok(response.map_into_boxed_body()),
            Err(error) => {
                let once = error.error_response();
                assert_eq!(once.headers().get_all("set-cookie").count(), 3);
                Err(error)
            }
        }
    }
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let app = App::new().route("/me", web::get().to(me)).wrap(from_fn(baked));
    let app = app.wrap(auth_actix::middleware(&world.auth)).wrap(from_fn(curious));
    let reply = send(&serve(app), ask("GET", "/me").refresh(&alice.refresh)).await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.set_cookies().len(), 3, "the error's own stay");
    assert_eq!(generation_of(&reply.refresh().unwrap()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handlers_error_keeps_the_new_pair_and_its_own_headers() {
    async fn failing(_: Claims<User>) -> Result<&'static str, Error> {
        Err(Baked.into())
    }
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let app = App::new().route("/me", web::get().to(failing));
    let app = serve(app.wrap(auth_actix::middleware(&world.auth)));
    let reply = send(&app, ask("GET", "/me").refresh(&alice.refresh)).await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.set_cookies().len(), 3);
    assert_eq!(generation_of(&reply.refresh().unwrap()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_middleware_outside_sees_every_refusal_as_a_response() {
    let world = World::new();
    let seen = Rc::new(Cell::new(0));
    let saw = seen.clone();
    // As CORS does it: what is no response gets no header.
    let outside = from_fn(move |request: ServiceRequest, next: Next<_>| {
        let saw = saw.clone();
        async move {
            let mut response: ServiceResponse<_> = next.call(request).await?;
            saw.set(saw.get() + 1);
            let name = HeaderName::from_static("access-control-allow-origin");
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static("https://app.example.com"));
            Ok(response)
        }
    });
    let guard = require(|user: &User| user.name == "bob");
    let app = App::new()
        .route("/me", web::get().to(me))
        .service(web::resource("/guarded").wrap(guard).get(me))
        .configure(auth_actix::routes(&world.auth));
    let app = serve(app.wrap(auth_actix::middleware(&world.auth)).wrap(outside));
    let alice = world.sign_in("alice").await;
    let refusals = [
        (ask("GET", "/me"), 401),
        (ask("GET", "/me").bearer("a.b.c"), 401),
        (ask("GET", "/guarded"), 401),
        (ask("GET", "/guarded").bearer(&alice.access), 403),
        (ask("GET", "/guarded").refresh(&alice.refresh), 403),
        (ask("POST", "/auth/refresh"), 401),
        (ask("GET", "/auth/login"), 405),
    ];
    let all = refusals.len();
    for (request, status) in refusals {
        let reply = send(&app, request).await;
        assert_eq!(reply.status, status);
        assert!(!reply.code().is_empty());
        assert_eq!(
            reply.header("access-control-allow-origin"),
            Some("https://app.example.com")
        );
    }
    assert_eq!(seen.get(), all);
}
