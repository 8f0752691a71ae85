//! How an access token is sent, and how its refusal is said (RFC 6750, RFC 9457).

use std::time::{Duration, Instant};

use acceptance::{ACCESS_SECRET, Client, Request, Target, expect};
use serde_json::Value;

async fn br_01_no_credential_is_challenged_without_an_error(at: Target) {
    let app = at.start().await;
    for target in ["/api/me", "/api/admin", "/auth/sessions"] {
        expect::problem(&Request::get(target).send(app.address()).await, 401, "missing_token");
    }
}

async fn br_02_a_bad_token_is_challenged_with_invalid_token(at: Target) {
    let app = at.forgeable().start().await;
    let client = Client::alice(&app).await;
    let tampered = client.jwt().claim("name", "root").with_signature(&[7; 32]);
    expect::problem(
        &Request::get("/api/me").bearer(&tampered).send(app.address()).await,
        401,
        "invalid_token",
    );
    expect::problem(
        &Request::get("/api/me")
            .bearer(&client.expired())
            .send(app.address())
            .await,
        401,
        "token_expired",
    );
}

async fn br_03_a_malformed_credential_is_400(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let good = format!("Bearer {}", client.access);
    let me = || Request::get("/api/me");
    for request in [
        me().header("Authorization", &good).header("Authorization", &good),
        me().header("Authorization", "Basic YTpi")
            .header("Authorization", &good),
        me().header("Authorization", "Bearer"),
        me().header("Authorization", "Bearer a b"),
        me().header("Authorization", format!("{good}, {good}")),
        me().header("Authorization", b"Bearer \xff\xfe"),
    ] {
        for request in [request.clone(), request.refresh(&client.refresh_token())] {
            let response = request.send(app.address()).await;
            expect::problem(&response, 400, "invalid_request");
            expect::untouched(&response);
        }
    }
}

async fn br_03_br_05_a_token_in_the_query_is_none(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let target = format!("/api/me?access_token={}", client.access);
    let response = Request::get(&target).send(app.address()).await;
    assert!(matches!(response.status, 400 | 401), "not accepted: {response:?}");
    assert!(!response.text().contains(&client.access));
}

async fn the_scheme_is_read_in_any_case_and_another_scheme_is_no_credential(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let request = Request::get("/api/me").header("authorization", format!("{scheme} {}", client.access));
        assert_eq!(request.send(app.address()).await.status, 200, "{scheme}");
    }
    for other in ["Basic YWxpY2U6d29uZGVybGFuZA==", "Digest x", "BearerX abc"] {
        let request = Request::get("/api/me").header("Authorization", other);
        expect::problem(&request.send(app.address()).await, 401, "missing_token");
        let request = Request::get("/api/public").header("Authorization", other);
        assert_eq!(request.send(app.address()).await.json()["user"], Value::Null);
    }
}

async fn br_04_a_missing_role_is_403(at: Target) {
    let app = at.start().await;
    let mut bob = Client::bob(&app).await;
    let response = bob.with_bearer(Request::get("/api/admin")).await;
    expect::problem(&response, 403, "insufficient_scope");
    expect::untouched(&response);
}

async fn br_08_a_refusal_repeats_nothing_of_what_was_sent(at: Target) {
    let app = at.forgeable().start().await;
    let client = Client::alice(&app).await;
    let bad = client.jwt().claim("iss", "canary-issuer").sign(ACCESS_SECRET);
    for request in [
        Request::get("/api/me").bearer(&bad),
        Request::get("/api/me").bearer("canary-token"),
        Request::get("/api/me").refresh("canary-cookie"),
        Request::post("/auth/refresh").refresh("canary-cookie"),
        Request::login("canary-user", "canary-password"),
        Request::post("/auth/login")
            .header("Content-Type", "application/json")
            .body("{\"canary-member\": canary}"),
        Request::post("/auth/login")
            .header("Content-Type", "canary/type")
            .body("x"),
        Request::get("/auth/sessions/canary-id").bearer(&client.access),
        Request::delete("/auth/sessions/canary-id").bearer(&client.access),
        Request::post("/api/notes")
            .same_origin()
            .header("Origin", "http://canary.example"),
    ] {
        let response = request.send(app.address()).await;
        assert!(response.status >= 400, "{response:?}");
        let all = format!("{response:?}");
        for canary in ["canary", &bad, &client.access] {
            assert!(!all.contains(canary), "{}: {all}", request.line());
        }
    }
}

/// Medians of interleaved samples: the cost of one password hash is some 15 ms, so an answer that skips it stands out.
async fn br_09_an_unknown_user_costs_as_much_as_a_wrong_password(at: Target) {
    let app = at.start().await;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..15 {
        for (known, username) in ["nobody-of-that-name", "alice"].into_iter().enumerate() {
            let start = Instant::now();
            let response = Request::login(username, "wrong").send(app.address()).await;
            times[known].push(start.elapsed());
            expect::problem(&response, 401, "invalid_credentials");
        }
    }
    let [unknown, known] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    assert!(
        known > Duration::from_millis(2),
        "a password hash was computed: {known:?}"
    );
    assert!(
        unknown < known * 2 && known < unknown * 2,
        "{unknown:?} for an unknown user, {known:?} for a known one"
    );
}

acceptance::on_every_app!(
    br_01_no_credential_is_challenged_without_an_error,
    br_02_a_bad_token_is_challenged_with_invalid_token,
    br_03_a_malformed_credential_is_400,
    br_03_br_05_a_token_in_the_query_is_none,
    the_scheme_is_read_in_any_case_and_another_scheme_is_no_credential,
    br_04_a_missing_role_is_403,
    br_08_a_refusal_repeats_nothing_of_what_was_sent,
    br_09_an_unknown_user_costs_as_much_as_a_wrong_password,
);
