//! The routes of the app's own: the API and the page.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, guard};
use auth_actix::{Claims, MaybeClaims};
use demo::api::{Admin, Body, MAX_BODY, Me, Notes, Problem, Public};
use demo::page::{Asset, SECURITY_HEADERS};
use demo::users::User;
use serde::Serialize;

use crate::live;

/// All of them, and what is answered where there is none.
pub(crate) fn app(config: &mut ServiceConfig) {
    let admin = read().to(admin).wrap(auth_actix::require(User::is_admin));
    config
        .service(readable("/api/me", read().to(me)))
        .service(readable("/api/public", read().to(public)))
        .service(readable("/api/admin", admin))
        .service(only("/api/notes", "POST", web::post().to(create_note)))
        .service(readable("/api/events", read().to(live::events)))
        .service(readable("/api/socket", read().to(live::socket)))
        .service(readable("/healthz", read().to(async || "ok")))
        .default_service(web::to(async || refuse(Problem::NOT_FOUND)));
    for asset in demo::page::assets() {
        config.service(readable(asset.path, read().to(move || async move { page(asset) })));
    }
}

/// GET, and HEAD, which is GET without the body.
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn readable(path: &str, route: Route) -> Resource {
    only(path, "GET,HEAD", route)
}

/// A resource with this route, and 405 for every other method.
fn only(path: &str, allow: &'static str, route: Route) -> Resource {
    let other = web::to(move || async move {
        let mut refusal = refuse(Problem::WRONG_METHOD);
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        refusal
    });
    web::resource(path).route(route).default_service(other)
}

async fn me(claims: Claims<User>) -> HttpResponse {
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

/// Not `Option<Claims<User>>`: actix-web turns whatever goes wrong with an optional extractor into `None`.
async fn public(claims: MaybeClaims<User>) -> HttpResponse {
    let user = claims.0.map(|claims| claims.name.clone());
    json(StatusCode::OK, &Public { user })
}

async fn admin(claims: Claims<User>) -> HttpResponse {
    let admin = claims.name.clone();
    json(StatusCode::OK, &Admin { admin })
}

/// Who asks is settled before the body is read: a stranger cannot make the app take one. An extractor of the body would
/// begin at once.
async fn create_note(
    _: Claims<User>,
    notes: web::Data<Notes>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let body = body.to_bytes_limited(MAX_BODY).await;
    let body = match &body {
        Ok(Ok(body)) => Body::Complete(body),
        Ok(Err(_)) => Body::Broken,
        Err(_) => Body::TooLarge,
    };
    match notes.create(content_type, body) {
        Ok(note) => json(StatusCode::CREATED, &note),
        Err(problem) => refuse(problem),
    }
}

fn page(asset: &Asset) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, asset.content_type));
    for header in SECURITY_HEADERS {
        response.insert_header(*header);
    }
    response.body(asset.body)
}

/// What a user may see is not for a cache to keep.
fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body)
}

/// A [`Problem`] as a response.
pub(crate) fn refuse(problem: Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, Problem::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(problem.to_json())
}
