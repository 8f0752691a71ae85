//! What is answered: the ready auth endpoints, and a service that only sees requests with a user.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use auth_tower::adapter::{Endpoint, Prefix, Reply, RequestBody, Route};
use auth_tower::layer::{HttpFacts, Required};
use auth_tower::{Auth, Claims, Denial, Handle};
use bytes::Bytes;
use demo::Stop;
use demo::users::User;
use futures_util::future::BoxFuture;
use futures_util::stream;
use futures_util::stream::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::Incoming;
use tower::util::{ServiceFn, service_fn};
use tower::{Layer as _, ServiceExt as _};

/// Every answer's body.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;
type Api = ServiceFn<fn(Request<Incoming>) -> Answer>;

/// The whole app.
#[derive(Clone)]
pub(crate) struct App {
    auth: Auth<User>,
    api: Required<Api, User>,
    stop: Stop,
}

impl App {
    pub(crate) fn new(auth: Auth<User>, stop: Stop) -> Self {
        let api: Api = service_fn(|request| Box::pin(async move { Ok(api(request).await) }));
        Self {
            // The one line that matters: what is behind it has claims, and everything else is refused here.
            api: auth.layer().required().layer(api),
            auth,
            stop,
        }
    }

    pub(crate) async fn answer(&self, mut request: Request<Incoming>, ip: IpAddr) -> Response<Body> {
        let path = request.uri().path();
        if path.starts_with("/api/") {
            // Answers that stay open must not keep an app that stops.
            request.extensions_mut().insert(self.stop.clone());
            let Ok(response) = self.api.clone().oneshot(request).await;
            return response.map(BodyExt::boxed_unsync);
        }
        match Route::at(path, &Prefix::default()) {
            Some(route) => self.endpoint(route, request, ip).await,
            None if path == "/healthz" => text(StatusCode::OK, "ok"),
            None => text(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    /// One of the ready routes: the facts go in, the body if one is wanted, and the answer comes out.
    async fn endpoint(&self, route: Route, request: Request<Incoming>, ip: IpAddr) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let facts = HttpFacts::new(&parts.method, &parts.uri, &parts.headers, Some(ip));
        let endpoint = Endpoint::new(&self.auth, route, &facts);
        let body = match endpoint.body_limit() {
            Some(limit) => Some(read(body, limit, endpoint.body_deadline()).await),
            None => None,
        };
        written(endpoint.answer(body).await)
    }
}

async fn read(body: Incoming, limit: usize, deadline: Duration) -> RequestBody {
    match tokio::time::timeout(deadline, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => RequestBody::Complete(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => RequestBody::TooLarge,
        Ok(Err(_)) | Err(_) => RequestBody::Broken,
    }
}

/// What is behind the layer. It never sees a request without a user.
async fn api(request: Request<Incoming>) -> Response<Body> {
    let extensions = request.extensions();
    let (Some(claims), Some(handle)) = (extensions.get::<Claims<User>>(), extensions.get::<Handle>()) else {
        return refused(Denial::missing_layer("auth.layer().required()"));
    };
    match request.uri().path() {
        "/api/me" => json(&serde_json::json!({
            "sub": claims.registered().subject(),
            "name": claims.name,
            "roles": claims.roles,
            "sid": claims.registered().session_id(),
        })),
        "/api/admin" => match claims.require(User::is_admin) {
            Ok(()) => json(&serde_json::json!({"admin": claims.name})),
            Err(denial) => refused(denial),
        },
        "/api/reports" => match claims.require_scope("reports:read") {
            Ok(()) => json(&serde_json::json!({"reports": []})),
            Err(denial) => refused(denial),
        },
        "/api/watch" => match extensions.get::<Stop>() {
            Some(stop) => watched(handle, stop.clone()).await,
            None => text(StatusCode::INTERNAL_SERVER_ERROR, "not wired up"),
        },
        _ => text(StatusCode::NOT_FOUND, "there is nothing here"),
    }
}

/// An answer that stays open: it outlives the check of its request's token, so it watches the session.
async fn watched(handle: &Handle, mut stop: Stop) -> Response<Body> {
    let watch = match handle.watch().await {
        Ok(watch) => watch,
        Err(denial) => return refused(denial),
    };
    let last = async move {
        tokio::select! {
            () = watch.over() => "event: over\ndata: the session is over\n\n",
            () = stop.requested() => "event: bye\ndata: come again\n\n",
        }
    };
    // Yours has more to say in between: put `take_until(watch.over())` on the stream that says it.
    let lines = stream::iter(["event: hello\ndata: signed in\n\n"]).chain(stream::once(last));
    let frames = lines.map(|line| Ok(Frame::data(Bytes::from_static(line.as_bytes()))));
    respond(StatusCode::OK, "text/event-stream", StreamBody::new(frames))
}

fn refused(denial: Denial) -> Response<Body> {
    written(Reply::denied(denial))
}

/// Writes an answer of the library's: its headers as they are, cookies beside each other.
fn written(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Full::from(reply.body).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for header in reply.headers {
        let Ok(mut value) = HeaderValue::from_str(&header.value) else {
            continue;
        };
        value.set_sensitive(header.sensitive);
        let name = HeaderName::from_static(header.name);
        if header.append {
            response.headers_mut().append(name, value);
        } else {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn json(value: &serde_json::Value) -> Response<Body> {
    respond(StatusCode::OK, "application/json", Full::from(value.to_string()))
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", Full::from(text))
}

/// What a user may see is not for a cache to keep.
fn respond<B>(status: StatusCode, content_type: &'static str, body: B) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
