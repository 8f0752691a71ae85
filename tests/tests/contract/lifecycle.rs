//! Starting, stopping, starting again.

use std::time::Duration;

use acceptance::wait::PATIENCE;
use acceptance::{Client, Connection, Request, Target, expect};
use rustix::process::Signal;

async fn one_line_on_stdout_and_nothing_else(at: Target) {
    let app = at.start().await;
    Client::alice(&app).await;
    let line = format!("listening on http://{}\n", app.address());
    let (_, end) = app.terminate().await;
    assert_eq!(end.stdout, line);
}

async fn the_defaults_need_no_variable_but_a_port(at: Target) {
    let settings = at.settings().unset("STORE").unset("AUTH_KEYS");
    let app = settings.start().await;
    let mut client = Client::alice(&app).await;
    for file in ["auth.db", "auth-keys.json"] {
        assert!(settings.file(file).is_file(), "{file} is where the app was started");
    }
    let app = app.restart().await;
    client.address = app.address();
    assert_eq!(
        client.with_bearer(Request::get("/api/me")).await.status,
        200,
        "keys are kept"
    );
    expect::signed_in(&client.refresh().await);
}

async fn a_signal_lets_what_is_in_flight_finish(at: Target) {
    for signal in [Signal::TERM, Signal::INT] {
        let app = at.start().await;
        let address = app.address();
        let mut idle = Connection::open(address).await.expect("a connection");
        assert_eq!(
            idle.send(&Request::get("/healthz")).await.expect("an answer").status,
            200
        );

        let login = Request::login("alice", "wonderland").header("Expect", "100-continue");
        let request = login.to_bytes(address);
        let (half, rest) = request.split_at(request.len() - 5);
        let mut in_flight = Connection::open(address).await.expect("a connection");
        in_flight.write(half).await.expect("half a request");
        // The server has the first half, and somebody who waits for the other.
        assert_eq!(in_flight.head().await.expect("an interim answer").status, 100);
        app.signal(signal);
        let refused = || async { Connection::open(address).await.is_err() };
        acceptance::wait::eventually(PATIENCE, "nobody new is let in", refused).await;
        in_flight.write(rest).await.expect("the other half");
        expect::signed_in(&in_flight.read(false).await.expect("an answer"));
        let end = app.ended_within(Duration::from_secs(10)).await;
        assert!(end.status.success(), "{signal:?}: {end:?}");
    }
}

async fn an_idle_connection_does_not_hold_the_end_up(at: Target) {
    let app = at.start().await;
    let mut idle = Connection::open(app.address()).await.expect("a connection");
    assert_eq!(
        idle.send(&Request::get("/healthz")).await.expect("an answer").status,
        200
    );
    app.signal(Signal::TERM);
    let end = app.ended_within(Duration::from_secs(10)).await;
    assert!(end.status.success(), "{end:?}");
}

async fn a_restart_keeps_sessions_and_keys(at: Target) {
    let app = at.start().await;
    let mut client = Client::alice(&app).await;
    let mut ended = Client::bob(&app).await;
    let kept = ended.clone();
    assert_eq!(ended.with_bearer(Request::post("/auth/logout")).await.status, 204);
    // Somebody who kept a copy of the jar.
    ended = kept;
    let app = app.restart().await;
    client.address = app.address();
    ended.address = app.address();
    assert_eq!(client.with_bearer(Request::get("/api/me")).await.status, 200);
    expect::problem(&ended.with_bearer(Request::get("/api/me")).await, 401, "token_revoked");
    expect::problem(&ended.refresh().await, 401, "session_ended");
    expect::signed_in(&client.refresh().await);
    let sessions = client.with_bearer(Request::get("/auth/sessions")).await;
    assert_eq!(
        sessions.json()["sessions"].as_array().map(Vec::len),
        Some(1),
        "{sessions:?}"
    );
}

async fn rt_10_a_restart_never_brings_a_rotated_token_back(at: Target) {
    let app = at.settings().set("REFRESH_TOKEN_GRACE", "0s").start().await;
    let mut client = Client::alice(&app).await;
    let first = client.refresh_token();
    for _ in 0..3 {
        expect::signed_in(&client.refresh().await);
    }
    let app = app.restart().await;
    let response = Request::post("/auth/refresh").refresh(&first).send(app.address()).await;
    expect::problem(&response, 401, "refresh_token_reused");
    let app = app.restart().await;
    client.address = app.address();
    expect::problem(&client.with_bearer(Request::get("/api/me")).await, 401, "token_revoked");
    expect::problem(&client.refresh().await, 401, "refresh_token_reused");
}

acceptance::on_every_app!(
    one_line_on_stdout_and_nothing_else,
    the_defaults_need_no_variable_but_a_port,
    a_signal_lets_what_is_in_flight_finish,
    an_idle_connection_does_not_hold_the_end_up,
);

acceptance::on_durable_stores!(
    a_restart_keeps_sessions_and_keys,
    rt_10_a_restart_never_brings_a_rotated_token_back,
);
