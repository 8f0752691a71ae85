//! The futures of both services.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::ResponseBody;
use crate::handle::Handle;
use crate::handle::claims::Claims;
use crate::wire::denial::Denial;
use crate::wire::reply::{Reply, ReplyHeader};

pin_project! {
    /// The answer of an [`AuthService`](super::AuthService): the inner one, with the handle's headers.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        handle: Handle,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, handle: Handle) -> Self {
        Self { inner, handle }
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        write(&this.handle.response_headers(), response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// Copies headers as they are told.
pub(super) fn write(headers: &[ReplyHeader], into: &mut HeaderMap) {
    for header in headers {
        let Ok(mut value) = HeaderValue::from_str(&header.value) else {
            continue;
        };
        value.set_sensitive(header.sensitive);
        let name = HeaderName::from_static(header.name);
        if header.append {
            into.append(name, value);
        } else {
            into.insert(name, value);
        }
    }
}

type Asking<C> = Pin<Box<dyn Future<Output = Result<Claims<C>, Denial>> + Send>>;

pin_project! {
    /// The answer of a [`Required`](super::Required) service: the inner one, or a denial.
    pub struct RequiredFuture<S, C, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, S::Future, C, B>,
        handle: Handle,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = StateOwned]
    enum State<S, F, C, B> {
        /// Memory already knew who asks.
        Known { known: Option<Result<Claims<C>, Denial>>, inner: S, request: Option<Request<B>> },
        /// It takes a look at the store.
        Asking { asking: Asking<C>, inner: S, request: Option<Request<B>> },
        Running { #[pin] running: F },
    }
}

impl<S, C, B> RequiredFuture<S, C, B>
where
    S: Service<Request<B>>,
    C: Send + Sync + 'static,
{
    pub(super) fn new(inner: S, request: Request<B>, handle: Handle) -> Self {
        let request = Some(request);
        let state = match handle.claims_now::<C>() {
            Some(known) => State::Known {
                known: Some(known),
                inner,
                request,
            },
            None => {
                let asked = handle.clone();
                State::Asking {
                    asking: Box::pin(async move { asked.claims().await }),
                    inner,
                    request,
                }
            }
        };
        Self { state, handle }
    }
}

impl<S, C, B, R> Future for RequiredFuture<S, C, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    C: Send + Sync + 'static,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let (answer, inner, request) = match this.state.as_mut().project() {
                StateProjection::Running { running } => {
                    let mut response = ready!(running.poll(cx))?.map(ResponseBody::inner);
                    write(&this.handle.response_headers(), response.headers_mut());
                    return Poll::Ready(Ok(response));
                }
                StateProjection::Known { known, inner, request } => (known.take(), inner, request),
                StateProjection::Asking { asking, inner, request } => {
                    (Some(ready!(asking.as_mut().poll(cx))), inner, request)
                }
            };
            match (answer, request.take()) {
                (Some(Ok(claims)), Some(mut request)) => {
                    request.extensions_mut().insert(claims);
                    let running = inner.call(request);
                    this.state.as_mut().project_replace(State::Running { running });
                }
                (Some(Err(denial)), Some(request)) => {
                    return Poll::Ready(Ok(denied(denial, this.handle, request.headers())));
                }
                // Polled again after it was done; a future may answer that as it likes.
                _ => return Poll::Pending,
            }
        }
    }
}

fn denied<R>(denial: Denial, handle: &Handle, asked: &HeaderMap) -> Response<ResponseBody<R>> {
    let content_type = asked.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let reply = Reply::denied_to(content_type, denial);
    let mut response = Response::new(ResponseBody::denial(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    write(&reply.headers, response.headers_mut());
    write(&handle.response_headers(), response.headers_mut());
    if let Some(denial) = reply.denial {
        response.extensions_mut().insert(denial);
    }
    response
}

impl<S: Service<Request<B>>, C, B> fmt::Debug for RequiredFuture<S, C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequiredFuture").finish_non_exhaustive()
    }
}
