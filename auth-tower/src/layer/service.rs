//! The lazy service.

use std::fmt;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{Request, Response};
use tower_service::Service;

use super::facts::HttpFacts;
use super::future::ResponseFuture;
use crate::auth::Auth;
use crate::config::OnOutage;
use crate::wire::grpc;

/// A service whose requests carry a [`Handle`](crate::handle::Handle).
pub struct AuthService<S, C> {
    inner: S,
    auth: Auth<C>,
    on_outage: OnOutage,
}

impl<S, C> AuthService<S, C> {
    pub(super) fn new(inner: S, auth: Auth<C>, on_outage: OnOutage) -> Self {
        Self { inner, auth, on_outage }
    }
}

impl<S, C, B, R> Service<Request<B>> for AuthService<S, C>
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
        let handle = self.auth.handle(self.on_outage);
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

impl<S: Clone, C> Clone for AuthService<S, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            auth: self.auth.clone(),
            on_outage: self.on_outage,
        }
    }
}

impl<S: fmt::Debug, C> fmt::Debug for AuthService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
