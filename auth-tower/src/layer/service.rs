//! The lazy service.

use std::fmt;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{Request, Response};
use tower_service::Service;

use super::facts::HttpFacts;
use super::future::ResponseFuture;
use crate::adapter::HandleSource;
use crate::wire::grpc;

/// A service whose requests carry a [`Handle`](crate::handle::Handle).
pub struct AuthService<S> {
    inner: S,
    handles: HandleSource,
}

impl<S> AuthService<S> {
    pub(super) fn new(inner: S, handles: HandleSource) -> Self {
        Self { inner, handles }
    }
}

impl<S, B, R> Service<Request<B>> for AuthService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let handle = self.handles.handle();
        // The handler of a gRPC method sees neither method nor target, so nobody behind this could read them off.
        let content_type = request.headers().get(CONTENT_TYPE);
        if content_type.is_some_and(|value| grpc::media_type(value.as_bytes()).is_some()) {
            handle.observe(&HttpFacts::new(
                request.method(),
                request.uri(),
                request.headers(),
                None,
            ));
        }
        request.extensions_mut().insert(handle.clone());
        ResponseFuture::new(self.inner.call(request), handle)
    }
}

impl<S: Clone> Clone for AuthService<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            handles: self.handles.clone(),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for AuthService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
