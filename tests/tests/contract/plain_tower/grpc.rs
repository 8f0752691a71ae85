//! `examples/tonic-service`, by a real gRPC client.

use acceptance::client::Client;
use acceptance::http::Request as Http;
use acceptance::store::Outage;
use acceptance::wait::NOTICE;
use acceptance::{App, REFRESH_COOKIE, Running};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use super::proto::account_client::AccountClient;
use super::proto::greeter_client::GreeterClient;
use super::proto::{AuditRequest, HelloRequest, MeRequest, ReportsRequest, WatchEvent, WatchRequest};
use super::{refuses_bad_settings, target};

async fn channel(app: &Running) -> Channel {
    Channel::from_shared(app.origin()).unwrap().connect().await.unwrap()
}

async fn account(app: &Running) -> AccountClient<Channel> {
    AccountClient::new(channel(app).await)
}

fn with<T>(message: T, name: &'static str, value: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(name, value.parse().unwrap());
    request
}

fn bearer<T>(message: T, token: &str) -> Request<T> {
    with(message, "authorization", &format!("Bearer {token}"))
}

fn said<'s>(status: &'s Status, name: &str) -> &'s str {
    status.metadata().get(name).map_or("", |value| value.to_str().unwrap())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, auth_code: &str) -> Status {
    let status = answer.unwrap_err();
    assert_eq!(
        (status.code(), said(&status, "auth-code")),
        (code, auth_code),
        "{status:?}"
    );
    assert!(status.message().ends_with('.'), "{status:?}");
    status
}

#[tokio::test]
async fn a_user_is_admitted_and_everybody_else_refused_with_a_grpc_status() {
    let app = target(App::Tonic).forgeable().start().await;
    let (alice, mut bob) = (Client::alice(&app).await, Client::bob(&app).await);
    let mut account = account(&app).await;
    let me = account.me(bearer(MeRequest {}, &alice.access)).await.unwrap();
    assert!(!me.metadata().contains_key("set-cookie"));
    let me = me.into_inner();
    assert_eq!(
        (&*me.name, &*me.sub, &*me.sid),
        ("alice", "alice", &*alice.session_id())
    );
    let audit = account.audit(bearer(AuditRequest {}, &alice.access)).await.unwrap();
    assert_eq!(audit.into_inner().admin, "alice");

    let unauthenticated = Code::Unauthenticated;
    let status = refused(account.me(MeRequest {}).await, unauthenticated, "missing_token");
    assert_eq!(said(&status, "www-authenticate"), "Bearer");
    let status = refused(
        account.me(bearer(MeRequest {}, "a.b.c")).await,
        unauthenticated,
        "invalid_token",
    );
    assert!(said(&status, "www-authenticate").contains("error=\"invalid_token\""));
    let expired = bearer(MeRequest {}, &alice.expired());
    refused(account.me(expired).await, unauthenticated, "token_expired");
    let unreadable = bearer(MeRequest {}, "two words");
    refused(account.me(unreadable).await, Code::InvalidArgument, "invalid_request");
    let by_role = account.audit(bearer(AuditRequest {}, &bob.access)).await;
    refused(by_role, Code::PermissionDenied, "insufficient_scope");
    let by_scope = account.reports(bearer(ReportsRequest {}, &bob.access)).await;
    let status = refused(by_scope, Code::PermissionDenied, "insufficient_scope");
    assert!(said(&status, "www-authenticate").contains("scope=\"reports:read\""));
    let out = bob.with_cookies(Http::post("/auth/logout").same_origin()).await;
    assert_eq!(out.status, 204);
    refused(
        account.me(bearer(MeRequest {}, &bob.access)).await,
        unauthenticated,
        "token_revoked",
    );
    refused(
        account.watch(bearer(WatchRequest {}, &bob.access)).await,
        unauthenticated,
        "token_revoked",
    );
}

#[tokio::test]
async fn a_cookie_alone_is_exchanged_in_flight_unless_the_store_is_gone() {
    let app = target(App::Tonic).start().await;
    let alice = Client::alice(&app).await;
    let mut account = account(&app).await;
    let cookie = format!("{REFRESH_COOKIE}={}", alice.refresh_token());
    let outage = Outage::begin(app.settings());
    let status = refused(
        account.me(with(MeRequest {}, "cookie", &cookie)).await,
        Code::Unavailable,
        "store_unavailable",
    );
    assert_eq!(
        (said(&status, "retry-after"), said(&status, "grpc-retry-pushback-ms")),
        ("2", "2000")
    );
    assert_eq!(said(&status, "set-cookie"), "");
    account.me(bearer(MeRequest {}, &alice.access)).await.unwrap();
    outage.end();
    let me = account.me(with(MeRequest {}, "cookie", &cookie)).await.unwrap();
    let new = me.metadata().get("set-cookie").unwrap().to_str().unwrap();
    assert!(new.starts_with(REFRESH_COOKIE) && !new.starts_with(&cookie), "{new}");
    let access = me.metadata().get("x-access-token").unwrap().to_str().unwrap();
    account.me(bearer(MeRequest {}, access)).await.unwrap();
}

async fn open(app: &Running, access: &str) -> Streaming<WatchEvent> {
    let answer = account(app).await.watch(bearer(WatchRequest {}, access)).await;
    let mut stream = answer.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().text, "signed in");
    stream
}

#[tokio::test]
async fn a_stream_ends_with_its_session_ended_here_or_elsewhere() {
    let here = target(App::Tonic).start().await;
    let there = here.sibling().await;
    let (mut alice, bob) = (Client::alice(&here).await, Client::bob(&here).await);
    let streams = [open(&here, &alice.access).await, open(&there, &alice.access).await];
    let mut other = open(&there, &bob.access).await;
    let out = alice.with_cookies(Http::post("/auth/logout").same_origin()).await;
    assert_eq!(out.status, 204);
    for mut stream in streams {
        let end = tokio::time::timeout(2 * NOTICE, stream.message())
            .await
            .expect("in time");
        assert_eq!(end.unwrap_err().code(), Code::Unauthenticated);
    }
    let end = tokio::time::timeout(NOTICE, other.message()).await;
    assert!(end.is_err(), "somebody else's goes on: {end:?}");
}

#[tokio::test]
async fn an_open_stream_does_not_keep_a_server_that_is_told_to_stop() {
    let app = target(App::Tonic).start().await;
    let alice = Client::alice(&app).await;
    let mut stream = open(&app, &alice.access).await;
    let (_, end) = tokio::time::timeout(5 * NOTICE, app.terminate())
        .await
        .expect("at once");
    assert_eq!(stream.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(end.status.code(), Some(0));
}

#[tokio::test]
async fn behind_the_lazy_layer_the_method_asks_who_calls() {
    let app = target(App::Tonic).start().await;
    let alice = Client::alice(&app).await;
    let mut greeter = GreeterClient::new(channel(&app).await);
    let stranger = greeter.hello(HelloRequest {}).await.unwrap();
    assert_eq!(stranger.into_inner().text, "Hello, stranger!");
    let known = greeter.hello(bearer(HelloRequest {}, &alice.access)).await.unwrap();
    assert_eq!(known.into_inner().text, "Hello, alice!");
    let forged = greeter.hello(bearer(HelloRequest {}, "a.b.c")).await;
    let status = refused(forged, Code::Unauthenticated, "invalid_token");
    assert!(said(&status, "www-authenticate").contains("invalid_token"));
}

#[tokio::test]
async fn bad_settings_are_refused() {
    refuses_bad_settings(App::Tonic).await;
}
