//! Each row of the design's table of the silent exchange (section 6), and the promises below it.

use std::time::{Duration, Instant};

use acceptance::wait::{NOTICE, eventually, until};
use acceptance::{ACCESS_SECRET, Client, REFRESH_COOKIE, Request, Running, Settings, Target, expect, store};
use serde_json::Value;

fn me() -> Request {
    Request::get("/api/me")
}

fn public() -> Request {
    Request::get("/api/public")
}

/// A grace of zero, so that every rotation shows in the next one's number: an exchange that should not have happened
/// cannot hide behind a successor that is handed out twice.
fn countable(at: Target) -> Settings {
    at.forgeable().set("REFRESH_TOKEN_GRACE", "0s")
}

/// The session behind the jar was neither rotated nor ended so far.
async fn assert_session_untouched(client: &mut Client) {
    assert_eq!(client.generation(), 1, "the jar still holds the first token");
    let response = client.refresh().await;
    expect::signed_in(&response);
    assert_eq!(client.generation(), 2, "nothing rotated this session before");
}

/// Tokens that must never fall through to the cookie, each with what is wrong with it.
fn refused_tokens(client: &Client) -> Vec<(&'static str, String)> {
    let good = client.jwt();
    let mut flipped = client.access.clone().into_bytes();
    let last = flipped.len() - 10;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    vec![
        ("no JWT", "garbage".to_owned()),
        ("two dots and nothing", "..".to_owned()),
        ("no kid", good.clone().without_header("kid").sign(ACCESS_SECRET)),
        ("a signature bit", String::from_utf8(flipped).expect("ASCII")),
        (
            "another secret",
            good.sign("quite another secret of a good length, not ours"),
        ),
        (
            "another issuer",
            good.clone().claim("iss", "http://elsewhere").sign(ACCESS_SECRET),
        ),
        (
            "another audience",
            good.clone().claim("aud", "elsewhere").sign(ACCESS_SECRET),
        ),
        ("another type", good.clone().header("typ", "JWT").sign(ACCESS_SECRET)),
        ("no session", good.clone().without_claim("sid").sign(ACCESS_SECRET)),
        (
            "expired, and another issuer",
            good.clone().expired_since(60).claim("iss", "x").sign(ACCESS_SECRET),
        ),
        (
            "expired, and another secret",
            good.expired_since(60)
                .sign("quite another secret of a good length, not ours"),
        ),
    ]
}

async fn row_01_a_valid_access_token_is_accepted_and_the_cookie_is_not_looked_at(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let mut other = Client::bob(&app).await;
    other.with_cookies(Request::post("/auth/logout")).await;
    let gone = Client::bob(&app).await.refresh_token();
    for cookie in [client.refresh_token(), "garbage".to_owned(), gone] {
        let response = me().bearer(&client.access).refresh(&cookie).send(app.address()).await;
        assert_eq!(
            (response.status, &response.json()["sub"]),
            (200, &client.jwt().claims["sub"]),
            "{response:?}"
        );
        expect::untouched(&response);
        let response = public()
            .bearer(&client.access)
            .refresh(&cookie)
            .send(app.address())
            .await;
        assert_eq!(
            (response.status, &response.json()["user"]),
            (200, &Value::from("alice")),
            "{response:?}"
        );
        expect::untouched(&response);
    }
    assert_session_untouched(&mut client).await;
}

async fn row_02_a_bad_access_token_never_falls_through_to_the_cookie(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    for (what, token) in refused_tokens(&client) {
        for request in [me(), public()] {
            let response = request
                .bearer(&token)
                .refresh(&client.refresh_token())
                .send(app.address())
                .await;
            assert_eq!(
                response.code().as_deref(),
                Some("invalid_token"),
                "{what}: {response:?}"
            );
            expect::problem(&response, 401, "invalid_token");
            expect::untouched(&response);
        }
    }
    assert_session_untouched(&mut client).await;
}

async fn row_02_a_revoked_access_token_never_falls_through_to_the_cookie(at: Target) {
    let app = countable(at).start().await;
    let mut ended = Client::alice(&app).await;
    let mut live = Client::alice(&app).await;
    assert_eq!(ended.with_bearer(Request::post("/auth/logout")).await.status, 204);
    for request in [me(), public()] {
        let request = request.bearer(&ended.access).refresh(&live.refresh_token());
        let refused = || async { request.send(app.address()).await.status == 401 };
        eventually(NOTICE, "an ended session's access token is refused", refused).await;
        let response = request.send(app.address()).await;
        expect::problem(&response, 401, "token_revoked");
        expect::untouched(&response);
    }
    assert_session_untouched(&mut live).await;
}

async fn row_03_an_expired_token_of_another_session_is_never_mixed_with_the_cookie(at: Target) {
    let app = countable(at).start().await;
    let mut cookie = Client::alice(&app).await;
    for other in [Client::alice(&app).await, Client::bob(&app).await] {
        for request in [me(), public()] {
            let response = request
                .bearer(&other.expired())
                .refresh(&cookie.refresh_token())
                .send(app.address())
                .await;
            expect::problem(&response, 401, "invalid_token");
            expect::untouched(&response);
        }
    }
    assert_session_untouched(&mut cookie).await;
}

async fn row_04_br_06_a_store_that_does_not_answer_is_503_and_the_cookie_is_kept(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let outage = store::Outage::begin(app.settings());
    let cookie = client.refresh_token();
    let unknown = client.jwt().header("kid", "nobody").sign(ACCESS_SECRET);
    let asked = [
        me().refresh(&cookie),
        public().refresh(&cookie),
        me().bearer(&client.expired()).refresh(&cookie),
        me().bearer(&unknown).refresh(&cookie),
        Request::post("/auth/refresh").refresh(&cookie),
        Request::login("alice", "wonderland"),
    ];
    for response in all(&app, &asked).await {
        expect::problem(&response, 503, "store_unavailable");
        expect::untouched(&response);
    }
    let response = me().bearer(&client.access).send(app.address()).await;
    assert_eq!(response.status, 200, "what needs no store goes on: {response:?}");
    outage.end();
    assert_session_untouched(&mut client).await;
}

async fn row_05_without_an_access_token_a_live_cookie_is_exchanged_in_flight(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let first = client.access.clone();
    for generation in 2..5 {
        let response = client.with_cookies(me()).await;
        assert_eq!(
            (response.status, &response.json()["name"]),
            (200, &Value::from("alice")),
            "{response:?}"
        );
        expect::exchanged(&response);
        assert_eq!(client.generation(), generation);
        assert_eq!(client.jwt().generation(), u64::from(generation));
    }
    assert_ne!(client.access, first);
    assert_eq!(client.with_bearer(me()).await.status, 200, "the new access token works");
    let response = client.with_cookies(public()).await;
    assert_eq!(response.json()["user"], "alice", "where the user is optional, too");
    expect::exchanged(&response);
}

async fn row_05_an_expired_token_and_its_live_cookie_are_exchanged_in_flight(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    for generation in 2..4 {
        let expired = client.expired();
        let response = client.with_cookies(me().bearer(&expired)).await;
        assert_eq!(response.status, 200, "{response:?}");
        expect::exchanged(&response);
        assert_eq!(client.generation(), generation);
    }
    let expired = client.expired();
    let response = client.with_cookies(public().bearer(&expired)).await;
    assert_eq!(response.json()["user"], "alice");
    expect::exchanged(&response);
}

async fn row_05_the_claims_of_a_token_with_an_unknown_kid_are_not_believed(at: Target) {
    let app = countable(at).start().await;
    let mut alice = Client::alice(&app).await;
    let bob = Client::bob(&app).await;
    let forged = bob
        .jwt()
        .header("kid", "nobody")
        .sign("a secret of the attacker's own, long enough");
    let response = alice.with_cookies(me().bearer(&forged)).await;
    assert_eq!(
        (response.status, &response.json()["name"]),
        (200, &Value::from("alice")),
        "the cookie decides: {response:?}"
    );
    expect::exchanged(&response);
    assert_eq!(alice.generation(), 2);
}

async fn row_05_a_failing_handler_still_delivers_the_new_pair(at: Target) {
    let app = countable(at).start().await;
    let mut bob = Client::bob(&app).await;
    let response = bob.with_cookies(Request::get("/api/admin")).await;
    assert_eq!(response.status, 403, "{response:?}");
    expect::exchanged(&response);
    let request = Request::post("/api/notes")
        .same_origin()
        .header("Content-Type", "application/json")
        .body("{not json");
    let response = bob.with_cookies(request).await;
    assert_eq!(response.status, 400, "{response:?}");
    expect::exchanged(&response);
    assert_eq!(bob.generation(), 3);
    assert_eq!(bob.with_bearer(me()).await.status, 200);
}

async fn row_05_the_last_word_is_the_handlers(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let expired = client.expired();
    let response = client
        .with_cookies(Request::post("/auth/logout-all").same_origin().bearer(&expired))
        .await;
    assert_eq!(response.status, 200, "{response:?}");
    expect::cleared(&response);
    assert_eq!(client.jar.value(REFRESH_COOKIE), None);
}

async fn row_06_an_expired_token_whose_session_is_over_is_401_with_the_reason_and_clears_the_cookie(at: Target) {
    let app = countable(at).set("REFRESH_TOKEN_REUSE", "strict").start().await;
    let mut left = Client::alice(&app).await;
    let cookie = left.refresh_token();
    assert_eq!(left.with_cookies(Request::post("/auth/logout")).await.status, 204);
    let mut robbed = Client::alice(&app).await;
    let stolen = robbed.refresh_token();
    robbed.refresh().await;
    let response = Request::post("/auth/refresh")
        .refresh(&stolen)
        .send(app.address())
        .await;
    expect::problem(&response, 401, "refresh_token_reused");
    for (client, cookie, code) in [
        (&left, cookie, "session_ended"),
        (&robbed, robbed.refresh_token(), "refresh_token_reused"),
    ] {
        let unknown = client.jwt().header("kid", "nobody").sign(ACCESS_SECRET);
        for token in [client.expired(), unknown] {
            for request in [me(), public()] {
                let response = request.bearer(&token).refresh(&cookie).send(app.address()).await;
                expect::problem(&response, 401, code);
                expect::cleared(&response);
            }
        }
    }
}

/// Real time: an idle lifetime of one second has to pass.
async fn row_06_and_08_a_session_that_lapsed_says_so(at: Target) {
    let settings = countable(at)
        .set("ACCESS_TOKEN_EXPIRATION", "1s")
        .set("REFRESH_TOKEN_EXPIRATION", "1s");
    let app = settings.start().await;
    let client = Client::alice(&app).await;
    until(Instant::now(), Duration::from_secs(1)).await;
    let with_token = me()
        .bearer(&client.access)
        .refresh(&client.refresh_token())
        .send(app.address())
        .await;
    let without = me().refresh(&client.refresh_token()).send(app.address()).await;
    let route = Request::post("/auth/refresh")
        .refresh(&client.refresh_token())
        .send(app.address())
        .await;
    for response in [with_token, without, route] {
        expect::problem(&response, 401, "refresh_token_expired");
        expect::cleared(&response);
    }
}

async fn row_07_an_expired_token_alone_is_401_also_where_the_user_is_optional(at: Target) {
    let app = countable(at).start().await;
    let client = Client::alice(&app).await;
    let unknown = client.jwt().header("kid", "nobody").sign(ACCESS_SECRET);
    for (token, code) in [(client.expired(), "token_expired"), (unknown, "invalid_token")] {
        for request in [me(), public()] {
            let request = request.bearer(&token);
            for request in [request.clone(), request.refresh("garbage")] {
                let response = request.send(app.address()).await;
                expect::problem(&response, 401, code);
                expect::untouched(&response);
            }
        }
    }
}

async fn row_08_a_cookie_whose_session_is_over_is_anonymous_and_cleared(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    let cookie = client.refresh_token();
    assert_eq!(client.with_cookies(Request::post("/auth/logout")).await.status, 204);
    let response = public().refresh(&cookie).send(app.address()).await;
    assert_eq!(
        (response.status, &response.json()["user"]),
        (200, &Value::Null),
        "{response:?}"
    );
    expect::cleared(&response);
    let response = me().refresh(&cookie).send(app.address()).await;
    expect::problem(&response, 401, "session_ended");
    expect::cleared(&response);
}

async fn row_09_a_cookie_that_is_not_authentic_is_anonymous_and_left_alone(at: Target) {
    let app = countable(at).start().await;
    let client = Client::alice(&app).await;
    let mut altered = client.refresh_token().into_bytes();
    altered[40] = if altered[40] == b'A' { b'B' } else { b'A' };
    for cookie in [
        "garbage".to_owned(),
        String::new(),
        String::from_utf8(altered).expect("ASCII"),
    ] {
        let response = public().refresh(&cookie).send(app.address()).await;
        assert_eq!(
            (response.status, &response.json()["user"]),
            (200, &Value::Null),
            "{response:?}"
        );
        expect::untouched(&response);
        let response = me().refresh(&cookie).send(app.address()).await;
        expect::problem(&response, 401, "invalid_refresh_token");
        expect::untouched(&response);
    }
}

async fn row_10_br_01_nothing_sent_is_anonymous(at: Target) {
    let app = at.start().await;
    let response = public().send(app.address()).await;
    assert_eq!(
        (response.status, &response.json()["user"]),
        (200, &Value::Null),
        "{response:?}"
    );
    let response = me().send(app.address()).await;
    expect::problem(&response, 401, "missing_token");
    expect::untouched(&response);
}

async fn a_route_that_asks_for_nobody_exchanges_nothing(at: Target) {
    let app = countable(at).start().await;
    let mut client = Client::alice(&app).await;
    for target in ["/healthz", "/", "/.well-known/jwks.json"] {
        let response = client.with_cookies(Request::get(target)).await;
        assert_eq!(response.status, 200, "{target}: {response:?}");
        expect::untouched(&response);
    }
    assert_session_untouched(&mut client).await;
}

/// Sends requests side by side.
async fn all(app: &Running, requests: &[Request]) -> Vec<acceptance::Response> {
    let address = app.address();
    let started: Vec<_> = requests
        .iter()
        .cloned()
        .map(|r| tokio::spawn(async move { r.send(address).await }))
        .collect();
    let mut answers = Vec::new();
    for task in started {
        answers.push(task.await.expect("an answer"));
    }
    answers
}

acceptance::on_every_store!(
    row_01_a_valid_access_token_is_accepted_and_the_cookie_is_not_looked_at,
    row_02_a_bad_access_token_never_falls_through_to_the_cookie,
    row_02_a_revoked_access_token_never_falls_through_to_the_cookie,
    row_03_an_expired_token_of_another_session_is_never_mixed_with_the_cookie,
    row_05_without_an_access_token_a_live_cookie_is_exchanged_in_flight,
    row_05_an_expired_token_and_its_live_cookie_are_exchanged_in_flight,
    row_05_the_claims_of_a_token_with_an_unknown_kid_are_not_believed,
    row_05_a_failing_handler_still_delivers_the_new_pair,
    row_05_the_last_word_is_the_handlers,
    row_06_an_expired_token_whose_session_is_over_is_401_with_the_reason_and_clears_the_cookie,
    row_06_and_08_a_session_that_lapsed_says_so,
    row_07_an_expired_token_alone_is_401_also_where_the_user_is_optional,
    row_08_a_cookie_whose_session_is_over_is_anonymous_and_cleared,
    row_09_a_cookie_that_is_not_authentic_is_anonymous_and_left_alone,
    row_10_br_01_nothing_sent_is_anonymous,
    a_route_that_asks_for_nobody_exchanges_nothing,
);

acceptance::on_durable_stores!(row_04_br_06_a_store_that_does_not_answer_is_503_and_the_cookie_is_kept);
