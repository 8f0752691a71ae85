//! SIGKILL at random moments under refresh load, fifty times (or `KILLS`): what was acknowledged is there after the restart, and no
//! client that kept its newest received cookie is signed out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acceptance::{Client, Connection, REFRESH_COOKIE, Request, Response, Settings, Target, expect};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// As many as the name of the test says; `tests/soak` asks for more.
fn kills() -> usize {
    std::env::var("KILLS").map_or(50, |text| text.parse().expect("a number of kills"))
}

const CLIENTS: usize = 16;

/// A browser that does one thing after another: it keeps the newest cookie that arrived, and tries again when a
/// connection breaks.
struct Visitor {
    client: Client,
    rotations: Arc<AtomicUsize>,
}

impl Visitor {
    /// Sends a request with the newest cookie; `None` when the answer was lost.
    async fn attempt(&mut self, connection: &mut Connection, request: Request) -> Option<Response> {
        let before = self.client.refresh_token();
        let response = connection.send(&request.refresh(&before)).await.ok()?;
        let response = self.client.absorb(response);
        assert_eq!(response.status, 200, "signed out, or turned away: {response:?}");
        assert!(
            self.client.jar.value(REFRESH_COOKIE).is_some(),
            "the cookie is kept: {response:?}"
        );
        if self.client.refresh_token() != before {
            self.rotations.fetch_add(1, Ordering::Relaxed);
        }
        Some(response)
    }

    /// Goes on until the app is gone.
    async fn visit(mut self, address: SocketAddr) -> Self {
        self.client.address = address;
        if let Ok(mut connection) = Connection::open(address).await {
            for turn in 0.. {
                let request = if turn % 2 == 0 {
                    Request::get("/api/me")
                } else {
                    Request::post("/auth/refresh")
                };
                if self.attempt(&mut connection, request).await.is_none() {
                    break;
                }
            }
        }
        self
    }
}

/// Signs out and in again and again until the app is gone; returns what was acknowledged last.
fn comers_and_goers(mut client: Client, stop: watch::Receiver<bool>) -> JoinHandle<(Vec<Client>, Vec<Client>)> {
    tokio::spawn(async move {
        let (mut came, mut went) = (vec![client.clone()], Vec::new());
        while !*stop.borrow() {
            let leaving = came.remove(0);
            let logout = Request::post("/auth/logout").refresh(&leaving.refresh_token());
            match logout.try_send(client.address).await {
                // The one that did not record_status back may be in or out.
                Err(_) => break,
                Ok(response) => assert_eq!(response.status, 204, "{response:?}"),
            }
            went.push(leaving);
            client.jar = acceptance::Jar::default();
            let Ok(response) = Request::login("bob", "builder").try_send(client.address).await else {
                break;
            };
            assert_eq!(client.absorb(response).status, 200);
            came.push(client.clone());
        }
        (came, went)
    })
}

/// What is acknowledged between a start and a kill is what is at stake, so a run has the machine for itself.
static TURN: Semaphore = Semaphore::const_new(1);

async fn rt_10_fifty_kills_under_load_sign_nobody_out(at: Target) {
    let _turn = TURN.acquire().await;
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    // The shortest grace there is above none, so that rotations happen all the time.
    let mut settings: Settings = at.settings().set("REFRESH_TOKEN_GRACE", "1s");
    let rotations = Arc::new(AtomicUsize::new(0));
    let mut visitors = Vec::new();
    let mut acknowledged = 0;
    let kills = kills();
    for kill in 0..=kills {
        let app = settings.start().await;
        if kill == 0 {
            for _ in 0..CLIENTS {
                let (client, rotations) = (Client::alice(&app).await, rotations.clone());
                visitors.push(Visitor { client, rotations });
            }
        }
        if kill == kills {
            for visitor in &mut visitors {
                let mut connection = Connection::open(app.address()).await.expect("a connection");
                assert!(
                    visitor
                        .attempt(&mut connection, Request::get("/api/me"))
                        .await
                        .is_some(),
                    "every session lives"
                );
            }
            break;
        }
        let (stopped, stop) = watch::channel(false);
        let others = comers_and_goers(Client::bob(&app).await, stop);
        let started: Vec<_> = visitors
            .drain(..)
            .map(|visitor| tokio::spawn(visitor.visit(app.address())))
            .collect();
        // Part of the experiment: the moment of the kill is what is drawn at random.
        tokio::time::sleep(Duration::from_millis(random.random_range(20..250))).await;
        settings = app.kill().await;
        let _ = stopped.send(true);
        for visitor in started {
            visitors.push(
                visitor
                    .await
                    .unwrap_or_else(|e| panic!("kill {kill}, SEED={seed}: {e}")),
            );
        }
        let (came, went) = others.await.unwrap_or_else(|e| panic!("kill {kill}, SEED={seed}: {e}"));

        let app = settings.start().await;
        acknowledged += came.len() + went.len();
        for mut client in came {
            client.address = app.address();
            assert_eq!(
                client.refresh().await.status,
                200,
                "kill {kill}, SEED={seed}: an acknowledged sign-in is kept"
            );
        }
        for client in went {
            let response = Request::post("/auth/refresh")
                .refresh(&client.refresh_token())
                .send(app.address())
                .await;
            expect::problem(&response, 401, "session_ended");
        }
        settings = app.kill().await;
    }
    assert!(
        rotations.load(Ordering::Relaxed) > CLIENTS,
        "the clients rotated while the app was killed"
    );
    // How many depends on how busy the machine is; that there were some shows that something was at stake.
    assert!(acknowledged > 0, "others came and went: {acknowledged}");
}

acceptance::on_durable_stores!(rt_10_fifty_kills_under_load_sign_nobody_out);
