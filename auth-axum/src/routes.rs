//! The ready routes.

use std::time::Duration;

use auth_tower::adapter::{Endpoint, Prefix, RequestBody, Route};
use auth_tower::{AppClaims, Auth};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::facts::facts;
use crate::rejection::response;

pub use auth_tower::adapter::InvalidPrefix;

/// The ready routes: `/auth/login`, `/auth/refresh`, `/auth/logout`, `/auth/logout-all`, `/auth/sessions` and
/// `/.well-known/jwks.json`. Merge them into a router, inside or outside of the layer.
pub fn routes<C: AppClaims>(auth: &Auth<C>) -> Routes<C> {
    Routes {
        auth: auth.clone(),
        prefix: Prefix::default(),
    }
}

/// The ready routes, on their way into a router.
#[derive(Debug, Clone)]
#[must_use = "merge them into a router"]
pub struct Routes<C> {
    auth: Auth<C>,
    prefix: Prefix,
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

impl<C: AppClaims, S: Clone + Send + Sync + 'static> From<Routes<C>> for Router<S> {
    fn from(routes: Routes<C>) -> Self {
        Route::ALL.into_iter().fold(Self::new(), |router, route| {
            let auth = routes.auth.clone();
            let path = route.path_below(&routes.prefix);
            router.route(&path, any(move |request: Request| serve(auth.clone(), route, request)))
        })
    }
}

async fn serve<C: AppClaims>(auth: Auth<C>, route: Route, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let endpoint = Endpoint::new(&auth, route, &facts(&parts));
    let body = match endpoint.body_limit() {
        Some(limit) => Some(read(body, limit, endpoint.body_deadline()).await),
        None => None,
    };
    response(endpoint.answer(body).await)
}

async fn read(body: Body, limit: usize, deadline: Duration) -> RequestBody {
    match tokio::time::timeout(deadline, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => RequestBody::Complete(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => RequestBody::TooLarge,
        Ok(Err(_)) | Err(_) => RequestBody::Broken,
    }
}
