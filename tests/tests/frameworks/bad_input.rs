//! Bytes that no well-behaved client sends, and requests beyond the frameworks' own limits.

use std::time::Duration;

use acceptance::{App, Connection, Request, Running, Store, Target};

use crate::answer::Answer;
use crate::credentials::{Cast, Credential};
use crate::pair::{Table, alike, ask};

/// Sends bytes as they are, and reads one answer, if there is one before the connection closes.
async fn raw(app: &Running, bytes: &[u8]) -> Answer {
    let mut connection = Connection::open(app.address()).await.expect("an app that listens");
    let _ = connection.write(bytes).await;
    match connection.read(bytes.starts_with(b"HEAD")).await {
        Ok(response) => Answer::of(&response),
        Err(_) => Answer::bare(0),
    }
}

/// After all of it, the app still serves.
async fn still_there(app: &Running) {
    assert_eq!(Request::get("/healthz").send(app.address()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_not_http() {
    alike(async |app: &Running| {
        let host = app.host();
        let mut table = Table::new();
        let heads: [(&str, String); 34] = [
            ("no host", "GET /api/me HTTP/1.1\r\n\r\n".to_owned()),
            ("two hosts", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n")),
            ("two other hosts", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n")),
            ("an empty host", "GET /api/me HTTP/1.1\r\nHost:\r\n\r\n".to_owned()),
            ("a strange host", "GET /api/me HTTP/1.1\r\nHost: a b/c\r\n\r\n".to_owned()),
            ("HTTP/1.0", "GET /api/me HTTP/1.0\r\n\r\n".to_owned()),
            ("HTTP/1.0 with a host", format!("GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n")),
            ("HTTP/1.0 POST", format!("POST /auth/refresh HTTP/1.0\r\nHost: {host}\r\n\r\n")),
            ("HTTP/1.2", format!("GET /api/me HTTP/1.2\r\nHost: {host}\r\n\r\n")),
            ("HTTP/0.9", "GET /api/me\r\n\r\n".to_owned()),
            ("no method", format!(" /api/me HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("a method with a space", format!("G ET /api/me HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("a method of signs", format!("G@T /api/me HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("a target with a space", format!("GET /api me HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("a target with a control", format!("GET /api\u{1}me HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("a target in UTF-8", format!("GET /\u{e4} HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("a target with a fragment", format!("GET /api/me#a HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("a backslash", format!("GET \\api\\me HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("a space in a name", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\nA b: c\r\n\r\n")),
            ("a space before the colon", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\nA : c\r\n\r\n")),
            ("no name", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\n: c\r\n\r\n")),
            ("no colon", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\nabc\r\n\r\n")),
            ("a name in UTF-8", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\n\u{e4}: c\r\n\r\n")),
            ("a folded line", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\nA: b\r\n c\r\n\r\n")),
            ("a NUL in a value", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\nA: b\0c\r\n\r\n")),
            ("a control in a value", format!("GET /api/me HTTP/1.1\r\nHost: {host}\r\nA: b\u{7f}c\r\n\r\n")),
            ("bare line feeds", format!("GET /api/me HTTP/1.1\nHost: {host}\n\n")),
            ("empty lines before", format!("\r\n\r\nGET /api/me HTTP/1.1\r\nHost: {host}\r\n\r\n")),
            ("two lengths", format!("POST /auth/refresh HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\n")),
            ("the same length twice", format!("POST /auth/refresh HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n")),
            ("a negative length", format!("POST /auth/refresh HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n")),
            ("a length with a sign", format!("POST /auth/refresh HTTP/1.1\r\nHost: {host}\r\nContent-Length: +0\r\n\r\n")),
            ("a length and chunks", format!("POST /auth/refresh HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
            ("an unknown coding", format!("POST /auth/refresh HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n")),
        ];
        for (what, head) in heads {
            table.push((what.to_owned(), raw(app, head.as_bytes()).await));
        }
        let garbage: [(&str, &[u8]); 4] = [
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
            ("bytes", b"\xff\xfe\xfd\xfc\r\n\r\n"),
            ("a chunk size that is none", b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
            ("a chunk size beyond all numbers", b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n"),
        ];
        for (what, bytes) in garbage {
            table.push((what.to_owned(), raw(app, bytes).await));
        }
        still_there(app).await;
        table
    })
    .await;
}

/// Obs-text (RFC 9110 §5.5) and bytes that are no UTF-8, in every header that is looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_are_not_text() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        let mut table = Table::new();
        let values: [&[u8]; 6] = [
            b"\xff",
            b"\xe4\xf6\xfc",
            "\u{e4}".as_bytes(),
            b"a\tb",
            b"\xc3\x28",
            b"\xf0\x9f\x98\x80",
        ];
        for name in [
            "Authorization",
            "Cookie",
            "Origin",
            "Host",
            "Sec-Fetch-Site",
            "Sec-Fetch-Mode",
            "Sec-Purpose",
            "Content-Type",
            "User-Agent",
            "X-Forwarded-For",
            "X-Anything",
        ] {
            for value in values {
                for (credential, route) in [
                    (Credential::Nothing, Request::get("/api/me")),
                    (Credential::Valid, Request::get("/api/me")),
                    (Credential::Cookie, Request::get("/api/public")),
                    (Credential::Cookie, Request::post("/auth/refresh")),
                    (Credential::Nothing, Request::login("alice", "wrong")),
                ] {
                    let what = format!("{} {credential:?} {name}: {}", route.line(), value.escape_ascii());
                    let route = if name == "Host" { route.without_host() } else { route };
                    let request = credential.on(route, &cast).await.header(name, value);
                    table.push((what, ask(app, &request).await));
                }
            }
        }
        still_there(app).await;
        table
    })
    .await;
}

/// Below what both frameworks take, everything is answered as always; beyond it, a status of its own says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_frameworks_limits() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        let mut table = Table::new();
        for headers in [50, 90, 96, 97, 99, 101, 150, 1000] {
            // `Host` is one more.
            let request = (1..headers).fold(Request::get("/api/me"), |request, number| {
                request.header(format!("X-{number}"), "a")
            });
            table.push((format!("{headers} headers"), ask(app, &request).await));
        }
        for kib in [8, 30, 60, 120, 140, 300, 1000] {
            let request = Request::get("/api/me").header("X-Long", "a".repeat(kib * 1024));
            table.push((format!("a header of {kib} KiB"), ask(app, &request).await));
        }
        for kib in [8, 30, 63, 65, 120, 140, 500] {
            let request = Request::get(&format!("/api/me?{}", "a".repeat(kib * 1024)));
            table.push((format!("a target of {kib} KiB"), ask(app, &request).await));
        }
        for (what, credential) in [("live", Credential::Cookie), ("valid", Credential::Valid)] {
            let many = "a=b; ".repeat(1000);
            let request = Request::get("/api/me").header("Cookie", many.trim_end_matches("; "));
            let request = credential.on(request, &cast).await;
            table.push((format!("a thousand cookies, {what}"), ask(app, &request).await));
        }
        let huge = vec![b' '; 3 * 1024 * 1024];
        for (target, credential) in [
            ("/auth/login", Credential::Nothing),
            ("/api/notes", Credential::Nothing),
            ("/api/notes", Credential::Valid),
        ] {
            let request = Request::post(target)
                .header("Content-Type", "application/json")
                .body(&huge);
            let request = credential.on(request, &cast).await;
            table.push((format!("{target} of 3 MiB {credential:?}"), ask(app, &request).await));
            table.push((
                format!("{target} of 3 MiB in chunks {credential:?}"),
                ask(app, &request.chunked()).await,
            ));
        }
        still_there(app).await;
        table
    })
    .await;
}

/// A refusal may come before the body has been read. Hyper then reads on, and keeps the connection; actix-web says that it
/// closes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_early_answer_leaves_unread() {
    for (app, closes) in [(App::Axum, false), (App::Actix, true)] {
        let store = Store::Memory;
        let app = Target { app, store }.start().await;
        let mut connection = Connection::open(app.address()).await.expect("a connection");
        let request = Request::post("/api/notes").json(&serde_json::json!({"text": "a"}));
        let refused = connection.send(&request).await.expect("an answer");
        acceptance::expect::problem(&refused, 401, "missing_token");
        assert_eq!(refused.header("connection"), closes.then_some("close"), "{refused:?}");
        let next = connection.send(&Request::get("/healthz")).await;
        assert_eq!(next.is_err(), closes, "{next:?}");
    }
}

/// A client that opens a connection and lets it be costs an actix-web app five seconds; `axum::serve` sets no deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_end_and_a_connection_without_a_request() {
    let patience = Duration::from_secs(7);
    for (app, minds) in [(App::Axum, false), (App::Actix, true)] {
        let store = Store::Memory;
        let app = Target { app, store }.start().await;
        let open = async || Connection::open(app.address()).await.expect("a connection");
        let (mut slow, mut idle) = (open().await, open().await);
        slow.write(b"GET /api/me HTTP/1.1\r\nHost: a\r\nX-")
            .await
            .expect("half a head");
        assert_eq!(
            idle.send(&Request::get("/healthz")).await.expect("an answer").status,
            200
        );
        let answer = async {
            let answer = tokio::time::timeout(patience, slow.read(false)).await.ok()?;
            Some(answer.expect("an answer before the end").status)
        };
        let end = tokio::time::timeout(patience, idle.read(false));
        let (answer, end) = tokio::join!(answer, end);
        assert_eq!(answer, minds.then_some(408));
        assert_eq!(end.is_ok_and(|end| end.is_err()), minds, "an idle connection is closed");
        if !minds {
            slow.write(b"a: b\r\n\r\n").await.expect("the other half");
            assert_eq!(slow.read(false).await.expect("an answer").status, 401);
        }
    }
}
