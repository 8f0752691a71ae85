//! The routes: the API, the page, and the ready ones of the library.

use std::sync::Arc;

use auth_axum::Claims;
use auth_tower::Auth;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use demo::Stop;
use demo::api::{Admin, Body, MAX_BODY, Me, Note, Notes, Problem, Public};
use demo::page::{Asset, SECURITY_HEADERS};
use demo::users::User;
use serde::Serialize;

use crate::live;

/// The whole app.
pub(crate) fn app(auth: &Auth<User>, stop: &Stop) -> Router {
    let admin = get(admin).route_layer(auth_axum::require(User::is_admin));
    let api = Router::new()
        .route("/api/me", get(me))
        .route("/api/public", get(public))
        .route("/api/admin", admin)
        .route("/api/notes", post(create_note).layer(DefaultBodyLimit::max(MAX_BODY)))
        .with_state(Arc::new(Notes::default()));
    let live = Router::new()
        .route("/api/events", get(live::events))
        .route("/api/socket", get(live::socket))
        .with_state(stop.clone());
    demo::page::assets()
        .iter()
        .fold(api.merge(live), |router, asset| {
            router.route(asset.path, get(move || async { page(asset) }))
        })
        .route("/healthz", get(|| async { "ok" }))
        .fallback(|| async { Refusal(Problem::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { Refusal(Problem::WRONG_METHOD) })
        .merge(auth_axum::routes(auth))
        .layer(auth.layer())
}

async fn me(claims: Claims<User>) -> Response {
    json(
        StatusCode::OK,
        &Me {
            sub: claims.registered().subject().to_string(),
            name: claims.name.clone(),
            roles: claims.roles.clone(),
            sid: claims.registered().session_id().to_string(),
        },
    )
}

async fn public(claims: Option<Claims<User>>) -> Response {
    let user = claims.map(|claims| claims.name.clone());
    json(StatusCode::OK, &Public { user })
}

async fn admin(claims: Claims<User>) -> Response {
    let admin = claims.name.clone();
    json(StatusCode::OK, &Admin { admin })
}

/// Who asks is settled before the body is read: a stranger cannot make the app take one.
async fn create_note(
    _: Claims<User>,
    State(notes): State<Arc<Notes>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let body = match &body {
        Ok(body) => Body::Complete(body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Body::TooLarge,
        Err(_) => Body::Broken,
    };
    let note: Note = notes.create(content_type, body).map_err(Refusal)?;
    Ok(json(StatusCode::CREATED, &note))
}

fn page(asset: &Asset) -> Response {
    let mut response = asset.body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    for (name, value) in SECURITY_HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// What a user may see is not for a cache to keep.
fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

/// A [`Problem`] as a response.
pub(crate) struct Refusal(pub(crate) Problem);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = [(CONTENT_TYPE, Problem::CONTENT_TYPE), (CACHE_CONTROL, "no-store")];
        (status, headers, self.0.to_json()).into_response()
    }
}
