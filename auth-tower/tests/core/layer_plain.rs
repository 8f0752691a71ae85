//! The tower layer around services that are nothing special: odd bodies, errors of their own, one-shot readiness.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, where failing loudly is the point"
)]

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use auth_tower::layer::ResponseBody;
use auth_tower::session::ClientInfo;
use auth_tower::{
    Accounts, AccountsError, Auth, Claims, Denial, DenialCode, Grant, Handle, KeyRing, MemoryStore,
    PasswordCredentials, Subject, adapter,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use serde::{Deserialize, Serialize};
use tower::{Layer, Service, ServiceExt as _, service_fn};

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

struct Everyone;

impl Accounts for Everyone {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        Ok(Subject::new(login.username()).ok())
    }

    async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        let name = subject.to_string();
        Ok(Some(Grant::new(User { name })))
    }
}

fn auth() -> Auth<User> {
    Auth::<User>::authority(KeyRing::generate().unwrap())
        .issuer("https://id.example.com")
        .audience("https://api.example.com")
        .sessions(MemoryStore::new())
        .accounts(Everyone)
        .build()
        .unwrap()
}

/// Signs alice in through a plain service, and returns her access token and refresh cookie.
async fn sign_in(auth: &Auth<User>) -> (String, String) {
    let service = auth.layer().layer(service_fn(|request: Request<()>| async move {
        let handle = request.extensions().get::<Handle>().unwrap();
        let facts = auth_tower::layer::HttpFacts::new(request.method(), request.uri(), request.headers(), None);
        let session = adapter::session(handle, &facts).unwrap();
        let login = PasswordCredentials::new("alice", "any", ClientInfo::default());
        let signed_in = session.log_in(&login).await.unwrap();
        Ok::<_, Infallible>(Response::new(signed_in.access_token.unwrap()))
    }));
    let response = service.oneshot(Request::post("/").body(()).unwrap()).await.unwrap();
    let cookie = response.headers().get("set-cookie").unwrap();
    assert!(cookie.is_sensitive());
    let cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
    (response.into_body(), cookie)
}

fn request<B>(headers: &[(&str, &str)], body: B) -> Request<B> {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

/// A request body with neither `Default`, `Clone`, `Debug` nor `Body`.
struct OddRequestBody(Box<dyn Fn() -> u8 + Send>);

/// A response body that only knows one frame, and has an error type of its own.
struct OddResponseBody(Option<u8>);

#[derive(Debug)]
struct OddBodyError;

impl Body for OddResponseBody {
    type Data = Bytes;
    type Error = OddBodyError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, OddBodyError>>> {
        Poll::Ready(self.0.take().map(|byte| match byte {
            0 => Err(OddBodyError),
            byte => Ok(Frame::data(vec![byte].into())),
        }))
    }
}

async fn collect<B: Body<Data = Bytes>>(body: B) -> Result<Vec<u8>, B::Error> {
    let mut body = Box::pin(body);
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        all.extend(frame?.into_data().unwrap_or_else(|_| panic!("trailers")));
    }
    Ok(all)
}

/// An error that is no `Error`.
#[derive(PartialEq, Eq)]
struct OddError(u8);

#[derive(Clone)]
struct Odd;

impl Service<Request<OddRequestBody>> for Odd {
    type Response = Response<OddResponseBody>;
    type Error = OddError;
    type Future = Ready<Result<Response<OddResponseBody>, OddError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OddError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OddRequestBody>) -> Self::Future {
        ready(match (request.body().0)() {
            200.. => Err(OddError(7)),
            byte => Ok(Response::new(OddResponseBody(Some(byte)))),
        })
    }
}

fn odd(byte: u8) -> OddRequestBody {
    OddRequestBody(Box::new(move || byte))
}

#[tokio::test]
async fn bodies_and_errors_of_any_type_pass_untouched() {
    let auth = auth();
    let (access, _) = sign_in(&auth).await;
    let bearer = format!("Bearer {access}");
    let headers = [("authorization", bearer.as_str())];

    let lazy = auth.layer().layer(Odd);
    let response = lazy
        .clone()
        .oneshot(request(&headers, odd(5)))
        .await
        .unwrap_or_else(|_| panic!("an error"));
    assert_eq!(collect(response.into_body()).await.unwrap(), [5]);
    assert!(lazy.oneshot(request(&[], odd(200))).await.err() == Some(OddError(7)));

    let required = auth.layer().required().layer(Odd);
    let send = |headers: &[(&str, &str)], byte| required.clone().oneshot(request(headers, odd(byte)));
    let response = send(&headers, 5).await.unwrap_or_else(|_| panic!("an error"));
    assert_eq!(
        collect::<ResponseBody<OddResponseBody>>(response.into_body())
            .await
            .unwrap(),
        [5]
    );
    let response = send(&headers, 0).await.unwrap_or_else(|_| panic!("an error"));
    assert!(collect(response.into_body()).await.is_err(), "the body's own error");
    assert!(
        send(&headers, 200).await.err() == Some(OddError(7)),
        "the service's own error"
    );
    let response = send(&[], 200).await.unwrap_or_else(|_| panic!("an error"));
    assert_eq!(response.status(), 401, "a denial is a response");
}

#[tokio::test]
async fn required_denies_with_body_challenge_and_the_denial_for_logs() {
    let auth = auth();
    let service = auth.layer().required().layer(Odd);
    for (headers, status, code) in [
        (&[][..], 401, DenialCode::MissingToken),
        (&[("authorization", "Bearer a.b.c")], 401, DenialCode::InvalidToken),
        (&[("authorization", "Bearer")], 400, DenialCode::InvalidRequest),
        (
            &[("cookie", "__Host-refresh=garbage")],
            401,
            DenialCode::InvalidRefreshToken,
        ),
    ] {
        let response = service
            .clone()
            .oneshot(request(headers, odd(1)))
            .await
            .unwrap_or_else(|_| panic!("an error"));
        assert_eq!(response.status(), status);
        assert_eq!(response.extensions().get::<Denial>().map(Denial::code), Some(code));
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value: &http::HeaderValue| value.to_str().unwrap())
        };
        assert_eq!(header("content-type"), Some("application/problem+json"));
        assert_eq!(header("cache-control"), Some("no-store"));
        assert!(header("www-authenticate").unwrap().starts_with("Bearer"));
        let size = response.body().size_hint().exact().unwrap();
        assert!(!response.body().is_end_stream());
        let body = collect(response.into_body()).await.unwrap();
        assert_eq!(body.len() as u64, size);
        assert!(
            String::from_utf8(body)
                .unwrap()
                .contains(&format!("\"code\":\"{code}\""))
        );
    }
}

/// What a service behind `required()` sees.
async fn seen(request: Request<()>) -> Result<Response<String>, Infallible> {
    let claims = request.extensions().get::<Claims<User>>();
    let name = claims.map(|claims| claims.name.clone()).unwrap_or_default();
    Ok(Response::builder().header("set-cookie", "app=1").body(name).unwrap())
}

#[tokio::test]
async fn required_leaves_the_claims_in_the_extensions_also_after_an_exchange() {
    let auth = auth();
    let (access, cookie) = sign_in(&auth).await;
    let service = auth.layer().required().layer(service_fn(seen));
    let with_token = request(&[("authorization", &format!("Bearer {access}"))], ());
    let response = service.clone().oneshot(with_token).await.unwrap();
    let name = Bytes::from(collect(response.into_body()).await.unwrap());
    assert_eq!(name, "alice");

    let response = service.oneshot(request(&[("cookie", &cookie)], ())).await.unwrap();
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2, "appended to the service's own");
    assert_eq!(cookies.first().unwrap().to_str().unwrap(), "app=1");
    assert!(cookies.last().unwrap().to_str().unwrap().starts_with("__Host-refresh="));
    let token = response.headers().get("x-access-token").unwrap();
    assert!(token.is_sensitive());
    assert_eq!(response.headers().get("cache-control").unwrap(), "no-store");
    assert_eq!(collect(response.into_body()).await.unwrap(), b"alice");
}

#[tokio::test]
async fn a_lazy_layer_asks_nothing_of_a_request_that_asks_for_nothing() {
    let auth = auth();
    let (_, cookie) = sign_in(&auth).await;
    let service = auth.layer().layer(service_fn(seen));
    for headers in [[("authorization", "Bearer a.b.c")], [("cookie", &*cookie)]] {
        let response = service.clone().oneshot(request(&headers, ())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().len(), 1, "its own cookie only");
        assert_eq!(response.body(), "", "and no claims are there");
    }
}

/// A service that may be called once for each time that this very instance was polled ready.
struct OncePolled {
    polled: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for OncePolled {
    fn clone(&self) -> Self {
        Self {
            polled: false,
            calls: self.calls.clone(),
        }
    }
}

impl Service<Request<()>> for OncePolled {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.polled = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.polled),
            "called without having been polled ready"
        );
        self.calls.fetch_add(1, Ordering::SeqCst);
        ready(Ok(Response::new(String::new())))
    }
}

#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called() {
    let auth = auth();
    let (access, cookie) = sign_in(&auth).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = OncePolled {
        polled: false,
        calls: calls.clone(),
    };
    let bearer = format!("Bearer {access}");
    let mut lazy = auth.layer().layer(inner.clone());
    let mut required = auth.layer().required().layer(inner);
    // Known at once, and known after a look at the store.
    for headers in [[("authorization", &*bearer)], [("cookie", &*cookie)]] {
        for _ in 0..2 {
            lazy.ready().await.unwrap().call(request(&headers, ())).await.unwrap();
            let response = required
                .ready()
                .await
                .unwrap()
                .call(request(&headers, ()))
                .await
                .unwrap();
            assert_eq!(response.status(), 200);
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 8);
    // A refused request uses a service up without calling it, and the next one still finds one that is ready.
    let refused = required.ready().await.unwrap().call(request(&[], ())).await.unwrap();
    assert_eq!(refused.status(), 401);
    required
        .ready()
        .await
        .unwrap()
        .call(request(&[("authorization", &bearer)], ()))
        .await
        .unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 9);
}

/// Not ready until it was polled twice, and then broken.
#[derive(Clone)]
struct NeverReady(u8);

impl Service<Request<()>> for NeverReady {
    type Response = Response<String>;
    type Error = OddError;
    type Future = Ready<Result<Response<String>, OddError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OddError>> {
        self.0 += 1;
        match self.0 {
            1 => Poll::Pending,
            _ => Poll::Ready(Err(OddError(self.0))),
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        panic!("called although it was never ready")
    }
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    async fn check(mut service: impl Service<Request<()>, Error = OddError>) {
        let poll = std::future::poll_fn(|cx| Poll::Ready(service.poll_ready(cx).is_pending()));
        assert!(poll.await);
        assert!(std::future::poll_fn(|cx| service.poll_ready(cx)).await == Err(OddError(2)));
    }
    let auth = auth();
    check(auth.layer().layer(NeverReady(0))).await;
    check(auth.layer().required().layer(NeverReady(0))).await;
}

#[tokio::test]
async fn futures_and_services_are_as_send_and_as_shown_as_what_they_wrap() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    fn shown(value: &impl fmt::Debug) -> String {
        format!("{value:?}")
    }
    let auth = auth();
    let (access, _) = sign_in(&auth).await;
    let bearer = format!("Bearer {access}");
    let service = auth.layer().required().layer(service_fn(seen));
    let future = sent(service.oneshot(request(&[("authorization", &bearer)], ())));
    assert!(tokio::spawn(future).await.unwrap().is_ok());
    let text = format!(
        "{} {} {}",
        shown(&auth),
        shown(&auth.layer()),
        shown(&auth.layer().required())
    );
    assert!(!text.contains(&access), "{text}");
}

#[tokio::test]
async fn a_request_given_up_while_it_is_asked_about_never_reaches_the_service() {
    let auth = auth();
    let (_, cookie) = sign_in(&auth).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = OncePolled {
        polled: false,
        calls: calls.clone(),
    };
    let mut service = auth.layer().required().layer(inner);
    let mut future = Box::pin(service.ready().await.unwrap().call(request(&[("cookie", &cookie)], ())));
    assert!(std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await);
    drop(future);
    tokio::task::yield_now().await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    let again = service
        .ready()
        .await
        .unwrap()
        .call(request(&[("cookie", &cookie)], ()))
        .await
        .unwrap();
    assert_eq!(again.status(), 200, "and the exchange that it began was not lost");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
