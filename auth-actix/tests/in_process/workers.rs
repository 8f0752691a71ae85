//! A real server with four workers: what they share, and what comes in over sockets.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use auth_actix::{Claims, require};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::support::{Call, GRACE, HOUR, SECOND, User, World};

struct Server {
    world: World,
    address: SocketAddr,
}

impl Server {
    async fn new() -> Self {
        let world = World::new();
        let auth = world.auth.clone();
        let (begun, mut workers) = tokio::sync::mpsc::unbounded_channel();
        let server = HttpServer::new(move || {
            begun.send(()).unwrap();
            App::new()
                .route(
                    "/me",
                    web::to(|claims: Claims<User>| async move { claims.name.clone() }),
                )
                .service(
                    web::resource("/guarded")
                        .wrap(require(|user: &User| user.name == "alice"))
                        .to(|| async { "alice" }),
                )
                .configure(auth_actix::routes(&auth))
                .wrap(auth_actix::middleware(&auth))
        });
        let server = server.workers(4).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        tokio::spawn(server.run());
        for _ in 0..4 {
            workers.recv().await.unwrap();
        }
        Self { world, address }
    }

    async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.address).await.unwrap())
    }

    /// Returns the access token and the refresh cookie.
    async fn sign_in(&self) -> (String, String) {
        let body = r#"{"username":"alice","password":"wonderland"}"#;
        let answer = self.connect().await.ask("POST /auth/login", &[JSON], body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        (body["access_token"].as_str().unwrap().to_owned(), answer.cookie())
    }
}

const JSON: &str = "Content-Type: application/json";

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn cookie(&self) -> String {
        self.headers["set-cookie"].split(';').next().unwrap().to_owned()
    }
}

/// A connection that is kept.
struct Connection(TcpStream);

impl Connection {
    async fn ask(&mut self, line: &str, headers: &[&str], body: &str) -> Answer {
        self.send(line, headers, body).await;
        self.answer().await.unwrap_or_else(|| panic!("no answer to {line}"))
    }

    async fn send(&mut self, line: &str, headers: &[&str], body: &str) {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let request = format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        // A server that has heard enough may close before it has read everything.
        let _ = self.0.write_all(request.as_bytes()).await;
    }

    /// The next answer; `None` once the server has closed.
    async fn answer(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let headers: BTreeMap<_, _> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        Some(Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            headers,
            body: String::from_utf8(body).unwrap(),
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rt_07_four_workers_under_200_parallel_expired_requests_rotate_once() {
    let server = Server::new().await;
    let (access, mut cookie) = server.sign_in().await;
    let bearer = format!("Authorization: Bearer {access}");
    server.world.travel(HOUR);
    for round in 0..10 {
        let _ = server.world.store.calls();
        let barrier = Arc::new(Barrier::new(200));
        let mut burst = Vec::new();
        for one in 0..200 {
            let mut connection = server.connect().await;
            let (barrier, bearer, cookie) = (barrier.clone(), bearer.clone(), format!("Cookie: {cookie}"));
            let line = match (round + one) % 4 {
                0 => "POST /auth/refresh",
                1 => "GET /guarded",
                2 => "POST /me",
                _ => "GET /me",
            };
            burst.push(tokio::spawn(async move {
                barrier.wait().await;
                connection.ask(line, &[&bearer, &cookie], "").await
            }));
        }
        let mut successors = HashSet::new();
        for one in burst {
            let answer = one.await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            successors.insert(answer.cookie());
        }
        assert_eq!(
            server.world.store.calls(),
            [(Call::Advance, 1)],
            "one rotation for all workers"
        );
        assert_eq!(successors.len(), 1);
        cookie = successors.into_iter().next().unwrap();
        server.world.travel(GRACE + SECOND);
    }
}

#[tokio::test]
async fn a_session_shows_where_it_was_begun_and_not_where_a_header_says() {
    let server = Server::new().await;
    let (_, cookie) = server.sign_in().await;
    let cookie = format!("Cookie: {cookie}");
    let forwarded = "X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.7";
    let body = r#"{"username":"alice","password":"wonderland"}"#;
    let mut connection = server.connect().await;
    connection.ask("POST /auth/login", &[JSON, forwarded], body).await;
    let answer = connection.ask("GET /auth/sessions", &[&cookie], "").await;
    let list: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let list = list["sessions"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|session| session["ip"] == "127.0.0.1"), "{list:?}");
}

#[tokio::test]
async fn a_connection_is_in_step_after_bodies_that_were_not_read() {
    let server = Server::new().await;
    let (access, _) = server.sign_in().await;
    let bearer = format!("Authorization: Bearer {access}");
    let smuggled = "GET /auth/sessions HTTP/1.1\r\nHost: x\r\n\r\n".repeat(800);
    for (line, headers, status) in [
        ("POST /auth/login", vec![JSON], 413),
        ("POST /auth/login", vec![], 415),
        ("POST /auth/logout", vec![], 204),
        ("PUT /auth/login", vec![JSON], 405),
        ("POST /me", vec![], 401),
    ] {
        let mut connection = server.connect().await;
        let first = connection.ask(line, &headers, &smuggled).await;
        assert_eq!(first.status, status);
        connection.send("GET /me", &[&bearer], "").await;
        // The next request is answered, or the connection is over; nothing of the body is taken for a request.
        let second = connection.answer().await.map(|answer| (answer.status, answer.body));
        assert!(
            second.is_none() || second == Some((200, "alice".to_owned())),
            "{line}: {second:?}"
        );
    }
}
