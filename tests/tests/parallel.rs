//! RT-07: many requests at once with one expired access token and one refresh cookie, in one process and in two.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use acceptance::proxy::Wire;
use acceptance::{
    App, Client, Connection, RefreshToken, Request, Response, Running, Settings, Store, Target, expect, store,
};

const REQUESTS: usize = 200;

/// `tests/soak` asks for more.
fn rounds() -> usize {
    std::env::var("ROUNDS").map_or(50, |text| text.parse().expect("a number of rounds"))
}

/// One test at a time: it wants the machine, and its connections, for itself.
static TURN: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

/// Kept-alive connections, spread evenly over the processes.
struct Pool(Vec<Connection>);

impl Pool {
    async fn open(addresses: &[SocketAddr], requests: usize) -> Self {
        let mut connections = Vec::new();
        for number in 0..requests {
            connections.push(
                Connection::open(addresses[number % addresses.len()])
                    .await
                    .expect("a connection"),
            );
        }
        Self(connections)
    }

    /// Sends one request on every connection, all released at the same moment.
    async fn burst(&mut self, request: &Request) -> Vec<Response> {
        let gate = std::sync::Arc::new(tokio::sync::Barrier::new(self.0.len()));
        let started: Vec<_> = self
            .0
            .drain(..)
            .map(|mut connection| {
                let (request, gate) = (request.clone(), gate.clone());
                tokio::spawn(async move {
                    gate.wait().await;
                    let response = connection.send(&request).await.expect("an answer");
                    (connection, response)
                })
            })
            .collect();
        let mut answers = Vec::new();
        for task in started {
            let (connection, response) = task.await.expect("no request panics");
            self.0.push(connection);
            answers.push(response);
        }
        answers
    }
}

/// One burst on a session that never rotated: all 200, one rotation. Returns the one successor.
async fn burst(pool: &mut Pool, client: &Client, number: usize) -> String {
    let silent = Request::get("/api/me")
        .bearer(&client.expired())
        .refresh(&client.refresh_token());
    let answers = pool.burst(&silent).await;
    let mut successors = BTreeSet::new();
    for response in &answers {
        assert_eq!(response.status, 200, "round {number}: {response:?}");
        assert_eq!(
            response.json()["sid"],
            client.session_id().as_str(),
            "round {number}: {response:?}"
        );
        successors.extend(response.refresh_token());
        if response.refresh_cookie().is_some() {
            expect::exchanged(response);
        }
    }
    assert_eq!(successors.len(), 1, "round {number}: one distinct successor");
    let successor = successors.pop_first().expect("one");
    assert_eq!(
        RefreshToken::decode(&successor).generation(),
        2,
        "round {number}: one rotation"
    );
    successor
}

async fn round(pool: &mut Pool, app: &Running, at: Target, number: usize) {
    let client = Client::alice(app).await;
    let successor = burst(pool, &client, number).await;
    if at.store.is_durable() {
        let row = store::session(app.settings(), &client.session_id());
        assert_eq!(
            (row.current, row.confirmed),
            (2, Some(1)),
            "round {number}: one rotation in the store"
        );
    }
    let next = Request::get("/api/me").refresh(&successor).send(app.address()).await;
    assert_eq!(next.status, 200, "round {number}: the successor works: {next:?}");
}

/// An app whose requests really run at once: actix-web hands connections to workers, one after the other.
async fn spread(app: &Running, at: Target) {
    if at.app == App::Actix {
        let log = app.log_with(" workers").await;
        let workers = log
            .split_once("starting ")
            .and_then(|(_, rest)| rest.split_once(" workers")?.0.parse::<usize>().ok());
        assert!(workers.is_some_and(|workers| workers >= 4), "four workers: {log}");
    }
}

async fn rt_07_200_requests_at_once_are_one_rotation(at: Target) {
    let _turn = TURN.acquire().await;
    let app = at.forgeable().start().await;
    spread(&app, at).await;
    let mut pool = Pool::open(&[app.address()], REQUESTS).await;
    for number in 0..rounds() {
        round(&mut pool, &app, at, number).await;
    }
}

/// Two instances, of either framework, on one store: 100 requests over both are one rotation, and cost each at most two calls of
/// the store. The calls are counted on the way to a server.
async fn rt_07_100_requests_over_two_instances_are_one_rotation_and_two_calls_each(at: Target) {
    let _turn = TURN.acquire().await;
    let settings = at.forgeable();
    let (mut apps, mut wires) = (Vec::new(), Vec::new());
    for app in [App::Axum, App::Actix] {
        let mut settings = settings.clone().run_by(app);
        if let Some((url, wire)) = by_wire(&settings).await {
            settings = settings.set("STORE", url);
            wires.push(wire);
        }
        apps.push(settings.start().await);
    }
    let addresses: Vec<_> = apps.iter().map(Running::address).collect();
    let mut pool = Pool::open(&addresses, 100).await;
    let mut most = 0;
    for number in 0..4 * rounds() {
        let client = Client::alice(&apps[number % 2]).await;
        let id = client.session_id();
        for wire in &wires {
            let binary = acceptance::forge::from_base64url(&id);
            wire.count(if at.store == Store::Postgres {
                &binary
            } else {
                id.as_bytes()
            });
        }
        let next = burst(&mut pool, &client, number).await;
        for (wire, app) in wires.iter().zip(&apps) {
            let calls = wire.counted();
            assert!(calls <= 2, "round {number}: {calls} calls of {}", app.origin());
            most = most.max(calls);
        }
        let next = Request::get("/api/me").refresh(&next).send(apps[0].address()).await;
        assert_eq!(next.status, 200, "round {number}: the successor works: {next:?}");
        let sampled = number % 20 == 0;
        if sampled {
            let row = store::session(&settings, &id);
            assert_eq!(
                (row.current, row.confirmed),
                (2, Some(1)),
                "round {number}: in the store"
            );
        }
    }
    assert_eq!(most > 0, !wires.is_empty(), "what is counted occurs");
}

/// A proxy on the way to a store with one address, and the address to give the app.
async fn by_wire(settings: &Settings) -> Option<(String, Wire)> {
    if !matches!(settings.store(), Store::Postgres | Store::Redis) {
        return None;
    }
    let (user, rest) = settings.store_url().rsplit_once('@').expect("a user");
    let (host, rest) = rest.split_once('/').expect("a path");
    let (_, port) = host.split_once(':').expect("a port");
    let wire = Wire::open(([127, 0, 0, 1], port.parse().expect("a port")).into()).await;
    Some((format!("{user}@{}/{rest}", wire.address()), wire))
}

/// The same through `/auth/refresh`, where every answer shows its access token.
async fn rt_07_200_refreshes_at_once_are_one_rotation(at: Target) {
    let _turn = TURN.acquire().await;
    let app = at.start().await;
    let mut pool = Pool::open(&[app.address()], REQUESTS).await;
    for number in 0..5 {
        let client = Client::alice(&app).await;
        let answers = pool
            .burst(&Request::post("/auth/refresh").refresh(&client.refresh_token()))
            .await;
        let mut successors = BTreeSet::new();
        for response in &answers {
            expect::signed_in(response);
            successors.extend(response.refresh_token());
        }
        assert_eq!(successors.len(), 1, "round {number}: one distinct successor");
    }
}

acceptance::on_every_store!(
    rt_07_200_requests_at_once_are_one_rotation,
    rt_07_200_refreshes_at_once_are_one_rotation
);

acceptance::on_stores_of!(
    both = Axum;
    durable [rt_07_100_requests_over_two_instances_are_one_rotation_and_two_calls_each]
);
