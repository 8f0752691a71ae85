//! Guards for whole routers: `.route_layer(auth_axum::require_scope("notes:write"))`.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use auth_tower::layer::HttpFacts;
use auth_tower::{AppClaims, Claims, Denial, adapter};
use axum::response::{IntoResponse, Response};
use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::facts::{client_ip, handle};
use crate::rejection::Rejection;

type Check<C> = Arc<dyn Fn(&Claims<C>) -> Result<(), Denial> + Send + Sync>;

/// Lets only users through whose claims satisfy `allowed`: 401 without a user, 403 for any other.
///
/// ```
/// # use axum::{Router, routing::get};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct User { roles: Vec<String> }
///
/// let admin: Router = Router::new()
///     .route("/admin", get(|| async { "hello, admin" }))
///     .route_layer(auth_axum::require(|user: &User| user.roles.iter().any(|role| role == "admin")));
/// ```
pub fn require<C: AppClaims>(allowed: impl Fn(&C) -> bool + Send + Sync + 'static) -> Guard<C> {
    Guard::new(move |claims: &Claims<C>| claims.require(&allowed))
}

/// Lets only users through whose token has every one of these space-separated scope values: 401 without a user, 403 for any
/// other, naming the scope in the challenge (RFC 6750 §3.1).
///
/// The claims type is the application's: `require_scope::<User>("notes:write")`.
pub fn require_scope<C: AppClaims>(scope: impl Into<String>) -> Guard<C> {
    let scope = scope.into();
    Guard::new(move |claims: &Claims<C>| claims.require_scope(&scope))
}

/// The layer behind [`require`] and [`require_scope`].
#[must_use]
pub struct Guard<C> {
    check: Check<C>,
}

impl<C: AppClaims> Guard<C> {
    fn new(check: impl Fn(&Claims<C>) -> Result<(), Denial> + Send + Sync + 'static) -> Self {
        Self { check: Arc::new(check) }
    }
}

impl<C> Clone for Guard<C> {
    fn clone(&self) -> Self {
        Self {
            check: self.check.clone(),
        }
    }
}

impl<C> fmt::Debug for Guard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl<S, C> Layer<S> for Guard<C> {
    type Service = GuardService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardService {
            inner,
            check: self.check.clone(),
            claims: PhantomData,
        }
    }
}

/// A service behind a [`Guard`].
pub struct GuardService<S, C> {
    inner: S,
    check: Check<C>,
    claims: PhantomData<fn() -> C>,
}

impl<S, C, B> Service<Request<B>> for GuardService<S, C>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    C: AppClaims,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready goes with the request; its clone, which was not, stays.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let check = self.check.clone();
        let observed = handle(request.extensions()).map(|handle| {
            let ip = client_ip(request.extensions());
            let facts = HttpFacts::new(request.method(), request.uri(), request.headers(), ip);
            adapter::observe(handle, &facts);
            handle.clone()
        });
        Box::pin(async move {
            let admitted: Result<(), Rejection> = async {
                let claims = observed?.claims().await?;
                Ok(check(&claims)?)
            }
            .await;
            match admitted {
                Ok(()) => ready.call(request).await,
                Err(rejection) => Ok(rejection.into_response()),
            }
        })
    }
}

impl<S: Clone, C> Clone for GuardService<S, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            check: self.check.clone(),
            claims: PhantomData,
        }
    }
}

impl<S: fmt::Debug, C> fmt::Debug for GuardService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
