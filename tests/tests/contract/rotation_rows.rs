//! Each row of the design's rotation table (section 5), on `/auth/refresh` and on the silent path.
//!
//! Where a grace has to pass, it passes for real: two seconds, and no step before its end depends on being quick.

use std::time::{Duration, Instant};

use acceptance::store::Row;
use acceptance::wait::{NOTICE, eventually, until};
use acceptance::{Client, Jwt, REFRESH_SECRET, RefreshToken, Request, Response, Running, Target, expect, store};

const GRACE: Duration = Duration::from_secs(2);

async fn short_grace(at: Target) -> Running {
    at.forgeable().set("REFRESH_TOKEN_GRACE", "2s").start().await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Route,
    Silent,
}

const BOTH: [Path; 2] = [Path::Route, Path::Silent];

impl Path {
    async fn present(self, app: &Running, token: &str) -> Response {
        let request = match self {
            Self::Route => Request::post("/auth/refresh"),
            Self::Silent => Request::get("/api/me"),
        };
        request.refresh(token).send(app.address()).await
    }

    /// A new generation and a new access token came; returns the refresh token.
    #[track_caller]
    fn new_pair(self, response: &Response, generation: u32) -> String {
        assert_eq!(response.status, 200, "{self:?}: {response:?}");
        if self == Self::Silent {
            expect::exchanged(response);
        } else {
            expect::signed_in(response);
        }
        let token = response
            .refresh_token()
            .unwrap_or_else(|| panic!("{self:?}: a new cookie: {response:?}"));
        expect::attributes(&response.refresh_cookie().expect("a cookie"));
        assert_eq!(RefreshToken::decode(&token).generation(), generation, "{self:?}");
        assert_eq!(
            access_generation(response),
            u64::from(generation),
            "{self:?}: the pair belongs together"
        );
        token
    }

    /// The session is over, because two parties held it.
    #[track_caller]
    fn stolen(self, response: &Response) {
        expect::problem(response, 401, "refresh_token_reused");
        expect::cleared(response);
    }
}

fn access_generation(response: &Response) -> u64 {
    Jwt::decode(
        &response
            .access_token()
            .unwrap_or_else(|| panic!("an access token: {response:?}")),
    )
    .generation()
}

/// What the store holds, where a test can look into it.
fn row(at: Target, app: &Running, client: &Client) -> Option<Row> {
    at.store
        .is_durable()
        .then(|| store::session(app.settings(), &client.session_id()))
}

/// Waits until the presentation of `current` has been noted: the predecessor then brings no refresh token any more.
async fn noted(app: &Running, predecessor: &str) {
    let refused = || async { Path::Route.present(app, predecessor).await.refresh_token().is_none() };
    eventually(NOTICE, "the current generation counts as seen", refused).await;
}

/// Everything that was ever handed out for this session is refused, and it stays so.
async fn assert_over(app: &Running, tokens: &[&str], access: &[&str]) {
    for token in tokens {
        for path in BOTH {
            path.stolen(&path.present(app, token).await);
        }
    }
    for access in access {
        let refused = || async { Request::get("/api/me").bearer(access).send(app.address()).await.status == 401 };
        eventually(NOTICE, "an access token of a stolen session is refused", refused).await;
        expect::problem(
            &Request::get("/api/me").bearer(access).send(app.address()).await,
            401,
            "token_revoked",
        );
    }
}

async fn row_1_rt_01_the_current_generation_after_the_grace_rotates(at: Target) {
    let app = short_grace(at).await;
    for path in BOTH {
        let client = Client::alice(&app).await;
        let first = client.refresh_token();
        assert_eq!(
            (client.generation(), client.jwt().generation()),
            (1, 1),
            "a session begins at generation 1"
        );
        let second = path.new_pair(&path.present(&app, &first).await, 2);
        if let Some(row) = row(at, &app, &client) {
            assert_eq!(
                row,
                Row {
                    current: 2,
                    confirmed: Some(1),
                    seen: false
                }
            );
        }
        let rotated = Instant::now();
        until(rotated, GRACE).await;
        let third = path.new_pair(&path.present(&app, &second).await, 3);
        let secrets = [first, second, third].map(|token| RefreshToken::decode(&token).secret().to_vec());
        assert!(
            secrets.windows(2).all(|pair| pair[0] == pair[1]),
            "one secret for the session's life"
        );
    }
}

async fn row_2_the_current_generation_within_the_grace_gets_an_access_token_and_no_cookie(at: Target) {
    let app = at.start().await;
    for path in BOTH {
        let client = Client::alice(&app).await;
        let second = path.new_pair(&path.present(&app, &client.refresh_token()).await, 2);
        for _ in 0..3 {
            let response = path.present(&app, &second).await;
            assert_eq!(response.status, 200, "{response:?}");
            assert_eq!(response.refresh_cookie(), None, "no rotation: {response:?}");
            assert_eq!(access_generation(&response), 2);
            expect::assert_no_store(&response);
        }
        if at.store.is_durable() {
            let seen = || async { row(at, &app, &client).is_some_and(|row| row.seen && row.current == 2) };
            eventually(NOTICE, "the store knows that generation 2 was seen", seen).await;
        }
    }
}

async fn row_3_rt_05_the_predecessor_at_once_gets_the_same_successor_again(at: Target) {
    let app = at.start().await;
    for path in BOTH {
        let client = Client::alice(&app).await;
        let second = path.new_pair(&path.present(&app, &client.refresh_token()).await, 2);
        let before = row(at, &app, &client);
        for again in BOTH {
            let repeated = again.new_pair(&again.present(&app, &client.refresh_token()).await, 2);
            assert_eq!(repeated, second, "the identical successor");
        }
        assert_eq!(row(at, &app, &client), before, "nothing was written");
    }
}

/// An answer without a refresh token, whose access token, if there is one, belongs to the predecessor.
#[track_caller]
fn tolerated(path: Path, response: &Response) {
    assert_eq!(response.status, 200, "{path:?}: {response:?}");
    assert_eq!(response.refresh_cookie(), None, "{path:?}: {response:?}");
    match path {
        Path::Route => assert_eq!(
            access_generation(response),
            1,
            "it must not prove that generation 2 was seen"
        ),
        Path::Silent => {
            expect::untouched(response);
            assert_eq!(response.json()["name"], "alice");
        }
    }
}

async fn row_4_the_predecessor_once_its_successor_was_seen_is_answered_without_a_refresh_token(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let first = client.refresh_token();
    let second = Path::Route.new_pair(&Path::Route.present(&app, &first).await, 2);
    Path::Route.present(&app, &second).await;
    noted(&app, &first).await;
    for path in BOTH {
        tolerated(path, &path.present(&app, &first).await);
    }
    let response = Path::Route.present(&app, &second).await;
    assert_eq!(
        (response.status, response.refresh_cookie()),
        (200, None),
        "the session lives: {response:?}"
    );
}

/// A grace of six seconds: from the third second on, no successor leaves any more.
async fn row_4_the_predecessor_after_a_third_of_the_grace_is_answered_without_a_refresh_token(at: Target) {
    let app = at.settings().set("REFRESH_TOKEN_GRACE", "6s").start().await;
    let client = Client::alice(&app).await;
    let first = client.refresh_token();
    Path::Route.new_pair(&Path::Route.present(&app, &first).await, 2);
    let rotated = Instant::now();
    until(rotated, Duration::from_secs(2)).await;
    let mut late = Client::clone(&client);
    for path in BOTH {
        let response = path.present(&app, &first).await;
        tolerated(path, &response);
        late.absorb(response);
    }
    assert_eq!(late.with_bearer(Request::get("/api/me")).await.status, 200);
    until(rotated, Duration::from_secs(6)).await;
    // The access token that was just used proved nothing about generation 2, so this is a lost response and no theft.
    Path::Route.new_pair(&Path::Route.present(&app, &first).await, 3);
}

async fn row_5_rt_04_a_lost_response_recovers_and_its_orphan_is_a_theft(at: Target) {
    let app = short_grace(at).await;
    let scenario = async |path: Path| {
        let client = Client::alice(&app).await;
        let first = client.refresh_token();
        let lost = path.new_pair(&path.present(&app, &first).await, 2);
        until(Instant::now(), GRACE).await;
        let response = path.present(&app, &first).await;
        let third = path.new_pair(&response, 3);
        let access = response.access_token().expect("an access token");
        if let Some(row) = row(at, &app, &client) {
            assert_eq!((row.current, row.confirmed, row.seen), (3, Some(1), false));
        }
        path.stolen(&path.present(&app, &lost).await);
        assert_over(&app, &[&lost, &third, &first], &[&access, &client.access]).await;
    };
    tokio::join!(scenario(Path::Route), scenario(Path::Silent));
}

async fn row_5_the_lost_successor_may_still_be_used_before_anybody_recovers(at: Target) {
    let app = short_grace(at).await;
    let client = Client::alice(&app).await;
    let second = Path::Route.new_pair(&Path::Route.present(&app, &client.refresh_token()).await, 2);
    until(Instant::now(), GRACE).await;
    Path::Route.new_pair(&Path::Route.present(&app, &second).await, 3);
}

async fn row_5_strict_takes_a_lost_response_for_a_theft(at: Target) {
    let app = at
        .settings()
        .set("REFRESH_TOKEN_GRACE", "2s")
        .set("REFRESH_TOKEN_REUSE", "strict")
        .start()
        .await;
    let scenario = async |path: Path| {
        let client = Client::alice(&app).await;
        let first = client.refresh_token();
        let second = path.new_pair(&path.present(&app, &first).await, 2);
        assert_eq!(
            path.new_pair(&path.present(&app, &first).await, 2),
            second,
            "a race is no theft, strict or not"
        );
        until(Instant::now(), GRACE).await;
        path.stolen(&path.present(&app, &first).await);
        assert_over(&app, &[&second], &[&client.access]).await;
    };
    tokio::join!(scenario(Path::Route), scenario(Path::Silent));
}

async fn row_6_rt_03_a_predecessor_whose_successor_was_seen_ends_this_session_only(at: Target) {
    let app = short_grace(at).await;
    let mut second_device = Client::alice(&app).await;
    let scenario = async |path: Path| {
        let client = Client::alice(&app).await;
        let first = client.refresh_token();
        let second = path.new_pair(&path.present(&app, &first).await, 2);
        path.present(&app, &second).await;
        // From here the grace of the rotation and the second for the note both pass.
        until(Instant::now(), GRACE).await;
        path.stolen(&path.present(&app, &first).await);
        assert_over(&app, &[&second], &[&client.access]).await;
    };
    tokio::join!(scenario(Path::Route), scenario(Path::Silent));
    expect::signed_in(&second_device.refresh().await);
}

async fn row_6_an_access_token_proves_that_its_generation_arrived(at: Target) {
    let app = short_grace(at).await;
    let mut client = Client::alice(&app).await;
    let first = client.refresh_token();
    Path::Route.new_pair(&client.refresh().await, 2);
    assert_eq!(client.with_bearer(Request::get("/api/me")).await.status, 200);
    until(Instant::now(), GRACE).await;
    Path::Route.stolen(&Path::Route.present(&app, &first).await);
}

async fn row_7_rt_06_anything_older_than_the_predecessor_is_a_theft_at_any_age(at: Target) {
    let app = short_grace(at).await;
    let scenario = async |path: Path| {
        let client = Client::alice(&app).await;
        let first = client.refresh_token();
        let second = path.new_pair(&path.present(&app, &first).await, 2);
        until(Instant::now(), GRACE).await;
        let response = path.present(&app, &second).await;
        let third = path.new_pair(&response, 3);
        // Within the grace of the second rotation.
        path.stolen(&path.present(&app, &first).await);
        assert_over(
            &app,
            &[&third, &second],
            &[&response.access_token().expect("an access token")],
        )
        .await;
    };
    tokio::join!(scenario(Path::Route), scenario(Path::Silent));
}

async fn row_8_rt_25_a_generation_that_the_store_forgot_is_healed_forward(at: Target) {
    let app = at.forgeable().start().await;
    for path in BOTH {
        let client = Client::alice(&app).await;
        let first = client.refresh_token();
        let ahead = RefreshToken::decode(&first)
            .with_generation(9)
            .authenticated(REFRESH_SECRET)
            .encode();
        let tenth = path.new_pair(&path.present(&app, &ahead).await, 10);
        if let Some(row) = row(at, &app, &client) {
            // `confirmed` is `current` itself in a healed row; the presented generation is the one before.
            assert_eq!((row.current, row.confirmed, row.seen), (10, Some(10), false));
        }
        assert_eq!(
            path.new_pair(&path.present(&app, &ahead).await, 10),
            tenth,
            "a race of two is one healing"
        );
        path.stolen(&path.present(&app, &first).await);
        assert_over(&app, &[&tenth], &[&client.access]).await;
    }
}

async fn row_8_the_last_number_of_the_counter_is_no_way_around_it(at: Target) {
    let app = at.forgeable().start().await;
    for path in BOTH {
        let client = Client::alice(&app).await;
        let last = RefreshToken::decode(&client.refresh_token())
            .with_generation(u32::MAX)
            .authenticated(REFRESH_SECRET);
        path.stolen(&path.present(&app, &last.encode()).await);
    }
}

async fn a_grace_of_zero_is_the_classical_rule(at: Target) {
    let app = at
        .settings()
        .set("REFRESH_TOKEN_GRACE", "0s")
        .set("REFRESH_TOKEN_REUSE", "strict")
        .start()
        .await;
    for path in BOTH {
        let client = Client::alice(&app).await;
        let mut tokens = vec![client.refresh_token()];
        for generation in 2..6 {
            let response = path.present(&app, tokens.last().expect("a token")).await;
            tokens.push(path.new_pair(&response, generation));
        }
        path.stolen(&path.present(&app, &tokens[3]).await);
        assert_over(&app, &[&tokens[4]], &[]).await;
    }
}

acceptance::on_every_store!(
    row_1_rt_01_the_current_generation_after_the_grace_rotates,
    row_2_the_current_generation_within_the_grace_gets_an_access_token_and_no_cookie,
    row_3_rt_05_the_predecessor_at_once_gets_the_same_successor_again,
    row_4_the_predecessor_once_its_successor_was_seen_is_answered_without_a_refresh_token,
    row_4_the_predecessor_after_a_third_of_the_grace_is_answered_without_a_refresh_token,
    row_5_rt_04_a_lost_response_recovers_and_its_orphan_is_a_theft,
    row_5_the_lost_successor_may_still_be_used_before_anybody_recovers,
    row_5_strict_takes_a_lost_response_for_a_theft,
    row_6_rt_03_a_predecessor_whose_successor_was_seen_ends_this_session_only,
    row_6_an_access_token_proves_that_its_generation_arrived,
    row_7_rt_06_anything_older_than_the_predecessor_is_a_theft_at_any_age,
    row_8_rt_25_a_generation_that_the_store_forgot_is_healed_forward,
    row_8_the_last_number_of_the_counter_is_no_way_around_it,
    a_grace_of_zero_is_the_classical_rule,
);
