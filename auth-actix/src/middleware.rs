//! The middleware: leaves the lazy handle in requests, and writes what came of it onto responses.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, HttpMessage};
use auth_tower::adapter::HandleSource;
use auth_tower::{Auth, Handle, OnOutage, adapter};
use pin_project_lite::pin_project;

use crate::rejection::write;
use crate::workers;
use crate::workers::Worker;

/// Puts the lazy handle into requests, and what came of it onto responses: `App::new().wrap(auth_actix::middleware(&auth))`.
///
/// `auth` is made **once, outside of `HttpServer::new`**; see the [crate page](crate#one-auth-per-process).
pub fn middleware<C, R>(auth: &Auth<C, R>) -> Middleware {
    Middleware {
        handles: HandleSource::new(auth),
    }
}

/// The middleware behind [`middleware`].
///
/// It refuses nothing by itself: extractors and guards do. After the handler, new and cleared cookies go onto the response,
/// whatever its status, and also onto that of an error that a middleware further inside returned.
#[must_use = "wrap an app or a scope in it"]
#[derive(Debug, Clone)]
pub struct Middleware {
    handles: HandleSource,
}

impl Middleware {
    /// What happens to a valid access token when neither the revocation feed nor the store can be asked. Default:
    /// [`OnOutage::Accept`].
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.handles = self.handles.on_outage(on_outage);
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for Middleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = MiddlewareService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(MiddlewareService {
            inner,
            handles: self.handles.clone(),
            _worker: workers::enter(&self.handles),
        }))
    }
}

/// A service whose requests carry a [`Handle`].
pub struct MiddlewareService<S> {
    inner: S,
    handles: HandleSource,
    _worker: Option<Worker>,
}

impl<S, B> Service<ServiceRequest> for MiddlewareService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = MiddlewareFuture<S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let handle = self.handles.handle();
        request.extensions_mut().insert(handle.clone());
        MiddlewareFuture {
            inner: self.inner.call(request),
            handle,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for MiddlewareService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiddlewareService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The answer of a [`MiddlewareService`]: the inner one, with the handle's headers.
    pub struct MiddlewareFuture<F> {
        #[pin]
        inner: F,
        handle: Handle,
    }
}

impl<F, B> Future for MiddlewareFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
{
    type Output = Result<ServiceResponse<B>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.inner.poll(cx));
        let headers = adapter::response_headers(this.handle);
        match &mut answer {
            Ok(response) => write(&headers, response.headers_mut()),
            Err(_) if headers.is_empty() => {}
            // The response of an error is made further outside, and perhaps more than once.
            Err(error) => error.add_response_mapper(move |mut response| {
                write(&headers, response.headers_mut());
                response
            }),
        }
        Poll::Ready(answer)
    }
}

impl<F> fmt::Debug for MiddlewareFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiddlewareFuture").finish_non_exhaustive()
    }
}
