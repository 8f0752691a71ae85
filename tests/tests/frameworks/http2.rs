//! HTTP/2 without TLS (RFC 9113 §3.3), as a proxy speaks it to an app. A browser's `Cookie` may then come in several lines.

use acceptance::{Request, Response, Running};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::answer::Answer;
use crate::credentials::{Cast, Credential};
use crate::pair::{Table, alike, like_any_other};
use crate::requests::quiet;

async fn ask(app: &Running, request: &Request) -> Answer {
    match answer(app, request).await {
        Some(response) => like_any_other(request, Answer::of(&response)),
        None => Answer::bare(0),
    }
}

/// `None` where the stream is reset instead of answered.
async fn answer(app: &Running, request: &Request) -> Option<Response> {
    let stream = TcpStream::connect(app.address()).await.expect("an app that listens");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    let driver = tokio::spawn(connection);
    let target = match request.target() {
        path if path.starts_with('/') => format!("{}{path}", app.origin()),
        absolute => absolute.to_owned(),
    };
    let mut sent = hyper::Request::builder().method(request.method()).uri(target);
    for (name, value) in request.headers() {
        sent = sent.header(name.as_slice(), value.as_slice());
    }
    let body = Full::new(Bytes::copy_from_slice(request.content().unwrap_or_default()));
    let answer = sender.send_request(sent.body(body).expect("a request")).await.ok()?;
    let (head, mut body) = answer.into_parts();
    let headers = head.headers.iter();
    let mut response = Response {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: Vec::new(),
    };
    let endless = response.header("content-type") == Some("text/event-stream");
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            response.body.extend_from_slice(&data);
        }
        if endless {
            break;
        }
    }
    driver.abort();
    Some(response)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_credential_on_every_route() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        cast.live().await;
        cast.other().await;
        cast.dead().await;
        let mut table = Table::new();
        for credential in Credential::ALL {
            for route in quiet() {
                // HTTP/2 has neither of these headers (RFC 9113 §8.2.2): that handshake is HTTP/1.1's.
                if route.headers().iter().any(|(name, _)| name == b"Connection") {
                    continue;
                }
                let what = format!("HTTP/2 {} {credential:?}", route.line());
                table.push((what, ask(app, &credential.on(route, &cast).await).await));
            }
        }
        for origin in [app.origin(), "https://evil.example".to_owned()] {
            for host in [None, Some(app.host()), Some("evil.example".to_owned())] {
                let request = Request::post("/auth/refresh").header("Origin", &origin);
                let request = match &host {
                    Some(host) => request.header("Host", host),
                    None => request,
                };
                let own = (origin == app.origin(), host.map(|host| host == app.host()));
                let what = format!("HTTP/2 POST /auth/refresh from {own:?}");
                table.push((what, ask(app, &Credential::Cookie.on(request, &cast).await).await));
            }
        }
        table
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_cookie_on_a_line_of_its_own_is_exchanged() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        let mut table = Table::new();
        for lines in [1, 2, 5] {
            let mut request = Request::get("/api/me");
            for number in 1..lines {
                request = request.cookie("other", &number.to_string());
            }
            let request = request.refresh(&cast.live().await.refresh_token()).cookie("last", "1");
            let response = answer(app, &request).await.expect("an answer");
            assert_eq!(response.status, 200, "{lines}: {response:?}");
            acceptance::expect::exchanged(&response);
            table.push((format!("{lines} lines"), Answer::of(&response)));
        }
        table
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_frameworks_limits() {
    alike(async |app: &Running| {
        let mut table = Table::new();
        for kib in [1, 8, 15, 20, 100] {
            let request = Request::get("/api/me").header("x-long", "a".repeat(kib * 1024));
            table.push((format!("HTTP/2 a header of {kib} KiB"), ask(app, &request).await));
        }
        for headers in [50, 99, 150] {
            let request = (0..headers).fold(Request::get("/api/me"), |request, number| {
                request.header(format!("x-{number}"), "a")
            });
            table.push((format!("HTTP/2 {headers} headers"), ask(app, &request).await));
        }
        table
    })
    .await;
}
