//! The refresh cookie: its attributes, its lifetime, its look-alikes (RFC 6265bis).

use std::time::{Duration, Instant};

use acceptance::wait::until;
use acceptance::{Client, REFRESH_COOKIE, RefreshToken, Request, Running, Settings, Target, expect};

fn countable(at: Target) -> Settings {
    at.forgeable().set("REFRESH_TOKEN_GRACE", "0s")
}

async fn ck_01_ck_02_ck_04_ck_05_ck_12_every_line_about_the_cookie_has_the_same_attributes(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let login = Request::login("alice", "wonderland").send(app.address()).await;
    let refresh = client.refresh().await;
    let silent = client.with_cookies(Request::get("/api/me")).await;
    let logout = client.with_cookies(Request::post("/auth/logout")).await;
    let shapes: Vec<_> = [login, refresh, silent, logout]
        .iter()
        .map(|response| {
            let mut cookie = response
                .refresh_cookie()
                .unwrap_or_else(|| panic!("a cookie: {response:?}"));
            expect::attributes(&cookie);
            expect::assert_no_store(response);
            assert!(
                cookie.max_age().is_some(),
                "a session cookie is lost by mobile browsers: {cookie:?}"
            );
            for changing in ["max-age", "expires"] {
                cookie.attributes.remove(changing);
            }
            (cookie.name, cookie.attributes)
        })
        .collect();
    assert!(
        shapes.windows(2).all(|pair| pair[0] == pair[1]),
        "CK-07: deletion repeats them: {shapes:?}"
    );
}

/// Real time: three seconds, so that the absolute remainder becomes the smaller one and shrinks.
async fn ck_06_rt_15_max_age_is_the_smaller_remainder(at: Target) {
    let settings = at
        .settings()
        .set("REFRESH_TOKEN_GRACE", "0s")
        .set("ACCESS_TOKEN_EXPIRATION", "10s");
    let app = settings
        .set("REFRESH_TOKEN_EXPIRATION", "60s")
        .set("REFRESH_TOKEN_ABSOLUTE_EXPIRATION", "61s")
        .start()
        .await;
    let login = Request::login("alice", "wonderland").send(app.address()).await;
    assert_eq!(
        login.refresh_cookie().and_then(|cookie| cookie.max_age()),
        Some(60),
        "idle: {login:?}"
    );
    let begun = Instant::now();
    let mut client = Client::alice(&app).await;
    until(begun, Duration::from_secs(3)).await;
    let response = client.refresh().await;
    let left = response
        .refresh_cookie()
        .and_then(|cookie| cookie.max_age())
        .expect("Max-Age");
    assert!(
        (50..=58).contains(&left),
        "the absolute lifetime is not extended: {left}"
    );
}

async fn ck_06_the_default_max_age_is_seven_days(at: Target) {
    let app = at.start().await;
    let login = Request::login("alice", "wonderland").send(app.address()).await;
    assert_eq!(
        login.refresh_cookie().and_then(|cookie| cookie.max_age()),
        Some(7 * 24 * 60 * 60)
    );
}

async fn ck_08_garbage_never_clears_a_cookie(at: Target) {
    let app = countable(at).start().await;
    let client = Client::alice(&app).await;
    let altered = RefreshToken::decode(&client.refresh_token())
        .with_generation(2)
        .encode();
    for cookie in [
        "garbage",
        "",
        &altered,
        &client.refresh_token()[1..],
        &format!("{}A", client.refresh_token()),
    ] {
        for request in [
            Request::get("/api/me"),
            Request::get("/api/public"),
            Request::post("/auth/refresh"),
        ] {
            expect::untouched(&request.refresh(cookie).send(app.address()).await);
        }
    }
}

/// What a client got for a `Cookie` header.
async fn exchange(app: &Running, lines: &[String]) -> Option<RefreshToken> {
    let mut request = Request::get("/api/me");
    for line in lines {
        request = request.header("Cookie", line);
    }
    let response = request.send(app.address()).await;
    if response.status != 200 {
        assert_eq!(response.status, 401, "CK-09: {response:?}");
        return None;
    }
    Some(RefreshToken::decode(&expect::exchanged(&response)))
}

async fn ck_09_among_several_cookies_of_the_name_the_valid_one_wins(at: Target) {
    let app = countable(at).start().await;
    for (before, after) in [("garbage", ""), ("", "garbage"), ("garbage", "A"), ("%00", "%zz")] {
        let token = Client::alice(&app).await.refresh_token();
        let one_line = format!("{REFRESH_COOKIE}={before}; a=b; {REFRESH_COOKIE}={token}; {REFRESH_COOKIE}={after}");
        let got = exchange(&app, &[one_line]).await.expect("exchanged");
        assert_eq!(got.secret(), RefreshToken::decode(&token).secret());
    }
}

async fn ck_09_of_one_session_the_highest_generation_counts(at: Target) {
    let app = countable(at).set("REFRESH_TOKEN_REUSE", "strict").start().await;
    for newest_first in [true, false] {
        let mut client = Client::alice(&app).await;
        let mut tokens = vec![client.refresh_token()];
        for _ in 0..2 {
            client.refresh().await;
            tokens.push(client.refresh_token());
        }
        if newest_first {
            tokens.reverse();
        }
        let lines: Vec<_> = tokens.iter().map(|token| format!("{REFRESH_COOKIE}={token}")).collect();
        let got = exchange(&app, &[lines.join("; ")])
            .await
            .expect("an older one beside it is no theft");
        assert_eq!(got.generation(), 4);
    }
}

async fn ck_09_of_several_live_sessions_the_first_sent_counts(at: Target) {
    let app = countable(at).start().await;
    for alice_first in [true, false] {
        let (mut first, mut second) = (
            Client::alice(&app).await.refresh_token(),
            Client::bob(&app).await.refresh_token(),
        );
        if !alice_first {
            std::mem::swap(&mut first, &mut second);
        }
        let got = exchange(&app, &[format!("{REFRESH_COOKIE}={first}; {REFRESH_COOKIE}={second}")]).await;
        assert_eq!(got.expect("exchanged").secret(), RefreshToken::decode(&first).secret());
    }
}

async fn ck_09_a_session_that_is_over_does_not_hide_a_live_one(at: Target) {
    let app = countable(at).start().await;
    for dead_first in [true, false] {
        let mut ended = Client::alice(&app).await;
        let dead = ended.refresh_token();
        ended.with_cookies(Request::post("/auth/logout")).await;
        let live = Client::alice(&app).await.refresh_token();
        let (first, second) = if dead_first { (&dead, &live) } else { (&live, &dead) };
        let got = exchange(&app, &[format!("{REFRESH_COOKIE}={first}; {REFRESH_COOKIE}={second}")]).await;
        assert_eq!(got.expect("exchanged").secret(), RefreshToken::decode(&live).secret());
    }
}

/// HTTP/2 splits the header, and so may a proxy in front of HTTP/1.1.
async fn split_cookie_lines_are_read_as_one(at: Target) {
    let app = countable(at).start().await;
    let token = Client::alice(&app).await.refresh_token();
    let lines = ["a=b".to_owned(), format!("{REFRESH_COOKIE}={token}"), "c=d".to_owned()];
    assert!(exchange(&app, &lines).await.is_some());
    let lines = [
        format!("{REFRESH_COOKIE}=garbage"),
        format!("x=%22; {REFRESH_COOKIE}={}", Client::bob(&app).await.refresh_token()),
    ];
    assert!(exchange(&app, &lines).await.is_some());
}

async fn percent_signs_are_left_as_they_are(at: Target) {
    let app = countable(at).start().await;
    let token = Client::alice(&app).await.refresh_token();
    let mut encoded = format!("%{:02X}", token.as_bytes()[0]);
    encoded.push_str(&token[1..]);
    assert!(
        exchange(&app, &[format!("{REFRESH_COOKIE}={encoded}")]).await.is_none(),
        "a decoded value would be a second spelling"
    );
    assert!(
        exchange(&app, &[format!("other=100%; {REFRESH_COOKIE}={token}; more=%")])
            .await
            .is_some()
    );
}

async fn many_cookies_are_no_trouble(at: Target) {
    let app = countable(at).start().await;
    let token = Client::alice(&app).await.refresh_token();
    let crowd: String = (0..100).map(|i| format!("{REFRESH_COOKIE}=garbage{i}; ")).collect();
    let response = Request::get("/api/me")
        .header("Cookie", format!("{crowd}{REFRESH_COOKIE}={token}"))
        .send(app.address())
        .await;
    assert!(
        matches!(response.status, 200 | 400 | 401),
        "bounded, never an error of ours: {response:?}"
    );
    let response = Request::get("/api/me").refresh(&token).send(app.address()).await;
    assert_eq!(response.status, 200, "and the session lives: {response:?}");
}

acceptance::on_every_store!(
    ck_01_ck_02_ck_04_ck_05_ck_12_every_line_about_the_cookie_has_the_same_attributes,
    ck_06_rt_15_max_age_is_the_smaller_remainder,
    ck_08_garbage_never_clears_a_cookie,
    ck_09_among_several_cookies_of_the_name_the_valid_one_wins,
    ck_09_of_one_session_the_highest_generation_counts,
    ck_09_of_several_live_sessions_the_first_sent_counts,
    ck_09_a_session_that_is_over_does_not_hide_a_live_one,
);

acceptance::on_every_app!(
    ck_06_the_default_max_age_is_seven_days,
    split_cookie_lines_are_read_as_one,
    percent_signs_are_left_as_they_are,
    many_cookies_are_no_trouble,
);
