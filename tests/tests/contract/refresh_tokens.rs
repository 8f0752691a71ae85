//! What a refresh token is, how it dies, and what nobody can make of it (RFC 6749, RFC 9700 §4.14).

use std::time::{Duration, Instant};

use acceptance::forge::{base64url, from_base64url};
use acceptance::store;
use acceptance::wait::{NOTICE, eventually, until};
use acceptance::{Client, Jwt, REFRESH_SECRET, RefreshToken, Request, Response, Running, Settings, Target, expect};

fn countable(at: Target) -> Settings {
    at.forgeable().set("REFRESH_TOKEN_GRACE", "0s")
}

async fn refresh(app: &Running, token: &str) -> Response {
    Request::post("/auth/refresh").refresh(token).send(app.address()).await
}

async fn rt_02_rt_03_reuse_ends_the_session_and_no_other(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let mut second_device = Client::alice(&app).await;
    let first = client.refresh_token();
    for _ in 0..2 {
        expect::signed_in(&client.refresh().await);
    }
    let newest = (client.refresh_token(), client.access.clone());
    let response = refresh(&app, &first).await;
    expect::problem(&response, 401, "refresh_token_reused");
    expect::cleared(&response);
    expect::problem(&refresh(&app, &newest.0).await, 401, "refresh_token_reused");
    let me = Request::get("/api/me").bearer(&newest.1);
    let refused = || async { me.send(app.address()).await.status == 401 };
    eventually(NOTICE, "RT-02: the access token is dead", refused).await;
    expect::problem(&me.send(app.address()).await, 401, "token_revoked");
    expect::signed_in(&second_device.refresh().await);
    let list = second_device.with_bearer(Request::get("/auth/sessions")).await;
    assert_eq!(
        list.json()["sessions"].as_array().map(Vec::len),
        Some(1),
        "RT-03: {list:?}"
    );
}

async fn rt_08_after_a_logout_no_refresh_brings_a_working_token(at: Target) {
    let app = countable(at).start().await;
    for round in 0..25 {
        let client = Client::alice(&app).await;
        let (address, token) = (app.address(), client.refresh_token());
        let racing: Vec<_> = (0..4)
            .map(|_| {
                let request = Request::get("/api/me").refresh(&token);
                tokio::spawn(async move { request.send(address).await })
            })
            .collect();
        let logout = Request::post("/auth/logout").refresh(&token).send(address).await;
        assert_eq!(logout.status, 204);
        let mut brought = vec![client.access.clone()];
        let mut cookies = vec![token];
        for answer in racing {
            let response = answer.await.expect("an answer");
            brought.extend(response.access_token());
            cookies.extend(response.refresh_token());
        }
        for cookie in cookies {
            let response = refresh(&app, &cookie).await;
            assert_eq!(response.status, 401, "round {round}: {response:?}");
            expect::cleared(&response);
        }
        for access in brought {
            let me = Request::get("/api/me").bearer(&access);
            let refused = || async { me.send(address).await.code().as_deref() == Some("token_revoked") };
            eventually(NOTICE, "an access token of a session that was logged out", refused).await;
        }
    }
}

async fn rt_09_the_counter_tells_rotations_of_one_second_apart(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let mut tokens = vec![client.refresh_token()];
    for _ in 0..5 {
        expect::signed_in(&client.refresh().await);
        tokens.push(client.refresh_token());
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 6, "RT-01: every one differs");
    expect::problem(&refresh(&app, &tokens[3]).await, 401, "refresh_token_reused");
    expect::problem(&refresh(&app, &tokens[5]).await, 401, "refresh_token_reused");
}

async fn rt_11_rt_12_a_changed_token_is_refused_and_changes_nothing(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let good = client.refresh_token();
    let mut changed = Vec::new();
    for place in 0..good.len() {
        let mut bad = good.clone().into_bytes();
        bad[place] = if bad[place] == b'A' { b'B' } else { b'A' };
        changed.push(String::from_utf8(bad).expect("ASCII"));
    }
    let token = RefreshToken::decode(&good);
    changed.extend([
        token.clone().with_generation(2).encode(),
        token
            .clone()
            .with_generation(0)
            .authenticated("another secret, long enough for an HMAC")
            .encode(),
        token.clone().with_secret(&[0; 32]).encode(),
        good[..71].to_owned(),
        format!("{good}A"),
        format!("{good}="),
        format!("A{good}"),
        good.to_uppercase(),
        base64url([0; 54]),
        base64url([255; 54]),
        "A".repeat(4000),
    ]);
    let mut connection = acceptance::Connection::open(app.address()).await.expect("a connection");
    for bad in changed {
        let response = connection
            .send(&Request::post("/auth/refresh").refresh(&bad))
            .await
            .expect("an answer");
        expect::problem(&response, 401, "invalid_refresh_token");
        expect::untouched(&response);
    }
    expect::signed_in(&client.refresh().await);
    assert_eq!(client.generation(), 2, "nothing happened to the session");
}

async fn rt_14_the_key_alone_makes_no_token(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let sample = RefreshToken::decode(&client.refresh_token());
    assert_eq!(
        sample.clone().authenticated(REFRESH_SECRET),
        sample,
        "the test has the key"
    );
    // What is public about the session, in the place of the secret.
    let mut guess = [0; 32];
    guess[..18].copy_from_slice(&from_base64url(&client.session_id()));
    let mut near = [0; 32];
    near.copy_from_slice(sample.secret());
    near[31] ^= 1;
    for secret in [guess, near, [0; 32], rand::random()] {
        let forged = sample
            .clone()
            .with_secret(&secret)
            .authenticated(REFRESH_SECRET)
            .encode();
        for request in [Request::post("/auth/refresh"), Request::get("/api/me")] {
            let response = request.refresh(&forged).send(app.address()).await;
            assert_eq!(response.status, 401, "{response:?}");
            assert_eq!((response.access_token(), response.refresh_token()), (None, None));
        }
        let response = Request::post("/auth/logout").refresh(&forged).send(app.address()).await;
        assert_eq!(response.status, 204, "{response:?}");
    }
    expect::signed_in(&client.refresh().await);
    assert_eq!(client.generation(), 2);
}

async fn rt_13_the_database_holds_no_token(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let mut seen = vec![client.refresh_token()];
    for _ in 0..3 {
        expect::signed_in(&client.refresh().await);
        seen.push(client.refresh_token());
    }
    let bytes = store::bytes(app.settings());
    let sid = from_base64url(&client.session_id());
    assert!(
        store::occurs(&bytes, &sid) || store::occurs(&bytes, client.session_id().as_bytes()),
        "the right file"
    );
    for token in seen {
        let decoded = RefreshToken::decode(&token);
        // The routing bytes of the subject may lead the secret; everything behind them is random.
        let secret = &decoded.secret()[2..];
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        for needle in [token.as_bytes(), secret, hex.as_bytes(), &from_base64url(&token)[38..]] {
            assert!(!store::occurs(&bytes, needle), "a part of a token is in the database");
        }
    }
}

/// Real time: an absolute lifetime of three seconds, refreshed all the while.
async fn rt_15_the_absolute_lifetime_is_not_extended(at: Target) {
    let settings = countable(at)
        .set("ACCESS_TOKEN_EXPIRATION", "1s")
        .set("REFRESH_TOKEN_EXPIRATION", "2s");
    let app = settings.set("REFRESH_TOKEN_ABSOLUTE_EXPIRATION", "3s").start().await;
    let before = Instant::now();
    let mut client = Client::alice(&app).await;
    let mut last_access = client.access.clone();
    let over = loop {
        let kept = client.clone();
        let response = client.refresh().await;
        if response.status != 200 {
            client = kept;
            break response;
        }
        last_access = client.access.clone();
        let left = response
            .refresh_cookie()
            .and_then(|cookie| cookie.max_age())
            .expect("Max-Age");
        assert!((0..=2).contains(&left), "{left}");
        assert!(
            before.elapsed() < Duration::from_secs(5),
            "RT-15: refreshed beyond the deadline"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    expect::problem(&over, 401, "refresh_token_expired");
    expect::cleared(&over);
    assert!(before.elapsed() >= Duration::from_secs(3), "RT-15: not before its time");
    let me = Request::get("/api/me").bearer(&last_access);
    let refused = || async { me.send(app.address()).await.status == 401 };
    eventually(Duration::from_secs(2), "access goes with the session", refused).await;
    expect::problem(
        &refresh(&app, &client.refresh_token()).await,
        401,
        "refresh_token_expired",
    );
}

/// Real time: an idle lifetime of two seconds slides, and ends at its deadline.
async fn rt_16_the_idle_lifetime_slides(at: Target) {
    let settings = countable(at)
        .set("ACCESS_TOKEN_EXPIRATION", "1s")
        .set("REFRESH_TOKEN_EXPIRATION", "2s");
    let app = settings.start().await;
    let mut client = Client::alice(&app).await;
    let begun = Instant::now();
    until(begun, Duration::from_millis(1200)).await;
    expect::signed_in(&client.refresh().await);
    until(begun, Duration::from_millis(2400)).await;
    expect::signed_in(&client.refresh().await);
    until(Instant::now(), Duration::from_secs(2)).await;
    expect::problem(&client.refresh().await, 401, "refresh_token_expired");
}

async fn rt_19_what_carries_a_token_is_never_cached(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    expect::assert_no_store(&Request::login("alice", "wonderland").send(app.address()).await);
    expect::assert_no_store(&client.refresh().await);
    expect::assert_no_store(&client.with_cookies(Request::get("/api/public")).await);
    expect::assert_no_store(&client.with_cookies(Request::get("/api/me")).await);
    expect::assert_no_store(&client.with_bearer(Request::get("/auth/sessions")).await);
}

async fn rt_21_logout_and_logout_all_are_the_end_of_it(at: Target) {
    let app = countable(at).start().await;
    for target in ["/auth/logout", "/auth/logout-all"] {
        let mut client = Client::alice(&app).await;
        let cookie = client.refresh_token();
        let access = client.access.clone();
        let response = client.with_cookies(Request::post(target)).await;
        assert!(response.status < 300, "{response:?}");
        expect::problem(&refresh(&app, &cookie).await, 401, "session_ended");
        let me = Request::get("/api/me").bearer(&access);
        let refused = || async { me.send(app.address()).await.code().as_deref() == Some("token_revoked") };
        eventually(NOTICE, "the access token is dead", refused).await;
    }
}

async fn rt_22_no_body_holds_a_refresh_token(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let login = Request::login("alice", "wonderland").send(app.address()).await;
    let refresh = client.refresh().await;
    let silent = client.with_cookies(Request::get("/api/me")).await;
    for response in [login, refresh, silent] {
        let token = response.refresh_token().expect("a refresh token");
        assert!(!response.text().contains(&token[..36]) && !response.text().contains(&token[36..]));
        let elsewhere = response.headers.iter().filter(|(name, _)| name != "set-cookie");
        for (name, value) in elsewhere {
            assert!(!store::occurs(value, token.as_bytes()), "{name}");
        }
    }
}

async fn rt_23_storage_is_constant_in_the_number_of_rotations(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    assert_eq!(store::sessions(app.settings()), 1);
    let mut connection = acceptance::Connection::open(app.address()).await.expect("a connection");
    for _ in 0..300 {
        let request = Request::post("/auth/refresh").refresh(&client.refresh_token());
        let response = client.absorb(connection.send(&request).await.expect("an answer"));
        assert_eq!(response.status, 200, "{response:?}");
    }
    assert_eq!(client.generation(), 301);
    assert_eq!(store::sessions(app.settings()), 1);
    assert_eq!(store::session(app.settings(), &client.session_id()).current, 301);
}

async fn rt_25_a_store_that_lost_its_last_write_loses_no_session_and_forks_none(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let (settings, _) = app.terminate().await;
    let snapshot = store::Snapshot::of(&settings);

    let app = settings.start().await;
    client.address = app.address();
    let first = client.refresh_token();
    expect::signed_in(&client.refresh().await);
    let lost_by_the_store = client.refresh_token();
    let (settings, _) = app.terminate().await;
    snapshot.restore();

    let app = settings.start().await;
    client.address = app.address();
    let response = client.refresh().await;
    let access = expect::signed_in(&response);
    assert_eq!(
        (client.generation(), Jwt::decode(&access).generation()),
        (3, 3),
        "healed forward"
    );
    assert_ne!(client.refresh_token(), lost_by_the_store);
    let response = refresh(&app, &first).await;
    expect::problem(&response, 401, "refresh_token_reused");
}

acceptance::on_every_store!(
    rt_02_rt_03_reuse_ends_the_session_and_no_other,
    rt_08_after_a_logout_no_refresh_brings_a_working_token,
    rt_09_the_counter_tells_rotations_of_one_second_apart,
    rt_11_rt_12_a_changed_token_is_refused_and_changes_nothing,
    rt_14_the_key_alone_makes_no_token,
    rt_15_the_absolute_lifetime_is_not_extended,
    rt_16_the_idle_lifetime_slides,
    rt_19_what_carries_a_token_is_never_cached,
    rt_21_logout_and_logout_all_are_the_end_of_it,
    rt_22_no_body_holds_a_refresh_token,
);

acceptance::on_durable_stores!(
    rt_13_the_database_holds_no_token,
    rt_23_storage_is_constant_in_the_number_of_rotations,
    rt_25_a_store_that_lost_its_last_write_loses_no_session_and_forks_none,
);
