//! Every route with every credential, from everywhere, by every method, with every body.

use acceptance::store::Outage;
use acceptance::wait::{PATIENCE, eventually};
use acceptance::{Request, Running, Store};
use serde_json::json;

use crate::credentials::{Cast, Credential};
use crate::pair::{Table, alike, alike_on, ask};

/// The routes that leave the sessions as they are. The grace makes an exchange repeatable.
pub(crate) fn quiet() -> Vec<Request> {
    vec![
        Request::get("/"),
        Request::get("/healthz"),
        Request::get("/nothing"),
        Request::get("/api/me"),
        Request::new("HEAD", "/api/me"),
        Request::get("/api/public"),
        Request::get("/api/admin"),
        Request::get("/api/events"),
        Request::new("HEAD", "/api/events"),
        Request::get("/api/socket"),
        handshake(),
        note(),
        Request::post("/api/notes"),
        Request::post("/auth/refresh"),
        Request::get("/auth/sessions"),
        Request::new("HEAD", "/auth/sessions"),
        Request::delete("/auth/sessions/AAAAAAAAAAAAAAAAAAAAAAAA"),
        Request::get("/.well-known/jwks.json"),
    ]
}

fn note() -> Request {
    Request::post("/api/notes").json(&json!({"text": "tea at six"}))
}

fn handshake() -> Request {
    Request::get("/api/socket")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// Who else is signed in is a part of what `/auth/sessions` says, so everybody is from the start.
async fn everybody(cast: &Cast<'_>) {
    cast.live().await;
    cast.other().await;
    cast.dead().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_credential_on_every_route() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        everybody(&cast).await;
        let mut table = Table::new();
        for credential in Credential::ALL {
            for route in quiet() {
                let what = format!("{} {credential:?}", route.line());
                table.push((what, ask(app, &credential.on(route, &cast).await).await));
            }
        }
        table
    })
    .await;
}

/// Each with sessions of its own, and with what is left of them afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_credential_where_sessions_end() {
    alike(async |app: &Running| {
        let mut table = Table::new();
        for credential in Credential::ALL {
            for route in [
                "POST /auth/login",
                "POST /auth/logout",
                "POST /auth/logout-all",
                "DELETE own",
                "DELETE other's",
            ] {
                let cast = Cast::of(app);
                let request = match route {
                    "POST /auth/login" => Request::login("alice", "wonderland"),
                    "DELETE own" => Request::delete(&format!("/auth/sessions/{}", cast.live().await.session_id())),
                    "DELETE other's" => Request::delete(&format!("/auth/sessions/{}", cast.other().await.session_id())),
                    other => Request::post(other.split_once(' ').expect("a target").1),
                };
                let what = format!("{route} {credential:?}");
                let request = credential.on(request, &cast).await;
                table.push((what.clone(), ask(app, &request).await));
                let live = cast.live().await;
                let me = Request::get("/api/me").bearer(&live.access);
                let refresh = Request::post("/auth/refresh").refresh(&live.refresh_token());
                table.push((format!("{what}, then the token"), ask(app, &me).await));
                table.push((format!("{what}, then the cookie"), ask(app, &refresh).await));
            }
        }
        table
    })
    .await;
}

/// What a browser says about where a request comes from.
const FROM: &[&[(&str, &[u8])]] = &[
    &[("Sec-Fetch-Site", b"same-origin")],
    &[("Sec-Fetch-Site", b"none")],
    &[("Sec-Fetch-Site", b"same-site")],
    &[("Sec-Fetch-Site", b"cross-site")],
    &[("Sec-Fetch-Site", b"CROSS-SITE")],
    &[("Sec-Fetch-Site", b"\xff")],
    &[("Sec-Fetch-Site", b"same-origin"), ("Sec-Fetch-Site", b"cross-site")],
    &[("Sec-Fetch-Site", b"cross-site"), ("Origin", b"https://app.example")],
    &[("Sec-Fetch-Site", b"cross-site"), ("Origin", b"https://evil.example")],
    &[("Origin", b"https://app.example")],
    &[("Origin", b"https://evil.example")],
    &[("Origin", b"null")],
    &[("Origin", b"")],
    &[("Origin", b"\xff")],
    &[("Origin", b"https://app.example"), ("Origin", b"https://app.example")],
    &[
        ("Sec-Fetch-Site", b"cross-site"),
        ("Sec-Fetch-Mode", b"navigate"),
        ("Sec-Fetch-Dest", b"document"),
    ],
    &[
        ("Sec-Fetch-Site", b"cross-site"),
        ("Sec-Fetch-Mode", b"navigate"),
        ("Sec-Fetch-Dest", b"iframe"),
    ],
    &[
        ("Sec-Fetch-Site", b"cross-site"),
        ("Sec-Fetch-Mode", b"websocket"),
        ("Sec-Fetch-Dest", b"empty"),
    ],
    &[("Sec-Fetch-Site", b"same-origin"), ("Sec-Purpose", b"prefetch")],
    &[
        ("Sec-Fetch-Site", b"same-origin"),
        ("Sec-Purpose", b"prefetch;prerender"),
    ],
    &[("Sec-Fetch-Site", b"same-origin"), ("Purpose", b"prefetch")],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_everywhere() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        everybody(&cast).await;
        let mut table = Table::new();
        for from in FROM {
            for credential in [
                Credential::Nothing,
                Credential::Valid,
                Credential::ExpiredAndCookie,
                Credential::Cookie,
                Credential::DeadCookie,
                Credential::ForgedCookie,
            ] {
                for route in quiet().into_iter().chain([Request::login("bob", "wrong")]) {
                    let from_text: Vec<_> = from
                        .iter()
                        .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
                        .collect();
                    let what = format!("{} {credential:?} {from_text:?}", route.line());
                    let request = from
                        .iter()
                        .fold(route, |request, (name, value)| request.header(name, value));
                    table.push((what, ask(app, &credential.on(request, &cast).await).await));
                }
            }
        }
        // Its own origin is each app's own.
        for origin in [
            app.origin(),
            app.origin().replace("http:", "https:"),
            format!("{}.evil.example", app.origin()),
        ] {
            for (number, route) in quiet().into_iter().enumerate() {
                let what = format!("{} from its own origin, or nearly ({number})", route.line());
                let request = route.header("Origin", &origin);
                table.push((what, ask(app, &Credential::Cookie.on(request, &cast).await).await));
            }
        }
        table
    })
    .await;
}

const METHODS: [&str; 12] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "FROB", "get",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_every_method() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        everybody(&cast).await;
        let mut table = Table::new();
        let targets = [
            "/",
            "/app.css",
            "/app.js",
            "/healthz",
            "/nothing",
            "/api/me",
            "/api/public",
            "/api/admin",
            "/api/notes",
            "/api/events",
            "/api/socket",
            "/auth/login",
            "/auth/refresh",
            "/auth/logout-all",
            "/auth/sessions",
            "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAAAA",
            "/.well-known/jwks.json",
        ];
        for method in METHODS {
            for target in targets {
                // The one that would end what the others need.
                if (method, target) == ("POST", "/auth/logout-all") {
                    continue;
                }
                for credential in [Credential::Nothing, Credential::Valid, Credential::Cookie] {
                    let what = format!("{method} {target} {credential:?}");
                    let request = credential.on(Request::new(method, target), &cast).await;
                    table.push((what, ask(app, &request).await));
                }
            }
        }
        table
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_every_path() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        everybody(&cast).await;
        let mut table = Table::new();
        let long = format!("/{}", "a".repeat(4000));
        let session = format!("/auth/sessions/{}", "A".repeat(3000));
        let targets = [
            "/api/me/",
            "/api//me",
            "//api/me",
            "/api/./me",
            "/api/x/../me",
            "/API/ME",
            "/api/me?",
            "/api/me?a=b&c",
            "/api/me?%ff",
            "/api/me;a=b",
            "/api/me%20",
            "/api/me%00",
            "/api%2fme",
            "/api/me%2f",
            "/api/me%ff",
            "/api/me%",
            "/api/me%zz",
            "/api/me+",
            "/api",
            "/api/",
            "/auth",
            "/auth/",
            "/auth/sessions/",
            "/auth/sessions?a=b",
            "/auth/sessions/a/b",
            "/auth/sessions/%41AAAAAAAAAAAAAAAAAAAAAAA",
            "/auth/sessions/%ff",
            "/auth/sessions/..%2f..",
            "/auth/sess%69ons",
            "/auth/log%69n",
            "/auth/login/",
            "/.well-known",
            "/.well-known/",
            "/.well-known/jwks.json/",
            "/.well-known/jwks%2ejson",
            "/index.html",
            "/app.css/",
            "/favicon.ico",
            "/nothing?api/me",
            &long,
            &session,
            "*",
            "api/me",
            "?",
            "http://localhost/api/me",
            "http://localhost",
            "http://evil.example/api/me?a=b",
            "https://user@evil.example:99/api/me",
        ];
        for target in targets {
            for method in ["GET", "POST", "DELETE", "OPTIONS"] {
                for credential in [Credential::Nothing, Credential::Valid] {
                    let shown: String = target.chars().take(60).collect();
                    let what = format!("{method} {shown} {credential:?}");
                    let request = credential.on(Request::new(method, target), &cast).await;
                    table.push((what, ask(app, &request).await));
                }
            }
        }
        // Whatever a router makes of it, it is no way past who asks.
        for target in ["/api/%6de", "/api/m%65?a"] {
            let what = format!("GET {target} Nothing");
            table.push((what, ask(app, &Request::get(target)).await));
        }
        table
    })
    .await;
}

/// Bodies for the two routes that take one: wrong in every way, and right at the limit.
fn bodies() -> Vec<(String, Request)> {
    let login = |body: &[u8]| Request::post("/auth/login").body(body);
    let note = |body: &[u8]| Request::post("/api/notes").body(body);
    let mut rows = Vec::new();
    let deep = "[".repeat(8000);
    let texts: [&[u8]; 14] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        br#"{"username":"alice"}"#,
        br#"{"username":1,"password":"wonderland"}"#,
        br#"{"username":"alice","password":"wrong","device":7}"#,
        br#"{"text":7}"#,
        br#"{"text":"a","text":"b"}"#,
        b"{\"text\":\"\xff\"}",
        b"{\"username\":\"alice\",\"password\":\"\xff\"}",
        br#"{"text":"a"} x"#,
        deep.as_bytes(),
    ];
    for (number, text) in texts.iter().enumerate() {
        for (name, request) in [("login", login(text)), ("note", note(text))] {
            let request = request.header("Content-Type", "application/json");
            rows.push((format!("{name} {number}"), request.clone()));
            rows.push((format!("{name} {number} chunked"), request.chunked()));
        }
    }
    let good: [(&str, &[u8]); 2] = [
        (
            "/auth/login",
            br#"{"username":"alice","password":"wonderland","device":"a phone"}"#,
        ),
        ("/api/notes", br#"{"text":"tea at six"}"#),
    ];
    let types: [&[u8]; 10] = [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b"application/json;charset=latin1",
        b"application/jsonp",
        b"application/problem+json",
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"",
        b"\xff",
    ];
    for (target, body) in good {
        let request = || Request::post(target).body(body);
        rows.push((format!("{target} without a type"), request()));
        for kind in types {
            let what = format!("{target} as {}", kind.escape_ascii());
            rows.push((what, request().header("Content-Type", kind)));
        }
        let json = || request().header("Content-Type", "application/json");
        rows.push((
            format!("{target} two types"),
            json().header("Content-Type", "application/json"),
        ));
        rows.push((format!("{target} gzip"), json().header("Content-Encoding", "gzip")));
        for size in [16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 100_000] {
            let mut sized = body.to_vec();
            sized.resize(size, b' ');
            let sized = Request::post(target)
                .header("Content-Type", "application/json")
                .body(sized);
            rows.push((format!("{target} of {size} bytes"), sized.clone()));
            rows.push((format!("{target} of {size} bytes chunked"), sized.clone().chunked()));
            rows.push((
                format!("{target} of {size} bytes expected"),
                sized.header("Expect", "something"),
            ));
        }
        // A body where none belongs is not read.
        rows.push((
            "a body with a GET".to_owned(),
            Request::get("/api/me")
                .header("Content-Type", "application/json")
                .body(body),
        ));
        rows.push((
            "a body with a refresh".to_owned(),
            Request::post("/auth/refresh").body(body),
        ));
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_body() {
    alike(async |app: &Running| {
        let cast = Cast::of(app);
        everybody(&cast).await;
        let mut table = Table::new();
        for (what, request) in bodies() {
            for credential in [Credential::Nothing, Credential::Valid] {
                let request = credential.on(request.clone(), &cast).await;
                table.push((format!("{what} {credential:?}"), ask(app, &request).await));
            }
        }
        table
    })
    .await;
}

/// Every request that needs a write; the routes that need none answer as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_takes_no_writes() {
    alike_on(Store::Sqlite, async |app: &Running| {
        let cast = Cast::of(app);
        everybody(&cast).await;
        let outage = Outage::begin(app.settings());
        let mut table = Table::new();
        for credential in [
            Credential::Nothing,
            Credential::Valid,
            Credential::ExpiredAndCookie,
            Credential::Cookie,
            Credential::DeadCookie,
        ] {
            for route in [
                Request::get("/api/me"),
                Request::get("/api/public"),
                handshake(),
                note(),
                Request::post("/auth/refresh"),
                Request::post("/auth/logout"),
                Request::get("/auth/sessions"),
                Request::login("alice", "wonderland"),
            ] {
                let what = format!("{} {credential:?} in an outage", route.line());
                table.push((what, ask(app, &credential.on(route, &cast).await).await));
            }
        }
        assert!(
            table.iter().any(|(_, answer)| answer.status == 503),
            "an outage: {table:?}"
        );
        outage.end();
        let anew = Request::post("/auth/refresh").refresh(&cast.live().await.refresh_token());
        let lives = async || ask(app, &anew).await.status == 200;
        eventually(PATIENCE, "the session survived", lives).await;
        table
    })
    .await;
}
