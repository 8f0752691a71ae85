//! The layer and service that refuse requests without a user.

use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::body::ResponseBody;
use super::facts::HttpFacts;
use super::future::RequiredFuture;
use crate::auth::Auth;
use crate::config::OnOutage;

/// Refuses requests without a user, and leaves [`Claims<C>`](crate::handle::claims::Claims) in the extensions of all others.
#[must_use]
pub struct RequiredLayer<C> {
    auth: Auth<C>,
    on_outage: OnOutage,
}

impl<C> RequiredLayer<C> {
    pub(super) fn new(auth: Auth<C>, on_outage: OnOutage) -> Self {
        Self { auth, on_outage }
    }
}

impl<S, C> Layer<S> for RequiredLayer<C> {
    type Service = Required<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Required {
            inner,
            auth: self.auth.clone(),
            on_outage: self.on_outage,
        }
    }
}

impl<C> Clone for RequiredLayer<C> {
    fn clone(&self) -> Self {
        Self {
            auth: self.auth.clone(),
            on_outage: self.on_outage,
        }
    }
}

impl<C> fmt::Debug for RequiredLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequiredLayer")
            .field("on_outage", &self.on_outage)
            .finish_non_exhaustive()
    }
}

/// A service that sees only requests with a user.
pub struct Required<S, C> {
    inner: S,
    auth: Auth<C>,
    on_outage: OnOutage,
}

impl<S, C, B, R> Service<Request<B>> for Required<S, C>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    C: Send + Sync + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = RequiredFuture<S, C, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that was polled ready goes with the request; its clone, which was not, stays.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);

        let handle = self.auth.handle(self.on_outage);
        handle.observe(&HttpFacts::new(
            request.method(),
            request.uri(),
            request.headers(),
            None,
        ));
        request.extensions_mut().insert(handle.clone());
        RequiredFuture::new(ready, request, handle)
    }
}

impl<S: Clone, C> Clone for Required<S, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            auth: self.auth.clone(),
            on_outage: self.on_outage,
        }
    }
}

impl<S: fmt::Debug, C> fmt::Debug for Required<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Required")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
