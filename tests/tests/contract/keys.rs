//! Signing keys: published, kept, rotated (RFC 7517, REQUIREMENTS section 2).

use std::collections::BTreeSet;

use acceptance::{Client, Jwt, RefreshToken, Request, Response, Running, Settings, Target, expect};

async fn key_set(app: &Running) -> serde_json::Value {
    let response = Request::get("/.well-known/jwks.json").send(app.address()).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["keys"].clone()
}

fn kid(access: &str) -> String {
    Jwt::decode(access).header["kid"].as_str().expect("a kid").to_owned()
}

async fn ky_01_ky_02_the_key_set_has_public_members_only(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let keys = key_set(&app).await;
    let mut kids = BTreeSet::new();
    for key in keys.as_array().expect("keys") {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "KY-01: {private}");
        }
        assert_eq!(key["use"], "sig", "KY-01");
        assert!(key["alg"].is_string() && key["kty"] != "oct", "KY-01: {}", key["kty"]);
        assert!(
            kids.insert(key["kid"].as_str().expect("a kid").to_owned()),
            "KY-01: a kid twice"
        );
    }
    assert!(kids.contains(&kid(&client.access)), "KY-02");
}

async fn ky_01_a_shared_secret_is_not_published(at: Target) {
    let app = at.forgeable().start().await;
    let keys = key_set(&app).await;
    assert_eq!(keys.as_array().map(Vec::len), Some(0), "{keys}");
}

async fn the_key_file_is_made_once_and_readable_by_its_owner_only(at: Target) {
    use std::os::unix::fs::PermissionsExt as _;
    let settings = at.settings();
    let path = settings.file("auth-keys.json");
    let app = settings.start().await;
    let made = std::fs::read(&path).expect("a key file");
    assert_eq!(
        std::fs::metadata(&path).expect("a key file").permissions().mode() & 0o777,
        0o600
    );
    let before = kid(&Client::alice(&app).await.access);
    let app = app.restart().await;
    assert_eq!(kid(&Client::alice(&app).await.access), before, "the same key signs");
    assert_eq!(std::fs::read(&path).expect("a key file"), made, "the file is as it was");
}

/// Secrets of one version.
fn secrets(settings: Settings, version: &str) -> Settings {
    settings
        .set(
            &format!("ACCESS_TOKEN_SECRET_{version}"),
            format!("access secret {version}, of a sufficient length for any of the HMACs"),
        )
        .set(
            &format!("REFRESH_TOKEN_SECRET_{version}"),
            format!("refresh secret {version}, of a sufficient length for any of the HMACs"),
        )
}

async fn exchange(client: &mut Client) -> Response {
    let response = client.with_cookies(Request::get("/api/me")).await;
    assert_eq!(response.status, 200, "KY-05: {response:?}");
    response
}

async fn ky_05_ky_10_a_new_key_version_signs_nobody_out(at: Target) {
    let settings = at.settings().set("REFRESH_TOKEN_GRACE", "0s");
    let app = secrets(settings.clone(), "v1").set("KEY_VERSION", "v1").start().await;
    let mut client = Client::alice(&app).await;
    let mut ended = Client::alice(&app).await;
    let kept = ended.clone();
    assert_eq!(ended.with_bearer(Request::post("/auth/logout")).await.status, 204);
    // Somebody who kept a copy of the jar.
    ended = kept;
    let (first_kid, first_key) = (kid(&client.access), RefreshToken::decode(&client.refresh_token()).key());
    app.terminate().await;

    let both = secrets(secrets(settings.clone(), "v1"), "v2").set("KEY_VERSION", "v2");
    let app = both.start().await;
    client.address = app.address();
    assert_eq!(
        client.with_bearer(Request::get("/api/me")).await.status,
        200,
        "KY-05: the old access token verifies"
    );
    let old = client.refresh_token();
    expect::exchanged(&exchange(&mut client).await);
    let second = RefreshToken::decode(&client.refresh_token());
    assert_ne!(kid(&client.access), first_kid, "the named version signs");
    assert_ne!(second.key(), first_key, "KY-10: the successor is under the new key");
    assert_eq!(
        second.secret(),
        RefreshToken::decode(&old).secret(),
        "KY-10: the session is the same"
    );
    assert_eq!(second.generation(), 2);
    ended.address = app.address();
    expect::problem(
        &ended.with_cookies(Request::post("/auth/refresh")).await,
        401,
        "session_ended",
    );
    let unrotated = Client::bob(&app).await;
    app.terminate().await;

    // Without the first version, what only it can tell is no token any more; what moved on goes on.
    let app = secrets(settings, "v2").set("KEY_VERSION", "v2").start().await;
    let response = Request::post("/auth/refresh").refresh(&old).send(app.address()).await;
    expect::problem(&response, 401, "invalid_refresh_token");
    expect::untouched(&response);
    client.address = app.address();
    expect::exchanged(&exchange(&mut client).await);
    assert_eq!(unrotated.jwt().header["kid"], client.jwt().header["kid"]);
}

async fn the_plain_names_verify_beside_a_version(at: Target) {
    let app = at.forgeable().start().await;
    let mut client = Client::alice(&app).await;
    let settings = app.terminate().await.0;
    let app = secrets(settings, "v2").set("KEY_VERSION", "v2").start().await;
    client.address = app.address();
    assert_eq!(client.with_bearer(Request::get("/api/me")).await.status, 200);
    expect::signed_in(&client.refresh().await);
}

/// Three rotations of the key while clients go on exchanging.
async fn ky_05_three_rotations_in_a_row_lose_no_session(at: Target) {
    let mut settings = at.settings().set("REFRESH_TOKEN_GRACE", "0s");
    let mut clients = Vec::new();
    for version in ["v1", "v2", "v3", "v4"] {
        settings = secrets(settings, version).set("KEY_VERSION", version);
        let app = settings.start().await;
        clients.push(Client::alice(&app).await);
        for client in &mut clients {
            client.address = app.address();
            expect::exchanged(&exchange(client).await);
        }
        app.terminate().await;
    }
}

acceptance::on_every_app!(
    ky_01_ky_02_the_key_set_has_public_members_only,
    ky_01_a_shared_secret_is_not_published,
    the_key_file_is_made_once_and_readable_by_its_owner_only,
);

acceptance::on_durable_stores!(
    ky_05_ky_10_a_new_key_version_signs_nobody_out,
    the_plain_names_verify_beside_a_version,
    ky_05_three_rotations_in_a_row_lose_no_session,
);
