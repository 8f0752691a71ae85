//! The ready routes.

use std::time::Duration;

use auth_tower::adapter::{RequestBody, Route};
use auth_tower::layer::HttpFacts;
use auth_tower::{AppClaims, Auth};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::facts::client_ip;
use crate::rejection::response;

/// How long a client may take to send the body of a sign-in.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The ready routes: `/auth/login`, `/auth/refresh`, `/auth/logout`, `/auth/logout-all`, `/auth/sessions` and
/// `/.well-known/jwks.json`. Merge them into a router, inside or outside of the layer.
pub fn routes<C: AppClaims>(auth: &Auth<C>) -> Routes<C> {
    Routes {
        auth: auth.clone(),
        prefix: "/auth".to_owned(),
    }
}

/// The ready routes, on their way into a router.
#[derive(Debug, Clone)]
#[must_use = "merge them into a router"]
pub struct Routes<C> {
    auth: Auth<C>,
    prefix: String,
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

impl<C: AppClaims, S: Clone + Send + Sync + 'static> From<Routes<C>> for Router<S> {
    fn from(routes: Routes<C>) -> Self {
        Route::ALL.into_iter().fold(Self::new(), |router, route| {
            let path = match route.is_well_known() {
                true => route.path().to_owned(),
                false => format!("{}{}", routes.prefix, route.path()),
            };
            let auth = routes.auth.clone();
            router.route(&path, any(move |request: Request| serve(auth.clone(), route, request)))
        })
    }
}

async fn serve<C: AppClaims>(auth: Auth<C>, route: Route, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let ip = client_ip(&parts.extensions);
    let endpoint = auth.endpoint(route, &HttpFacts::new(&parts.method, &parts.uri, &parts.headers, ip));
    let body = match endpoint.body_limit() {
        Some(limit) => Some(read(body, limit).await),
        None => None,
    };
    let id = parts.uri.path().rsplit('/').next();
    response(endpoint.answer(body, id).await)
}

async fn read(body: Body, limit: usize) -> RequestBody {
    match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => RequestBody::Complete(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => RequestBody::TooLarge,
        Ok(Err(_)) | Err(_) => RequestBody::Broken,
    }
}
