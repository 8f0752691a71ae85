//! Sessions: begun anew at every sign-in, listed, ended one by one and all at once, for good.

use acceptance::forge::now;
use acceptance::wait::{NOTICE, eventually};
use acceptance::{Client, Request, Running, Target, expect, store};
use serde_json::{Value, json};

async fn revoked(app: &Running, access: &str) {
    let me = Request::get("/api/me").bearer(access);
    let refused = || async { me.send(app.address()).await.status == 401 };
    eventually(NOTICE, "SE-02: an ended session's access token is refused", refused).await;
    expect::problem(&me.send(app.address()).await, 401, "token_revoked");
}

async fn se_01_a_sign_in_ends_the_session_that_the_browser_had(at: Target) {
    let app = at.start().await;
    let mut client = Client::alice(&app).await;
    let before = client.clone();
    let response = client.with_cookies(Request::login("alice", "wonderland")).await;
    expect::signed_in(&response);
    assert_ne!(client.session_id(), before.session_id());
    let old = Request::post("/auth/refresh")
        .refresh(&before.refresh_token())
        .send(app.address())
        .await;
    expect::problem(&old, 401, "session_ended");
    revoked(&app, &before.access).await;
    expect::signed_in(&client.refresh().await);
}

async fn se_01_a_failed_sign_in_ends_nothing(at: Target) {
    let app = at.start().await;
    let mut client = Client::alice(&app).await;
    let response = client.with_cookies(Request::login("alice", "wrong")).await;
    expect::problem(&response, 401, "invalid_credentials");
    expect::untouched(&response);
    expect::signed_in(&client.refresh().await);
}

async fn se_01_another_user_signing_in_ends_the_session_that_the_browser_had(at: Target) {
    let app = at.start().await;
    let mut client = Client::alice(&app).await;
    let before = client.clone();
    expect::signed_in(&client.with_cookies(Request::login("bob", "builder")).await);
    let me = client.with_bearer(Request::get("/api/me")).await;
    assert_eq!(me.json()["name"], "bob");
    let old = Request::post("/auth/refresh")
        .refresh(&before.refresh_token())
        .send(app.address())
        .await;
    expect::problem(&old, 401, "session_ended");
}

async fn se_02_a_logout_is_the_end_of_both_tokens(at: Target) {
    let app = at.start().await;
    let mut client = Client::alice(&app).await;
    let before = client.clone();
    assert_eq!(
        client.with_bearer(Request::get("/api/me")).await.status,
        200,
        "warm in the cache"
    );
    let response = client.with_cookies(Request::post("/auth/logout")).await;
    assert_eq!(response.status, 204);
    expect::cleared(&response);
    revoked(&app, &before.access).await;
    let old = Request::post("/auth/refresh")
        .refresh(&before.refresh_token())
        .send(app.address())
        .await;
    expect::problem(&old, 401, "session_ended");
}

async fn se_02_two_processes_on_one_store_see_each_others_endings(at: Target) {
    let here = at.start().await;
    let there = here.sibling().await;
    let mut by_itself = Client::alice(&here).await;
    let mut by_all = Client::alice(&here).await;
    for client in [&by_itself, &by_all] {
        let me = Request::get("/api/me").bearer(&client.access);
        assert_eq!(
            me.send(there.address()).await.status,
            200,
            "warm in the other process's cache"
        );
    }
    let access = by_itself.access.clone();
    assert_eq!(by_itself.with_cookies(Request::post("/auth/logout")).await.status, 204);
    revoked(&there, &access).await;
    let (access, cookie) = (by_all.access.clone(), by_all.refresh_token());
    assert_eq!(by_all.with_cookies(Request::post("/auth/logout-all")).await.status, 200);
    revoked(&there, &access).await;
    let old = Request::post("/auth/refresh")
        .refresh(&cookie)
        .send(there.address())
        .await;
    expect::problem(&old, 401, "session_ended");
    let mut anew = Client::alice(&here).await;
    anew.address = there.address();
    assert_eq!(
        anew.with_bearer(Request::get("/api/me")).await.status,
        200,
        "a later sign-in is not concerned"
    );
}

async fn se_05_the_list_shows_every_device_and_marks_the_current_one(at: Target) {
    let app = at.start().await;
    let mut clients = Vec::new();
    for (device, agent) in [
        (Some("a phone"), "Phone/1"),
        (Some("a laptop"), "Laptop/2"),
        (None, "curl/8"),
    ] {
        let mut body = json!({"username": "alice", "password": "wonderland"});
        if let Some(device) = device {
            body["device"] = json!(device);
        }
        let login = Request::post("/auth/login").header("User-Agent", agent).json(&body);
        clients.push(Client::from_login(&app, &login).await);
    }
    Client::bob(&app).await;
    for client in &mut clients {
        let response = client.with_bearer(Request::get("/auth/sessions")).await;
        assert_eq!(response.status, 200, "{response:?}");
        expect::assert_no_store(&response);
        let list = response.json()["sessions"].as_array().expect("a list").clone();
        assert_eq!(list.len(), 3, "bob's is not alice's: {response:?}");
        for entry in &list {
            let mut members: Vec<_> = entry
                .as_object()
                .expect("an object")
                .keys()
                .map(String::as_str)
                .collect();
            members.sort_unstable();
            assert_eq!(
                members,
                [
                    "created_at",
                    "current",
                    "device",
                    "expires_at",
                    "id",
                    "ip",
                    "last_seen_at",
                    "user_agent"
                ]
            );
            assert_eq!(entry["current"], entry["id"] == client.session_id().as_str(), "{entry}");
            assert_eq!(entry["ip"], "127.0.0.1");
            let [created, seen, expires] =
                ["created_at", "last_seen_at", "expires_at"].map(|name| seconds(&entry[name]));
            assert!(
                (now() - 60..=now() + 1).contains(&created) && seen >= created,
                "{entry}"
            );
            assert!(
                (expires - created - 7 * 24 * 60 * 60).abs() <= 60,
                "seven idle days: {entry}"
            );
        }
        let of = |member: &str| {
            let mut all: Vec<_> = list.iter().map(|entry| entry[member].clone()).collect();
            all.sort_by_key(Value::to_string);
            all
        };
        assert_eq!(of("device"), [json!("a laptop"), json!("a phone"), json!(null)]);
        assert_eq!(of("user_agent"), [json!("Laptop/2"), json!("Phone/1"), json!("curl/8")]);
    }
}

/// RFC 3339 in UTC, as seconds since 1970.
fn seconds(stamp: &Value) -> i64 {
    let text = stamp.as_str().expect("a timestamp");
    assert!(text.ends_with('Z'), "UTC: {text}");
    let format = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(text, format)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .unix_timestamp()
}

async fn se_06_one_session_is_ended_by_its_public_id_which_is_no_credential(at: Target) {
    let app = at.start().await;
    let mut here = Client::alice(&app).await;
    let there = Client::alice(&app).await;
    let id = there.session_id();
    for cookie in [&id, &id.repeat(3)] {
        let response = Request::post("/auth/refresh").refresh(cookie).send(app.address()).await;
        expect::problem(&response, 401, "invalid_refresh_token");
    }
    expect::problem(
        &Request::get("/api/me").bearer(&id).send(app.address()).await,
        401,
        "invalid_token",
    );
    let end = || Request::delete(&format!("/auth/sessions/{id}"));
    let response = here.with_bearer(end()).await;
    assert_eq!(response.status, 204, "{response:?}");
    revoked(&app, &there.access).await;
    let old = Request::post("/auth/refresh")
        .refresh(&there.refresh_token())
        .send(app.address())
        .await;
    expect::problem(&old, 401, "session_ended");
    expect::signed_in(&here.refresh().await);
    let list = here.with_bearer(Request::get("/auth/sessions")).await;
    assert_eq!(list.json()["sessions"].as_array().map(Vec::len), Some(1), "{list:?}");
}

async fn se_17_an_ended_session_stays_ended(at: Target) {
    let app = at.forgeable().set("REFRESH_TOKEN_GRACE", "0s").start().await;
    let mut client = Client::alice(&app).await;
    let first = client.refresh_token();
    client.refresh().await;
    let before = client.clone();
    assert_eq!(client.with_cookies(Request::post("/auth/logout")).await.status, 204);
    let ahead = acceptance::RefreshToken::decode(&first)
        .with_generation(99)
        .authenticated(acceptance::REFRESH_SECRET)
        .encode();
    for token in [&first, &before.refresh_token(), &ahead, &first] {
        for request in [Request::post("/auth/refresh"), Request::get("/api/me")] {
            let response = request.refresh(token).send(app.address()).await;
            expect::problem(&response, 401, "session_ended");
        }
    }
    revoked(&app, &before.access).await;
    let mut anew = Client::alice(&app).await;
    expect::signed_in(&anew.refresh().await);
    revoked(&app, &before.access).await;
}

acceptance::on_every_store!(
    se_01_a_sign_in_ends_the_session_that_the_browser_had,
    se_01_a_failed_sign_in_ends_nothing,
    se_01_another_user_signing_in_ends_the_session_that_the_browser_had,
    se_02_a_logout_is_the_end_of_both_tokens,
    se_05_the_list_shows_every_device_and_marks_the_current_one,
    se_06_one_session_is_ended_by_its_public_id_which_is_no_credential,
    se_17_an_ended_session_stays_ended,
);

/// An app that is older than the one that wrote a session, as in the middle of an upgrade, or a row that was damaged.
async fn a_session_that_cannot_be_read_is_refused_and_no_other(at: Target) {
    let app = at.forgeable().start().await;
    let (mut client, mut other) = (Client::alice(&app).await, Client::alice(&app).await);
    store::make_newer(app.settings(), &client.session_id());
    let token = client.refresh_token();
    for request in [
        Request::get("/api/me").refresh(&token),
        Request::get("/api/me").bearer(&client.expired()).refresh(&token),
        Request::post("/auth/refresh").refresh(&token),
    ] {
        let response = request.send(app.address()).await;
        expect::problem(&response, 401, "session_ended");
        // Another app may be able to read it.
        expect::untouched(&response);
    }
    assert_eq!(Request::get("/").refresh(&token).send(app.address()).await.status, 200);
    expect::signed_in(&other.refresh().await);
    let out = client.with_cookies(Request::post("/auth/logout")).await;
    assert_eq!(out.status, 204, "{out:?}");
    expect::cleared(&out);
    expect::signed_in(&client.with_cookies(Request::login("alice", "wonderland")).await);
    expect::signed_in(&other.refresh().await);
}

acceptance::on_durable_stores!(
    a_session_that_cannot_be_read_is_refused_and_no_other,
    se_02_two_processes_on_one_store_see_each_others_endings,
);
