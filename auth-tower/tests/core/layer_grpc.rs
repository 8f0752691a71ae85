//! A gRPC request is refused as gRPC is: status 200, the truth in `grpc-status`, and no body.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where failing loudly is the point")]

use std::convert::Infallible;
use std::time::Duration;

use auth_tower::layer::HttpFacts;
use auth_tower::session::ClientInfo;
use auth_tower::{
    Accounts, AccountsError, Auth, Claims, Clock, Denial, Grant, Handle, KeyRing, MemoryStore, PasswordCredentials,
    Subject, Timestamp, adapter,
};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use serde::{Deserialize, Serialize};
use tower::{Layer, ServiceExt as _, service_fn};

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

/// Alice may sign in, and her accounts stop answering for her.
#[derive(Clone, Default)]
struct Moody(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Accounts for Moody {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        Ok(Subject::new(login.username()).ok())
    }

    async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        if self.0.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(AccountsError::RateLimited {
                retry_after: Duration::from_secs(7),
            });
        }
        Ok(Some(Grant::new(User {
            name: subject.to_string(),
        })))
    }
}

struct World {
    auth: Auth<User>,
    clock: Clock,
    accounts: Moody,
    access: String,
    cookie: String,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let accounts = Moody::default();
        let auth = Auth::<User>::authority(KeyRing::generate().unwrap())
            .issuer("https://id.example.com")
            .audience("https://api.example.com")
            .sessions(MemoryStore::with_clock(clock.clone()))
            .accounts(accounts.clone())
            .clock(clock.clone())
            .build()
            .unwrap();
        let handle = adapter::HandleSource::new(&auth).handle();
        let request = Request::post("/").body(()).unwrap();
        let facts = HttpFacts::new(request.method(), request.uri(), request.headers(), None);
        let session = adapter::session(&handle, &facts).unwrap();
        let login = PasswordCredentials::new("alice", "any", ClientInfo::default());
        let access = session.log_in(&login).await.unwrap().access_token.unwrap();
        let headers = adapter::response_headers(&handle);
        let cookie = &headers.iter().find(|header| header.name == "set-cookie").unwrap().value;
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self {
            auth,
            clock,
            accounts,
            access,
            cookie,
        }
    }

    /// What a call with these headers is answered, and whether anything follows the headers.
    async fn call(&self, content_type: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, bool) {
        let service = self.auth.layer().required().layer(service_fn(echo));
        let response = service.oneshot(request(content_type, headers)).await.unwrap();
        let empty = response.body().is_end_stream();
        (response.status().as_u16(), response.headers().clone(), empty)
    }
}

fn request(content_type: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::post("/demo.Notes/List").header("content-type", content_type);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

async fn echo(request: Request<()>) -> Result<Response<String>, Infallible> {
    let name = request.extensions().get::<Claims<User>>().unwrap().name.clone();
    Ok(Response::builder().header("grpc-status", "0").body(name).unwrap())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_refusal_is_a_status_in_headers_that_nothing_follows() {
    let world = World::new().await;
    let good = format!("Bearer {}", world.access);
    let (status, headers, _) = world.call("application/grpc", &[("authorization", &good)]).await;
    assert_eq!((status, text(&headers, "grpc-status")), (200, "0"));
    assert!(!headers.contains_key("auth-code"));

    let expect = async |sent: &[(&str, &str)], grpc: &str, code: &str| {
        let (status, headers, empty) = world.call("application/grpc+proto", sent).await;
        assert_eq!((status, empty), (200, true), "{code}");
        assert_eq!(
            (text(&headers, "grpc-status"), text(&headers, "auth-code")),
            (grpc, code)
        );
        assert_eq!(text(&headers, "content-type"), "application/grpc");
        assert!(text(&headers, "grpc-message").ends_with('.'));
        assert_eq!(text(&headers, "cache-control"), "no-store");
        headers
    };
    let headers = expect(&[], "16", "missing_token").await;
    assert_eq!(text(&headers, "www-authenticate"), "Bearer");
    let headers = expect(&[("authorization", "Bearer a.b.c")], "16", "invalid_token").await;
    assert!(text(&headers, "www-authenticate").starts_with("Bearer error=\"invalid_token\""));
    expect(&[("authorization", "Bearer a b")], "3", "invalid_request").await;
    let evil = [
        ("cookie", &*world.cookie),
        ("origin", "https://evil.example"),
        ("host", "id.example.com"),
    ];
    expect(&evil, "7", "cross_site_request").await;
    world.clock.advance(Duration::from_secs(3600));
    // No cookie, as most gRPC clients: the code says that a refresh will help.
    expect(&[("authorization", &good)], "16", "token_expired").await;
    world.accounts.0.store(true, std::sync::atomic::Ordering::SeqCst);
    let headers = expect(
        &[("authorization", &good), ("cookie", &world.cookie)],
        "8",
        "rate_limited",
    )
    .await;
    assert_eq!(text(&headers, "retry-after"), "7");
    assert_eq!(text(&headers, "grpc-retry-pushback-ms"), "7000");
}

#[tokio::test]
async fn a_grpc_client_with_a_cookie_is_exchanged_silently() {
    let world = World::new().await;
    world.clock.advance(Duration::from_secs(3600));
    let (_, headers, _) = world.call("application/grpc", &[("cookie", &world.cookie)]).await;
    assert_eq!(text(&headers, "grpc-status"), "0");
    assert!(text(&headers, "set-cookie").starts_with("__Host-refresh="));
    assert!(headers.contains_key("x-access-token"));
}

#[tokio::test]
async fn grpc_web_is_answered_in_its_own_type_and_all_else_over_http() {
    let world = World::new().await;
    for (sent, answered) in [
        ("application/grpc-web+proto", "application/grpc-web"),
        ("application/grpc-web-text", "application/grpc-web-text"),
    ] {
        let (status, headers, empty) = world.call(sent, &[]).await;
        assert_eq!((status, empty), (200, true));
        assert_eq!(text(&headers, "content-type"), answered);
        assert_eq!(text(&headers, "grpc-status"), "16");
    }
    let (status, headers, empty) = world.call("application/json", &[]).await;
    assert_eq!((status, empty), (401, false));
    assert_eq!(text(&headers, "content-type"), "application/problem+json");
    assert!(!headers.contains_key("grpc-status"));
}

#[tokio::test]
async fn behind_the_lazy_layer_a_grpc_handler_asks_by_itself() {
    let world = World::new().await;
    let service = world.auth.layer().layer(service_fn(|request: Request<()>| async move {
        let handle = request.extensions().get::<Handle>().unwrap();
        let answer: Result<Claims<User>, Denial> = handle.claims().await;
        Ok::<_, Infallible>(Response::new(
            answer.map_or_else(|denial| denial.grpc().code.to_string(), |claims| claims.name.clone()),
        ))
    }));
    let good = format!("Bearer {}", world.access);
    for (sent, answered) in [(&good, "alice"), (&"Bearer a.b.c".to_owned(), "16")] {
        let request = request("application/grpc", &[("authorization", sent)]);
        assert_eq!(service.clone().oneshot(request).await.unwrap().body(), answered);
    }
}
