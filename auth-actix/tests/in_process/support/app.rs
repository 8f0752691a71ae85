//! The app of every kind of route, as actix has it.

use std::pin::Pin;
use std::rc::Rc;

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{Payload, Service as _, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{App as ActixApp, Error, HttpResponse, test, web};
use auth_actix::{Claims, MaybeClaims, Rejection, Routes, Session, require, require_scope};
use auth_tower::{AppClaims, Auth, Denial, OnOutage};
use futures_util::{FutureExt as _, Stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{Ask, Reply, User};

type Answer = Pin<Box<dyn Future<Output = Result<ServiceResponse, Error>>>>;

/// An app that answers, on this thread.
pub(crate) type App = Rc<dyn Fn(test::TestRequest, Option<Payload>) -> Answer>;

pub(crate) fn serve<T, B>(app: ActixApp<T>) -> App
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()>
        + 'static,
    B: MessageBody + 'static,
{
    let service = Rc::new(test::init_service(app).now_or_never().unwrap());
    Rc::new(move |request, body| {
        let service = service.clone();
        let mut request = request.to_request();
        if let Some(body) = body {
            request = request.replace_payload(body).0;
        }
        Box::pin(async move { Ok(service.call(request).await?.map_into_boxed_body()) })
    })
}

fn build(ask: Ask) -> test::TestRequest {
    let method = Method::from_bytes(ask.method.as_bytes()).unwrap();
    let mut request = test::TestRequest::default().method(method).uri(&ask.path);
    for header in ask.headers {
        request = request.append_header(header);
    }
    request.set_payload(ask.body)
}

pub(crate) async fn send(app: &App, ask: Ask) -> Reply {
    answer(app(build(ask), None)).await
}

/// Sends a body as it comes.
pub(crate) async fn stream(
    app: &App,
    ask: Ask,
    body: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Reply {
    let payload: Payload = Payload::Stream {
        payload: Box::pin(body),
    };
    answer(app(build(ask), Some(payload))).await
}

async fn answer(answer: Answer) -> Reply {
    let response = match answer.await {
        Ok(response) => response.into_parts().1,
        // As the server does it.
        Err(error) => error.error_response(),
    };
    read(response).await
}

async fn read(response: HttpResponse<BoxBody>) -> Reply {
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).unwrap();
        let mut same = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        same.set_sensitive(value.is_sensitive());
        headers.append(name, same);
    }
    let denial = response.extensions().get::<Denial>().cloned();
    Reply {
        status: response.status().as_u16(),
        headers,
        denial,
        body: String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap(),
    }
}

/// Routes for every extractor and everything that a session can do, for any claims type.
pub(crate) fn app_of<C: AppClaims>(auth: &Auth<C>) -> App {
    let ban = auth.clone();
    serve(
        ActixApp::new()
            .route("/me", web::to(me::<C>))
            // actix's own `Option` is another thing, and has tests of its own.
            .route("/option", web::to(maybe::<C>))
            .route("/maybe", web::to(maybe::<C>))
            .route("/public", web::get().to(|| async { "hello" }))
            .route("/fail", web::to(fail::<C>))
            .route("/leave", web::to(leave::<C>))
            .route("/wipe", web::post().to(wipe::<C>))
            .route("/others", web::post().to(others))
            .route("/verdict", web::get().to(verdict::<C>))
            .route("/ban", web::to(move |claims: Claims<C>| self::ban(ban.clone(), claims)))
            .configure(auth_actix::routes(auth))
            .wrap(auth_actix::middleware(auth)),
    )
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

async fn maybe<C: AppClaims>(MaybeClaims(claims): MaybeClaims<C>) -> String {
    claims.map_or(Value::Null, |claims| shown(&claims)).to_string()
}

async fn fail<C: AppClaims>(_: Claims<C>) -> (&'static str, StatusCode) {
    ("the handler failed", StatusCode::IM_A_TEAPOT)
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
    serve(
        ActixApp::new()
            .route("/me", web::get().to(me::<User>))
            .wrap(auth_actix::middleware(auth).on_outage(on_outage)),
    )
}

async fn hello() -> &'static str {
    "hello"
}

/// Routes behind guards.
pub(crate) fn guarded(auth: &Auth<User>) -> App {
    let admin = require(|user: &User| user.roles.iter().any(|role| role == "admin"));
    let scope = require_scope::<User>;
    serve(
        ActixApp::new()
            .service(web::resource("/admin").wrap(admin).get(hello))
            .service(
                web::scope("/read")
                    .wrap(scope("notes:read"))
                    .route("", web::get().to(hello)),
            )
            .service(web::resource("/both").wrap(scope("notes:list notes:read")).get(hello))
            .service(web::resource("/write").wrap(scope("notes:read notes:write")).get(hello))
            .route("/checks", web::get().to(checks))
            .wrap(auth_actix::middleware(auth)),
    )
}

async fn checks(claims: Claims<User>) -> Result<&'static str, Rejection> {
    assert!(claims.has_scope("notes:read") && claims.has_scope("") && !claims.has_scope("notes"));
    claims.require(|user| user.name == "alice")?;
    claims.require_scope("notes:write")?;
    Ok("hello")
}

/// The ready routes alone, below a prefix; `None` if it is refused.
pub(crate) fn prefixed(auth: &Auth<User>, prefix: &str) -> Option<App> {
    Some(serve(ActixApp::new().service(Routes::new(auth).prefix(prefix).ok()?)))
}
