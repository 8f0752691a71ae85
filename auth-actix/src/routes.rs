//! The ready routes.

use std::time::Duration;

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::guard::{Guard, fn_guard};
use actix_web::web::{BytesMut, Payload, ServiceConfig, resource};
use actix_web::{HttpRequest, HttpResponse};
use auth_tower::adapter::{RequestBody, Route};
use auth_tower::{AppClaims, Auth};
use futures_util::StreamExt as _;

use crate::facts::Facts;
use crate::rejection::response;

/// How long a client may take to send the body of a sign-in.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The ready routes: `/auth/login`, `/auth/refresh`, `/auth/logout`, `/auth/logout-all`, `/auth/sessions` and
/// `/.well-known/jwks.json`, as [`App::configure`](actix_web::App::configure) takes them. They stand inside or outside of the
/// middleware, and a scope that is configured with them goes before all of their paths. For another prefix than `/auth`: [`Routes`].
pub fn routes<C: AppClaims>(auth: &Auth<C>) -> impl FnOnce(&mut ServiceConfig) + Clone + use<C> {
    let routes = Routes::new(auth);
    move |config| {
        config.service(routes);
    }
}

/// The ready routes as a service, for a prefix of one's own.
///
/// ```
/// # use auth_tower::AppClaims;
/// # use auth_tower::Auth;
/// # fn demo<C: AppClaims>(auth: &Auth<C>) -> Result<(), auth_actix::InvalidPrefix> {
/// let account = auth_actix::Routes::new(auth).prefix("/account")?; // /account/login, …
/// let app = move || actix_web::App::new().service(account.clone());
/// # let _ = app();
/// # Ok(()) }
/// ```
#[must_use = "hand them to `App::service`"]
pub struct Routes<C> {
    auth: Auth<C>,
    prefix: String,
}

impl<C: AppClaims> Routes<C> {
    /// The ready routes below `/auth`.
    pub fn new(auth: &Auth<C>) -> Self {
        Self {
            auth: auth.clone(),
            prefix: "/auth".to_owned(),
        }
    }
}

impl<C> Routes<C> {
    /// Puts the routes below `prefix` instead of `/auth`; `/.well-known/jwks.json` stays where it is.
    ///
    /// # Errors
    /// [`InvalidPrefix`] if it is not a plain path such as `/account`.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, InvalidPrefix> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        if !prefix.starts_with('/') || prefix.ends_with('/') || prefix.contains("//") || !prefix.chars().all(plain) {
            return Err(InvalidPrefix);
        }
        self.prefix = prefix.to_owned();
        Ok(self)
    }
}

impl<C> Clone for Routes<C> {
    fn clone(&self) -> Self {
        Self {
            auth: self.auth.clone(),
            prefix: self.prefix.clone(),
        }
    }
}

impl<C> std::fmt::Debug for Routes<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routes")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A prefix that is not a plain path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidPrefix;

impl std::fmt::Display for InvalidPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a prefix must be a plain path such as `/account`, without a slash at its end")
    }
}

impl std::error::Error for InvalidPrefix {}

impl<C: AppClaims> HttpServiceFactory for Routes<C> {
    fn register(self, config: &mut AppService) {
        for route in Route::ALL {
            let path = match route.is_well_known() {
                true => route.path().to_owned(),
                false => format!("{}{}", self.prefix, route.path()),
            };
            let auth = self.auth.clone();
            resource(path.as_str())
                .guard(as_sent(path))
                .to(move |request: HttpRequest, body: Payload| serve(auth.clone(), route, request, body))
                .register(config);
        }
    }
}

/// Matches a path as it was sent. The router decodes it first, so that `/auth/log%69n` would slip past a rule that a proxy has
/// for `/auth/login`.
fn as_sent(path: String) -> impl Guard {
    fn_guard(move |request| {
        let sent = request.head().uri.path();
        match (path.strip_suffix("/{id}"), sent.rsplit_once('/')) {
            (Some(parent), Some((above, _))) => above.ends_with(parent),
            _ => sent.ends_with(&path),
        }
    })
}

async fn serve<C: AppClaims>(auth: Auth<C>, route: Route, request: HttpRequest, body: Payload) -> HttpResponse {
    let endpoint = auth.endpoint(route, &Facts(request.head()));
    let body = match endpoint.body_limit() {
        Some(limit) => Some(read(body, limit).await),
        None => None,
    };
    let id = request.uri().path().rsplit('/').next();
    response(endpoint.answer(body, id).await)
}

async fn read(mut body: Payload, limit: usize) -> RequestBody {
    let whole = async {
        let mut read = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let Ok(chunk) = chunk else {
                return RequestBody::Broken;
            };
            if chunk.len() > limit - read.len() {
                return RequestBody::TooLarge;
            }
            read.extend_from_slice(&chunk);
        }
        RequestBody::Complete(read.freeze())
    };
    tokio::time::timeout(BODY_DEADLINE, whole)
        .await
        .unwrap_or(RequestBody::Broken)
}
