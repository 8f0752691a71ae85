//! Raw requests over real sockets to an axum app and to an actix app over one `Auth`: the answers are the same, byte for byte,
//! but for what the servers themselves put in.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where failing loudly is the point"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use auth_tower::{
    Accounts, AccountsError, Algorithm, Auth, Grant, KeyRing, MemoryStore, PasswordCredentials, RefreshKey, SigningKey,
    Subject,
};
use axum::Router;
use axum::routing::any;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

struct Everyone;

impl Accounts for Everyone {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        let known = login.password().expose_secret() == "wonderland";
        Ok(known.then(|| Subject::new(login.username()).ok()).flatten())
    }

    async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        let name = subject.to_string();
        Ok(Some(Grant::new(User { name })))
    }
}

fn auth() -> Auth<User> {
    let keys = KeyRing::builder()
        .signing(SigningKey::hmac("first", Algorithm::HS256, [1; 32]).unwrap())
        .refresh(RefreshKey::new([2; 32]).unwrap())
        .build()
        .unwrap();
    Auth::<User>::authority(keys)
        .issuer("https://id.example.com")
        .audience("api")
        .sessions(MemoryStore::new())
        .accounts(Everyone)
        .build()
        .unwrap()
}

async fn on_axum(auth: &Auth<User>) -> SocketAddr {
    use auth_axum::{Claims, MaybeClaims};
    let app = Router::new()
        .route("/me", any(|claims: Claims<User>| async move { claims.name.clone() }))
        .route(
            "/maybe",
            any(|MaybeClaims(claims): MaybeClaims<User>| async move { format!("{}", claims.is_some()) }),
        )
        .merge(auth_axum::routes(auth))
        .layer(auth.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn on_actix(auth: &Auth<User>) -> SocketAddr {
    use auth_actix::{Claims, MaybeClaims};
    let auth = auth.clone();
    let server = HttpServer::new(move || {
        App::new()
            .route(
                "/me",
                web::to(|claims: Claims<User>| async move { claims.name.clone() }),
            )
            .route(
                "/maybe",
                web::to(|MaybeClaims(claims): MaybeClaims<User>| async move { format!("{}", claims.is_some()) }),
            )
            .configure(auth_actix::routes(&auth))
            .wrap(auth_actix::middleware(&auth))
    });
    let server = server.workers(2).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs().first().copied().unwrap();
    tokio::spawn(server.run());
    address
}

/// What came back: the status, the headers but those that are the server's own business, and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, Vec<String>>,
    body: String,
}

impl Answer {
    fn read(response: &str) -> Self {
        let (head, body) = response.split_once("\r\n\r\n").unwrap_or((response, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or("0");
        let mut headers = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if !["date", "connection"].contains(&name) {
                headers.entry(name.to_owned()).or_default().push(value.to_owned());
            }
        }
        let status = status.parse().unwrap();
        match status {
            100 => Self::read(body),
            _ => Self {
                status,
                headers,
                body: body.to_owned(),
            },
        }
    }

    fn json(&self, member: &str) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body[member].as_str().unwrap().to_owned()
    }

    fn cookie(&self) -> String {
        let lines = &self.headers["set-cookie"];
        lines.first().unwrap().split(';').next().unwrap().to_owned()
    }

    /// Without what no two answers have in common.
    fn masked(mut self) -> Self {
        for (name, lines) in &mut self.headers {
            for line in lines {
                match name.as_str() {
                    "set-cookie" if !line.contains("Max-Age=0") => {
                        let attributes = line.split_once(';').unwrap().1.to_owned();
                        *line = format!("…;{}", attributes.split("Max-Age=").next().unwrap());
                    }
                    "x-access-token" | "x-access-token-expires-in" => "…".clone_into(line),
                    _ => {}
                }
            }
        }
        if let Ok(mut body) = serde_json::from_str::<serde_json::Value>(&self.body) {
            for member in ["access_token", "session_id", "expires_in"] {
                if let Some(value) = body.get_mut(member) {
                    *value = "…".into();
                }
            }
            self.body = body.to_string();
        }
        self
    }
}

/// A request's bytes, and whether the client stops sending after them, in the middle of a body.
#[derive(Clone)]
struct Request {
    bytes: Vec<u8>,
    breaks_off: bool,
}

impl Request {
    fn new(line: &str, headers: &[&str], body: &[u8]) -> Self {
        let mut bytes = format!("{line} HTTP/1.1\r\n").into_bytes();
        for header in headers {
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"Connection: close\r\n\r\n");
        bytes.extend_from_slice(body);
        Self {
            bytes,
            breaks_off: false,
        }
    }

    fn to(&self, address: SocketAddr) -> Answer {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // A server that has heard enough may answer and close before it has read everything.
        let _ = stream.write_all(&self.bytes);
        if self.breaks_off {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        let mut response = Vec::new();
        let _ = stream.read_to_end(&mut response);
        Answer::read(std::str::from_utf8(&response).unwrap())
    }
}

/// Both apps, and somebody who is signed in.
struct Both {
    axum: SocketAddr,
    actix: SocketAddr,
    access: String,
    refresh: String,
    session: String,
}

const HOST: &str = "Host: x";
const JSON: &str = "Content-Type: application/json";

fn log_in(address: SocketAddr, password: &str) -> Answer {
    let body = format!(r#"{{"username":"alice","password":"{password}"}}"#);
    let length = format!("Content-Length: {}", body.len());
    Request::new("POST /auth/login", &[HOST, JSON, &length], body.as_bytes()).to(address)
}

impl Both {
    async fn new() -> Self {
        let auth = auth();
        let (axum, actix) = (on_axum(&auth).await, on_actix(&auth));
        let login = log_in(axum, "wonderland");
        Self {
            axum,
            actix,
            access: format!("Authorization: Bearer {}", login.json("access_token")),
            refresh: format!("Cookie: {}", login.cookie()),
            session: login.json("session_id"),
        }
    }

    #[track_caller]
    fn same(&self, request: &Request) -> u16 {
        let (axum, actix) = (request.to(self.axum).masked(), request.to(self.actix).masked());
        let shown: String = String::from_utf8_lossy(&request.bytes).chars().take(300).collect();
        assert_eq!(axum, actix, "axum and actix differ: {shown}");
        axum.status
    }

    #[track_caller]
    fn asked(&self, line: &str, headers: &[&str]) -> u16 {
        let with_host: Vec<&str> = [HOST].iter().chain(headers).copied().collect();
        self.same(&Request::new(line, &with_host, b""))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_method_on_any_path() {
    let both = Both::new().await;
    for method in [
        "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "FOO", "TRACE", "QUERY", "get",
    ] {
        for path in [
            "/auth/login",
            "/auth/refresh",
            "/auth/sessions",
            "/auth/sessions/x",
            "/.well-known/jwks.json",
            "/me",
        ] {
            both.asked(&format!("{method} {path}"), &[]);
            both.asked(&format!("{method} {path}"), &[&both.access]);
            both.asked(&format!("{method} {path}"), &[&both.refresh]);
        }
    }
    for path in [
        "/auth/login/",
        "//auth/login",
        "/auth/log%69n",
        "/%61uth/login",
        "/auth%2Flogin",
        "/AUTH/login",
        "/auth/login/x",
        "/auth/./login",
        "/auth/x/../login",
        "/auth/login;x",
        "/auth",
        "/auth/",
        "/.well-known/jwks.json/",
        "/.well-known/jwks%2Ejson",
    ] {
        assert_eq!(both.asked(&format!("POST {path}"), &[]), 404, "{path}");
    }
    assert_eq!(both.asked("POST /auth/login?x=y", &[]), 415);
    assert_eq!(both.asked("POST http://x/auth/login", &[]), 415);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_session_id() {
    let both = Both::new().await;
    let (first, rest) = both.session.split_at(1);
    let encoded = format!("%{:02x}{rest}", first.as_bytes()[0]);
    let long = "a".repeat(5000);
    for id in [
        "%41", "%2F", "", "a/b", "%00", "%", "%zz", "../login", "{id}", &encoded, &long,
    ] {
        both.asked(&format!("DELETE /auth/sessions/{id}"), &[]);
        let status = both.asked(&format!("DELETE /auth/sessions/{id}"), &[&both.access]);
        assert_eq!(status, 404, "{id}: an id is not decoded either");
        both.asked(&format!("GET /auth/sessions/{id}"), &[&both.access]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_body() {
    let both = Both::new().await;
    let wrong = br#"{"username":"alice","password":"no"}"#;
    let length = format!("Content-Length: {}", wrong.len());
    let login = |headers: &[&str], body: &[u8]| {
        let headers: Vec<&str> = [HOST].iter().chain(headers).copied().collect();
        Request::new("POST /auth/login", &headers, body)
    };
    for (kind, status) in [
        ("Content-Type: application/json", 401),
        ("Content-Type: application/json; charset=utf-8", 401),
        ("Content-Type: application/JSON ", 401),
        ("Content-Type: application/jsonx", 415),
        ("Content-Type: text/plain", 415),
        ("Content-Type: \u{e9}", 415),
        ("Content-Type:", 415),
        ("X: y", 415),
    ] {
        assert_eq!(both.same(&login(&[kind, &length], wrong)), status, "{kind}");
    }
    let big = "x".repeat(20_000);
    let huge = "x".repeat(3_000_000);
    let chunked = "Transfer-Encoding: chunked";
    let chunks = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes();
    for (headers, body, status) in [
        (vec![JSON, JSON, &length], wrong.to_vec(), 415),
        (vec![JSON], vec![], 400),
        (vec![JSON, "Content-Length: 0"], vec![], 400),
        (vec![JSON, "Content-Length: 9"], b"{\"user\":1".to_vec(), 400),
        (vec![JSON, "Content-Length: 2"], b"\xff\xfe".to_vec(), 400),
        (vec![JSON, "Content-Length: 20000"], big.clone().into_bytes(), 413),
        (vec![JSON, "Content-Length: 3000000"], huge.clone().into_bytes(), 413),
        (vec!["Content-Length: 3000000"], huge.into_bytes(), 415),
        (vec![JSON, "Content-Length: abc"], b"{}".to_vec(), 400),
        (vec![JSON, "Content-Length: -1"], b"{}".to_vec(), 400),
        (
            vec![JSON, "Content-Length: 2", "Content-Length: 3"],
            b"{} ".to_vec(),
            400,
        ),
        (vec![JSON, chunked], chunks(std::str::from_utf8(wrong).unwrap()), 401),
        (vec![JSON, chunked], chunks(&big), 413),
        (vec![JSON, chunked], b"zz\r\n{}\r\n0\r\n\r\n".to_vec(), 400),
        (vec![JSON, "Transfer-Encoding: gzip"], b"{}".to_vec(), 400),
        (vec![JSON, "Content-Encoding: gzip", &length], wrong.to_vec(), 401),
        (vec![JSON, &length, "Expect: 100-continue"], wrong.to_vec(), 401),
        (vec![JSON, &length, "Origin: https://evil.example"], wrong.to_vec(), 403),
    ] {
        assert_eq!(both.same(&login(&headers, &body)), status, "{headers:?}");
    }
    for mut broken in [
        login(&[JSON, "Content-Length: 100"], b"{\"username\""),
        login(&[JSON, chunked], b"5\r\n{}"),
    ] {
        broken.breaks_off = true;
        for address in [both.axum, both.actix] {
            // To a client that is gone, a server may say it or not.
            let answer = broken.to(address);
            assert!([0, 400].contains(&answer.status), "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_credential() {
    let both = Both::new().await;
    let (access, refresh) = (&*both.access, &*both.refresh);
    for path in ["/me", "/maybe", "/auth/sessions", "/me?access_token=x"] {
        for headers in [
            vec!["Authorization: Bearer \u{e9}"],
            vec!["Authorization: Bearer"],
            vec!["Authorization: "],
            vec!["Authorization: Basic x"],
            vec!["Authorization: Bearer a.b.c"],
            vec!["Authorization: Bearer a.b.c", "Authorization: Bearer a.b.c"],
            vec![access, access],
            vec!["Authorization:\tBearer\ta.b.c"],
            vec!["Authorization: bearer a.b.c "],
            vec!["Authorization: Bearer a b"],
            vec![access, "X-Y: \u{e9}"],
            vec!["Cookie: __Host-refresh=x"],
            vec!["Cookie: \u{e9}=x; __Host-refresh=\u{e9}"],
            vec!["Cookie: a=b", "Cookie: __Host-refresh=x"],
            vec!["Cookie: a=b", refresh],
            vec!["Cookie: \u{e9}", refresh],
            vec![refresh, "Cookie: a=b"],
            vec![refresh, "Sec-Fetch-Site: cross-site"],
            vec![refresh, "Sec-Fetch-Site: same-origin"],
            vec![refresh, "Sec-Purpose: prefetch"],
            vec![refresh, "Origin: null"],
            vec![refresh, "Origin: http://x"],
        ] {
            both.asked(&format!("GET {path}"), &headers);
            both.asked(&format!("POST {path}"), &headers);
        }
    }
    assert_eq!(both.asked("GET /me", &["Cookie: a=b", refresh]), 200, "over two lines");
    assert_eq!(both.asked("GET /me", &["Cookie: \u{e9}", refresh]), 200);
    let absolute = Request::new("POST http://x/me", &["Host: y", refresh, "Origin: https://x"], b"");
    both.same(&absolute);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_deed() {
    let both = Both::new().await;
    let flow = |address: SocketAddr| {
        let mut answers = vec![log_in(address, "wonderland")];
        let login = answers[0].clone();
        let refresh = format!("Cookie: {}", login.cookie());
        let access = format!("Authorization: Bearer {}", login.json("access_token"));
        let mut ask = |line: &str, headers: &[&str]| {
            let headers: Vec<&str> = [HOST].iter().chain(headers).copied().collect();
            answers.push(Request::new(line, &headers, b"").to(address));
        };
        ask("GET /me", &[&access]);
        ask("GET /me", &[&refresh]);
        ask("POST /auth/refresh", &[&refresh]);
        ask("POST /auth/logout", &[&refresh]);
        ask("POST /auth/logout", &[&refresh]);
        ask("POST /auth/refresh", &[&refresh]);
        ask("GET /me", &[&access]);
        ask("GET /me", &[&refresh]);
        ask("GET /maybe", &[&refresh]);
        ask("POST /auth/logout", &[]);
        ask("POST /auth/logout-all", &[]);
        let again = log_in(address, "wonderland");
        let own = format!("DELETE /auth/sessions/{}", again.json("session_id"));
        let again = format!("Authorization: Bearer {}", again.json("access_token"));
        ask(&own, &[&again]);
        ask(&own, &[&again]);
        let third = format!(
            "Authorization: Bearer {}",
            log_in(address, "wonderland").json("access_token")
        );
        ask("POST /auth/logout-all", &[&third]);
        answers.into_iter().map(Answer::masked).collect::<Vec<_>>()
    };
    let axum = flow(both.axum);
    let statuses: Vec<_> = axum.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses,
        [
            200, 200, 200, 200, 204, 204, 401, 401, 401, 200, 204, 401, 204, 401, 200
        ]
    );
    let count = r#"{"ended":2}"#;
    assert_eq!(
        axum.last().unwrap().body,
        count,
        "the first sign-in of all, and this one"
    );
    let mut actix = flow(both.actix);
    let last = actix.last_mut().unwrap();
    assert_eq!(last.body, r#"{"ended":1}"#);
    count.clone_into(&mut last.body);
    assert_eq!(axum, actix);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_servers_themselves_see_differently() {
    let both = Both::new().await;
    let (access, refresh) = (&*both.access, &*both.refresh);
    for (request, axum, actix) in [
        // actix asks for exactly one `Host` (RFC 9112 §3.2); hyper leaves it to the app, and no origin is then its own.
        (Request::new("GET /me", &[access], b""), 200, 400),
        (Request::new("GET /me", &[HOST, "Host: y", access], b""), 200, 400),
        (Request::new("POST /me", &[refresh, "Origin: https://x"], b""), 403, 400),
        // actix's `http` 0.2 has no target with bytes beyond ASCII (RFC 3986 §2).
        (
            Request::new("GET /auth/sessions/\u{e9}", &[HOST, access], b""),
            405,
            400,
        ),
    ] {
        assert_eq!(
            (request.to(both.axum).status, request.to(both.actix).status),
            (axum, actix)
        );
    }
    // The same 404, of which actix tells a HEAD the length too.
    let nothing = Request::new("HEAD /nothing", &[HOST], b"");
    let mut actix = nothing.to(both.actix);
    assert_eq!(actix.headers.remove("content-length").unwrap(), ["0"]);
    assert_eq!(nothing.to(both.axum), actix);
}
