//! The ready routes.

use std::time::Duration;

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::guard::fn_guard;
use actix_web::web::{BytesMut, Payload, ServiceConfig, resource};
use actix_web::{HttpRequest, HttpResponse};
use auth_tower::adapter::{Endpoint, Prefix, RequestBody, Route};
use auth_tower::{AppClaims, Auth};
use futures_util::StreamExt as _;

use crate::facts::Facts;
use crate::rejection::response;

pub use auth_tower::adapter::InvalidPrefix;

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
    prefix: Prefix,
}

impl<C: AppClaims> Routes<C> {
    /// The ready routes below `/auth`.
    pub fn new(auth: &Auth<C>) -> Self {
        Self {
            auth: auth.clone(),
            prefix: Prefix::default(),
        }
    }
}

impl<C> Routes<C> {
    /// Puts the routes below `prefix` instead of `/auth`; `/.well-known/jwks.json` stays where it is.
    ///
    /// # Errors
    /// [`InvalidPrefix`] if it is not a plain path such as `/account`.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, InvalidPrefix> {
        self.prefix = Prefix::new(prefix)?;
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

impl<C: AppClaims> HttpServiceFactory for Routes<C> {
    fn register(self, config: &mut AppService) {
        for route in Route::ALL {
            let auth = self.auth.clone();
            let (path, prefix) = (route.path_below(&self.prefix), self.prefix.clone());
            resource(path.as_str())
                .guard(fn_guard(move |request| {
                    route.is_path_as_sent(&prefix, request.head().uri.path())
                }))
                .to(move |request: HttpRequest, body: Payload| serve(auth.clone(), route, request, body))
                .register(config);
        }
    }
}

async fn serve<C: AppClaims>(auth: Auth<C>, route: Route, request: HttpRequest, body: Payload) -> HttpResponse {
    let endpoint = Endpoint::new(&auth, route, &Facts(request.head()));
    let body = match endpoint.body_limit() {
        Some(limit) => Some(read(body, limit, endpoint.body_deadline()).await),
        None => None,
    };
    response(endpoint.answer(body).await)
}

async fn read(mut body: Payload, limit: usize, deadline: Duration) -> RequestBody {
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
    tokio::time::timeout(deadline, whole)
        .await
        .unwrap_or(RequestBody::Broken)
}
