//! The layer and service that refuse requests without a user.

use std::fmt;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::body::ResponseBody;
use super::facts::HttpFacts;
use super::future::RequiredFuture;
use crate::adapter::HandleSource;

/// Refuses requests without a user, and leaves [`Claims<C>`](crate::handle::claims::Claims) in the extensions of all others.
#[must_use]
pub struct RequiredLayer<C> {
    handles: HandleSource,
    claims: PhantomData<fn() -> C>,
}

impl<C> RequiredLayer<C> {
    pub(super) fn new(handles: HandleSource) -> Self {
        Self {
            handles,
            claims: PhantomData,
        }
    }
}

impl<S, C> Layer<S> for RequiredLayer<C> {
    type Service = Required<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        Required {
            inner,
            handles: self.handles.clone(),
            claims: PhantomData,
        }
    }
}

impl<C> Clone for RequiredLayer<C> {
    fn clone(&self) -> Self {
        Self {
            handles: self.handles.clone(),
            claims: PhantomData,
        }
    }
}

impl<C> fmt::Debug for RequiredLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequiredLayer")
            .field("handles", &self.handles)
            .finish_non_exhaustive()
    }
}

/// A service that sees only requests with a user.
pub struct Required<S, C> {
    inner: S,
    handles: HandleSource,
    claims: PhantomData<fn() -> C>,
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

        let handle = self.handles.handle();
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
            handles: self.handles.clone(),
            claims: PhantomData,
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
