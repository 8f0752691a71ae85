//! `examples/hyper-service`.

use std::time::Duration;

use acceptance::client::Client;
use acceptance::expect;
use acceptance::http::Request;
use acceptance::store::Outage;
use acceptance::wait::{NOTICE, PATIENCE};
use acceptance::{App, Running};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{refuses_bad_settings, target};

#[tokio::test]
async fn a_user_is_admitted_and_everybody_else_refused_with_the_reason() {
    let app = target(App::Hyper).forgeable().start().await;
    let (mut alice, mut bob) = (Client::alice(&app).await, Client::bob(&app).await);
    let me = alice.with_bearer(Request::get("/api/me")).await;
    assert_eq!((me.status, &me.json()["name"]), (200, &"alice".into()));
    assert_eq!(me.json()["sid"], alice.session_id());
    expect::untouched(&me);
    assert_eq!(alice.with_bearer(Request::get("/api/admin")).await.status, 200);

    let refused = async |request: Request, status, code| {
        let response = request.send(app.address()).await;
        expect::problem(&response, status, code);
        response
    };
    refused(Request::get("/api/me"), 401, "missing_token").await;
    refused(Request::get("/api/nothing"), 401, "missing_token").await;
    refused(Request::get("/api/me").bearer("a.b.c"), 401, "invalid_token").await;
    refused(Request::get("/api/me").bearer(&alice.expired()), 401, "token_expired").await;
    refused(
        Request::get("/api/admin").bearer(&bob.access),
        403,
        "insufficient_scope",
    )
    .await;
    let scope = refused(
        Request::get("/api/reports").bearer(&bob.access),
        403,
        "insufficient_scope",
    )
    .await;
    let challenge = scope.header("www-authenticate").unwrap();
    assert!(challenge.contains("scope=\"reports:read\""), "{challenge}");
    assert_eq!(
        bob.with_cookies(Request::post("/auth/logout").same_origin())
            .await
            .status,
        204
    );
    refused(Request::get("/api/me").bearer(&bob.access), 401, "token_revoked").await;
    assert_eq!(Request::get("/healthz").send(app.address()).await.status, 200);
    assert_eq!(Request::get("/elsewhere").send(app.address()).await.status, 404);
}

#[tokio::test]
async fn http_2_is_answered_alike() {
    let app = target(App::Hyper).start().await;
    let alice = Client::alice(&app).await;
    let client = legacy::Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<Empty<&'static [u8]>>();
    for (bearer, status) in [(Some(&alice.access), 200), (None, 401)] {
        let mut request = http::Request::get(format!("{}/api/me", app.origin()));
        if let Some(token) = bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(
            (response.version(), response.status().as_u16()),
            (http::Version::HTTP_2, status)
        );
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
        assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

#[tokio::test]
async fn a_cookie_alone_is_exchanged_in_flight_unless_the_store_is_gone() {
    let app = target(App::Hyper).start().await;
    let mut alice = Client::alice(&app).await;
    let outage = Outage::begin(app.settings());
    let cookie = Request::get("/api/me").same_origin().refresh(&alice.refresh_token());
    let response = cookie.send(app.address()).await;
    expect::problem(&response, 503, "store_unavailable");
    expect::untouched(&response);
    assert_eq!(alice.with_bearer(Request::get("/api/me")).await.status, 200);
    outage.end();
    let response = alice.with_cookies(Request::get("/api/me").same_origin()).await;
    assert_eq!((response.status, &response.json()["name"]), (200, &"alice".into()));
    expect::exchanged(&response);
}

/// An answer that stays open.
struct Open {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Open {
    async fn begin(app: &Running, access: &str) -> Self {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        let request = Request::get("/api/watch").bearer(access).to_bytes(app.address());
        stream.write_all(&request).await.unwrap();
        let mut open = Self {
            stream,
            read: Vec::new(),
        };
        open.until("signed in", PATIENCE).await;
        open
    }

    async fn until(&mut self, text: &str, bound: Duration) {
        let found = tokio::time::timeout(bound, async {
            while !String::from_utf8_lossy(&self.read).contains(text) {
                assert_ne!(
                    self.stream.read_buf(&mut self.read).await.unwrap(),
                    0,
                    "{:?}",
                    self.text()
                );
            }
        });
        assert!(found.await.is_ok(), "no {text:?} within {bound:?}: {:?}", self.text());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// Whether it is still open: an answer that ended has a last chunk.
    fn goes_on(&mut self) -> bool {
        let mut more = [0; 1024];
        matches!(self.stream.try_read(&mut more), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[tokio::test]
async fn an_open_answer_ends_with_its_session_ended_here_or_elsewhere() {
    let here = target(App::Hyper).start().await;
    let there = here.sibling().await;
    let (mut alice, mut bob) = (Client::alice(&here).await, Client::bob(&here).await);
    let mut streams = [
        Open::begin(&here, &alice.access).await,
        Open::begin(&there, &alice.access).await,
    ];
    let mut others = Open::begin(&there, &bob.access).await;
    let out = alice.with_cookies(Request::post("/auth/logout").same_origin()).await;
    assert_eq!(out.status, 204);
    for stream in &mut streams {
        stream.until("the session is over\n\n\r\n0\r\n\r\n", 2 * NOTICE).await;
    }
    assert!(others.goes_on());
    bob.address = here.address();
    assert_eq!(bob.with_bearer(Request::post("/auth/logout-all")).await.status, 200);
    others.until("the session is over", 2 * NOTICE).await;
    expect::problem(
        &Request::get("/api/watch")
            .bearer(&bob.access)
            .send(there.address())
            .await,
        401,
        "token_revoked",
    );
}

#[tokio::test]
async fn an_open_answer_does_not_keep_a_server_that_is_told_to_stop() {
    let app = target(App::Hyper).start().await;
    let alice = Client::alice(&app).await;
    let mut open = Open::begin(&app, &alice.access).await;
    let (_, end) = tokio::time::timeout(5 * NOTICE, app.terminate())
        .await
        .expect("at once");
    open.until("come again", PATIENCE).await;
    assert_eq!(end.status.code(), Some(0));
}

#[tokio::test]
async fn bad_settings_are_refused() {
    refuses_bad_settings(App::Hyper).await;
}
