//! RT-07: many requests at once with one expired access token and one refresh cookie, in one process and in two.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use acceptance::{Client, Connection, RefreshToken, Request, Response, Running, Target, expect, store};

const REQUESTS: usize = 200;
const ROUNDS: usize = 50;

/// One test at a time: it wants the machine, and its connections, for itself.
static TURN: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

/// Kept-alive connections, spread evenly over the processes.
struct Pool(Vec<Connection>);

impl Pool {
    async fn open(addresses: &[SocketAddr]) -> Self {
        let mut connections = Vec::new();
        for number in 0..REQUESTS {
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

/// One burst on a session that never rotated: all 200, one successor, one rotation.
async fn round(pool: &mut Pool, app: &Running, at: Target, number: usize) {
    let client = Client::alice(app).await;
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

async fn rt_07_200_requests_at_once_are_one_rotation(at: Target) {
    let _turn = TURN.acquire().await;
    let app = at.forgeable().start().await;
    let mut pool = Pool::open(&[app.address()]).await;
    for number in 0..ROUNDS {
        round(&mut pool, &app, at, number).await;
    }
}

async fn rt_07_200_requests_over_two_processes_are_one_rotation(at: Target) {
    let _turn = TURN.acquire().await;
    let app = at.forgeable().start().await;
    let sibling = app.sibling().await;
    let mut pool = Pool::open(&[app.address(), sibling.address()]).await;
    for number in 0..ROUNDS {
        round(&mut pool, &app, at, number).await;
    }
}

/// The same through `/auth/refresh`, where every answer shows its access token.
async fn rt_07_200_refreshes_at_once_are_one_rotation(at: Target) {
    let _turn = TURN.acquire().await;
    let app = at.start().await;
    let mut pool = Pool::open(&[app.address()]).await;
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

acceptance::on_durable_stores!(rt_07_200_requests_over_two_processes_are_one_rotation);
