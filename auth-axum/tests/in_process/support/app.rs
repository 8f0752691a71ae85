//! The app of every kind of route, as axum has it.

use auth_axum::{Claims, MaybeClaims, Rejection, Session, require, require_scope};
use auth_tower::{AppClaims, Auth, Denial, OnOutage};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Ask, Reply, User};

pub(crate) type App = Router;

pub(crate) fn build(ask: Ask) -> Request<Body> {
    let mut request = Request::builder().method(&*ask.method).uri(ask.path);
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    request.body(Body::from(ask.body)).unwrap()
}

pub(crate) async fn send(app: &App, ask: Ask) -> Reply {
    let (parts, body) = app.clone().oneshot(build(ask)).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Reply {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        denial: parts.extensions.get::<Denial>().cloned(),
    }
}

/// Routes for every extractor and everything that a session can do, for any claims type.
pub(crate) fn app_of<C: AppClaims>(auth: &Auth<C>) -> Router {
    Router::new()
        .route("/me", any(me::<C>))
        .route("/option", any(option::<C>))
        .route("/maybe", any(maybe::<C>))
        .route("/public", get(|| async { "hello" }))
        .route("/fail", any(fail::<C>))
        .route("/leave", any(leave::<C>))
        .route("/wipe", post(wipe::<C>))
        .route("/others", post(others))
        .route("/verdict", get(verdict::<C>))
        .route(
            "/ban",
            any({
                let auth = auth.clone();
                move |claims: Claims<C>| ban(auth, claims)
            }),
        )
        .merge(auth_axum::routes(auth))
        .layer(auth.layer())
}

fn shown<C>(claims: &Claims<C>) -> Value {
    let token = claims.registered();
    json!({
        "sub": token.subject(),
        "sid": token.session_id().to_string(),
        "gen": token.generation(),
    })
}

async fn me<C: AppClaims>(claims: Claims<C>) -> String {
    shown(&claims).to_string()
}

async fn option<C: AppClaims>(claims: Option<Claims<C>>) -> String {
    claims.map_or(Value::Null, |claims| shown(&claims)).to_string()
}

async fn maybe<C: AppClaims>(MaybeClaims(claims): MaybeClaims<C>) -> String {
    claims.map_or(Value::Null, |claims| shown(&claims)).to_string()
}

async fn fail<C: AppClaims>(_: Claims<C>) -> (StatusCode, &'static str) {
    (StatusCode::IM_A_TEAPOT, "the handler failed")
}

async fn leave<C: AppClaims>(_: Claims<C>, session: Session) -> Result<&'static str, Rejection> {
    session.log_out().await?;
    Ok("bye")
}

async fn wipe<C: AppClaims>(_: Claims<C>, session: Session) -> Result<String, Rejection> {
    Ok(session.end_all().await?.to_string())
}

async fn others(session: Session) -> Result<String, Rejection> {
    Ok(session.end_others().await?.to_string())
}

async fn verdict<C: AppClaims>(claims: Result<Claims<C>, Rejection>) -> String {
    match claims {
        Ok(claims) => claims.registered().subject().to_string(),
        Err(rejection) => format!("{} {} {}", rejection.status(), rejection.code(), rejection.body_text()),
    }
}

async fn ban<C: AppClaims>(auth: Auth<C>, claims: Claims<C>) -> &'static str {
    auth.end_session(claims.registered().session_id()).await.unwrap();
    "banned"
}

/// One route, in a middleware that was told what to do in an outage.
pub(crate) fn app_in_outage(auth: &Auth<User>, on_outage: OnOutage) -> App {
    Router::new()
        .route("/me", get(me::<User>))
        .layer(auth.layer().on_outage(on_outage))
}

async fn hello() -> &'static str {
    "hello"
}

/// Routes behind guards.
pub(crate) fn guarded(auth: &Auth<User>) -> App {
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
        .route("/checks", get(checks))
        .layer(auth.layer())
}

async fn checks(claims: Claims<User>) -> Result<&'static str, Rejection> {
    assert!(claims.has_scope("notes:read") && claims.has_scope("") && !claims.has_scope("notes"));
    claims.require(|user| user.name == "alice")?;
    claims.require_scope("notes:write")?;
    Ok("hello")
}

/// The ready routes alone, below a prefix; `None` if it is refused.
pub(crate) fn prefixed(auth: &Auth<User>, prefix: &str) -> Option<App> {
    Some(Router::new().merge(auth_axum::routes(auth).prefix(prefix).ok()?))
}
