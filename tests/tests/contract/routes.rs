//! Every route of the design's HTTP surface (section 8) and of the example apps (section 9), with everything that is wrong.

use acceptance::{Client, Jwt, REFRESH_COOKIE, Request, Response, Target, expect};
use serde_json::{Value, json};

const AUTH_ROUTES: [(&str, &str); 6] = [
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/logout-all"),
    ("GET", "/auth/sessions"),
    ("DELETE", "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAAAA"),
];

async fn login_brings_an_access_token_and_a_refresh_cookie(at: Target) {
    let app = at.start().await;
    for body in [
        json!({"username": "alice", "password": "wonderland"}),
        json!({"username": "alice", "password": "wonderland", "device": "a phone"}),
        json!({"username": "alice", "password": "wonderland", "device": null}),
    ] {
        let response = Request::post("/auth/login").json(&body).send(app.address()).await;
        let token = expect::signed_in(&response);
        expect::attributes(&response.refresh_cookie().expect("a refresh cookie"));
        let expires_in = response.json()["expires_in"].as_i64().expect("seconds");
        let claims = Jwt::decode(&token).claims;
        let lifetime = claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat");
        assert!(
            (840..=900).contains(&lifetime),
            "AT-21: 15 minutes, jitter subtracts only: {lifetime}"
        );
        assert!(
            (lifetime - 1..=lifetime).contains(&expires_in),
            "expires_in says so: {expires_in} of {lifetime}"
        );
    }
}

async fn login_takes_json_with_a_charset_and_any_case(at: Target) {
    let app = at.start().await;
    for media_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;charset=UTF-8",
    ] {
        let body = br#"{"username":"alice","password":"wonderland"}"#;
        let request = Request::post("/auth/login")
            .header("Content-Type", media_type)
            .body(body);
        expect::signed_in(&request.send(app.address()).await);
    }
}

async fn a_wrong_password_and_an_unknown_user_are_answered_alike(at: Target) {
    let app = at.start().await;
    let mut answers = Vec::new();
    for (username, password) in [
        ("alice", "wrong"),
        ("nobody", "wonderland"),
        ("", ""),
        ("alice", ""),
        ("ALICE", "wonderland"),
    ] {
        let response = Request::login(username, password).send(app.address()).await;
        expect::problem(&response, 401, "invalid_credentials");
        expect::untouched(&response);
        answers.push((response.status, response.body.clone()));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "BR-09: {answers:?}");
}

async fn a_login_of_the_wrong_shape_is_400(at: Target) {
    let app = at.start().await;
    let deep = format!("{}{}", "[".repeat(8000), "]".repeat(8000));
    let bodies: [&[u8]; 16] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\"alice\"",
        b"{}",
        br#"{"username":"alice"}"#,
        br#"{"password":"wonderland"}"#,
        br#"{"username":1,"password":"wonderland"}"#,
        br#"{"username":"alice","password":null}"#,
        br#"{"username":"alice","password":["wonderland"]}"#,
        br#"{"username":"alice","password":"wonderland","device":7}"#,
        br#"{"username":"alice","password":"wonderland"} trailing"#,
        b"{\"username\":\"alice\",\"password\":\"\xff\xfe\"}",
        b"username=alice&password=wonderland",
        deep.as_bytes(),
    ];
    for body in bodies {
        let request = Request::post("/auth/login")
            .header("Content-Type", "application/json")
            .body(body);
        let response = request.send(app.address()).await;
        expect::problem(&response, 400, "invalid_request");
        expect::untouched(&response);
    }
}

async fn a_login_of_another_media_type_is_415(at: Target) {
    let app = at.start().await;
    let body = br#"{"username":"alice","password":"wonderland"}"#;
    let login = || Request::post("/auth/login").body(body);
    for request in [
        login(),
        login().header("Content-Type", "text/plain"),
        login().header("Content-Type", "application/x-www-form-urlencoded"),
        login().header("Content-Type", "application/jsonp"),
        login().header("Content-Type", b"\xff"),
    ] {
        let response = request.send(app.address()).await;
        expect::problem(&response, 415, "unsupported_media_type");
        expect::untouched(&response);
    }
}

async fn a_login_body_is_limited_to_16_kib(at: Target) {
    let app = at.start().await;
    let sized = |size: usize| {
        let mut body = br#"{"username":"alice","password":"wonderland"}"#.to_vec();
        body.resize(size, b' ');
        Request::post("/auth/login")
            .header("Content-Type", "application/json")
            .body(body)
    };
    expect::signed_in(&sized(16 * 1024).send(app.address()).await);
    expect::signed_in(&sized(16 * 1024).chunked().send(app.address()).await);
    for request in [sized(16 * 1024 + 1), sized(16 * 1024 + 1).chunked(), sized(1024 * 1024)] {
        let response = request.send(app.address()).await;
        expect::problem(&response, 413, "payload_too_large");
        expect::untouched(&response);
    }
}

async fn cs_08_another_method_is_405_and_allow_names_the_right_one(at: Target) {
    let app = at.start().await;
    let mut client = Client::alice(&app).await;
    for (right, target) in AUTH_ROUTES {
        for wrong in ["GET", "POST", "PUT", "PATCH", "DELETE", "FROB"] {
            if wrong == right {
                continue;
            }
            let response = client.with_cookies(Request::new(wrong, target).same_origin()).await;
            expect::problem(&response, 405, "method_not_allowed");
            let allow = response
                .header("allow")
                .unwrap_or_else(|| panic!("{wrong} {target}: Allow"));
            assert!(
                allow.split(',').any(|method| method.trim() == right),
                "{wrong} {target}: {allow}"
            );
            expect::untouched(&response);
        }
    }
    for target in ["/auth/login", "/auth/refresh", "/auth/logout", "/auth/logout-all"] {
        assert_eq!(
            Request::new("HEAD", target).send(app.address()).await.status,
            405,
            "HEAD {target}"
        );
    }
    assert_eq!(client.generation(), 1);
    expect::signed_in(&client.refresh().await);
}

async fn an_unknown_path_is_404(at: Target) {
    let app = at.start().await;
    let long = format!("/{}", "a".repeat(4000));
    for target in [
        "/auth",
        "/auth/",
        "/auth/nothing",
        "/auth/login/",
        "/auth/sessions/a/b",
        "/nothing",
        "/%00",
        "/%ff",
        &long,
    ] {
        let response = Request::get(target).send(app.address()).await;
        assert_eq!(response.status, 404, "{target}: {response:?}");
    }
}

async fn rt_19_refresh_answers_as_login(at: Target) {
    let app = at.start().await;
    let mut client = Client::alice(&app).await;
    let session = client.session_id();
    let response = client.refresh().await;
    expect::signed_in(&response);
    expect::attributes(&response.refresh_cookie().expect("a new cookie"));
    assert_eq!(response.json()["session_id"], session, "one session");
    assert_eq!(client.with_bearer(Request::get("/api/me")).await.status, 200);
}

async fn refresh_without_a_usable_cookie_is_401(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let refresh = || Request::post("/auth/refresh");
    for request in [
        refresh(),
        refresh().cookie("other", "1"),
        refresh().bearer(&client.access),
    ] {
        let response = request.send(app.address()).await;
        expect::problem(&response, 401, "missing_refresh_token");
        expect::untouched(&response);
    }
    for cookie in [
        "garbage",
        "",
        &client.access,
        &client.session_id(),
        &"A".repeat(72),
        &"A".repeat(5000),
    ] {
        let response = refresh().refresh(cookie).send(app.address()).await;
        expect::problem(&response, 401, "invalid_refresh_token");
        expect::untouched(&response);
    }
}

/// A token in the body, in the query or in a header of its own is no cookie.
async fn rt_22_a_refresh_token_counts_in_its_cookie_only(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let token = client.refresh_token();
    let target = format!("/auth/refresh?refresh_token={token}");
    for request in [
        Request::post("/auth/refresh").json(&json!({ "refresh_token": token })),
        Request::post(&target),
        Request::post("/auth/refresh").header(REFRESH_COOKIE, &token),
        Request::post("/auth/refresh").cookie("refresh", &token),
        Request::post("/auth/refresh").cookie("__host-refresh", &token),
    ] {
        let response = request.send(app.address()).await;
        expect::problem(&response, 401, "missing_refresh_token");
        expect::untouched(&response);
    }
}

fn signed_out(response: &Response) {
    assert_eq!(
        (response.status, response.body.as_slice()),
        (204, &[][..]),
        "{response:?}"
    );
    expect::assert_no_store(response);
}

async fn se_03_logout_is_204_by_cookie_by_access_token_by_an_expired_one_and_by_nothing(at: Target) {
    let app = at.forgeable().start().await;
    let logout = || Request::post("/auth/logout");

    let client = Client::alice(&app).await;
    let by_cookie = logout().refresh(&client.refresh_token());
    for _ in 0..2 {
        let response = by_cookie.send(app.address()).await;
        signed_out(&response);
        expect::cleared(&response);
    }
    assert_ended(&app, &client).await;

    let client = Client::alice(&app).await;
    for _ in 0..2 {
        signed_out(&logout().bearer(&client.access).send(app.address()).await);
    }
    assert_ended(&app, &client).await;

    let client = Client::alice(&app).await;
    for _ in 0..2 {
        signed_out(&logout().bearer(&client.expired()).send(app.address()).await);
    }
    assert_ended(&app, &client).await;

    signed_out(&logout().send(app.address()).await);
    signed_out(&logout().refresh("garbage").send(app.address()).await);
}

async fn assert_ended(app: &acceptance::Running, client: &Client) {
    let response = Request::post("/auth/refresh")
        .refresh(&client.refresh_token())
        .send(app.address())
        .await;
    expect::problem(&response, 401, "session_ended");
    expect::cleared(&response);
}

async fn any_authentic_generation_logs_its_session_out(at: Target) {
    let app = at.settings().set("REFRESH_TOKEN_GRACE", "0s").start().await;
    let mut client = Client::alice(&app).await;
    let first = client.refresh_token();
    for _ in 0..3 {
        expect::signed_in(&client.refresh().await);
    }
    let response = Request::post("/auth/logout").refresh(&first).send(app.address()).await;
    signed_out(&response);
    assert_ended(&app, &client).await;
}

async fn a_forged_token_logs_nobody_out(at: Target) {
    let app = at.settings().set("REFRESH_TOKEN_GRACE", "0s").start().await;
    let mut client = Client::alice(&app).await;
    let forged = client.jwt().sign("a secret of the attacker's own, long enough");
    signed_out(&Request::post("/auth/logout").bearer(&forged).send(app.address()).await);
    let altered = acceptance::RefreshToken::decode(&client.refresh_token())
        .with_generation(2)
        .encode();
    signed_out(
        &Request::post("/auth/logout")
            .refresh(&altered)
            .send(app.address())
            .await,
    );
    expect::signed_in(&client.refresh().await);
}

async fn logout_all_ends_every_session_of_the_caller_and_of_nobody_else(at: Target) {
    let app = at.start().await;
    for by_cookie in [true, false] {
        let mut caller = Client::alice(&app).await;
        let others = [Client::alice(&app).await, Client::alice(&app).await];
        let mut bob = Client::bob(&app).await;
        let request = Request::post("/auth/logout-all");
        let request = if by_cookie {
            request.refresh(&caller.refresh_token())
        } else {
            request.bearer(&caller.access)
        };
        let refresh = caller.clone();
        let response = caller.send(request).await;
        assert_eq!(
            (response.status, response.json()),
            (200, json!({ "ended": 3 })),
            "{response:?}"
        );
        expect::cleared(&response);
        for client in others.iter().chain([&refresh]) {
            assert_ended(&app, client).await;
        }
        expect::signed_in(&bob.refresh().await);
    }
}

async fn logout_all_with_nothing_is_401(at: Target) {
    let app = at.start().await;
    let response = Request::post("/auth/logout-all").send(app.address()).await;
    assert_eq!(response.status, 401, "{response:?}");
    expect::problem(&response, 401, "missing_token");
    expect::untouched(&response);
}

async fn the_session_list_needs_a_user(at: Target) {
    let app = at.start().await;
    expect::problem(
        &Request::get("/auth/sessions").send(app.address()).await,
        401,
        "missing_token",
    );
    let target = "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAAAA";
    expect::problem(&Request::delete(target).send(app.address()).await, 401, "missing_token");
    let mut client = Client::alice(&app).await;
    let response = client.with_cookies(Request::get("/auth/sessions")).await;
    assert_eq!(response.status, 200, "by exchange: {response:?}");
    expect::exchanged(&response);
}

async fn ending_a_session_that_is_not_ones_own_is_404(at: Target) {
    let app = at.start().await;
    let mut bob = Client::bob(&app).await;
    let mut alice = Client::alice(&app).await;
    let long = "A".repeat(3000);
    for id in [
        alice.session_id().as_str(),
        "AAAAAAAAAAAAAAAAAAAAAAAA",
        "garbage",
        "%ff%00",
        "..%2f..",
        "'%20or%201=1",
        &long,
    ] {
        let response = bob.with_bearer(Request::delete(&format!("/auth/sessions/{id}"))).await;
        expect::problem(&response, 404, "not_found");
    }
    expect::signed_in(&alice.refresh().await);
}

async fn the_key_set_is_public_and_cacheable(at: Target) {
    let app = at.start().await;
    let response = Request::get("/.well-known/jwks.json").send(app.address()).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert!(response.json()["keys"].is_array(), "{response:?}");
    let directives = response.header("cache-control").expect("Cache-Control");
    assert!(
        directives.contains("public") && directives.contains("max-age="),
        "{directives}"
    );
}

async fn the_apps_own_routes_answer_as_documented(at: Target) {
    let app = at.start().await;
    let mut alice = Client::alice(&app).await;
    let mut bob = Client::bob(&app).await;

    let response = alice.with_bearer(Request::get("/api/me")).await;
    let claims = alice.jwt().claims;
    let expected = json!({"sub": claims["sub"], "name": "alice", "roles": ["admin"], "sid": claims["sid"]});
    assert_eq!((response.status, response.json()), (200, expected), "{response:?}");

    let response = alice.with_bearer(Request::get("/api/public")).await;
    assert_eq!(
        (response.status, response.json()),
        (200, json!({"user": "alice"})),
        "{response:?}"
    );

    assert_eq!(alice.with_bearer(Request::get("/api/admin")).await.status, 200);
    expect::problem(
        &bob.with_bearer(Request::get("/api/admin")).await,
        403,
        "insufficient_scope",
    );
    expect::problem(
        &Request::get("/api/admin").send(app.address()).await,
        401,
        "missing_token",
    );

    let note = json!({"text": "tea at six"});
    let response = alice.with_bearer(Request::post("/api/notes").json(&note)).await;
    assert_eq!(
        (response.status, &response.json()["text"]),
        (201, &note["text"]),
        "{response:?}"
    );
    assert_ne!(response.json()["id"], Value::Null, "{response:?}");
    expect::problem(
        &Request::post("/api/notes").json(&note).send(app.address()).await,
        401,
        "missing_token",
    );

    assert_eq!(Request::get("/healthz").send(app.address()).await.status, 200);
}

async fn the_page_loads_nothing_from_elsewhere(at: Target) {
    let app = at.start().await;
    let response = Request::get("/").send(app.address()).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert!(
        response
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html")),
        "{response:?}"
    );
    let policy = response
        .header("content-security-policy")
        .expect("a Content-Security-Policy");
    assert!(
        policy.contains("default-src 'none'") || policy.contains("default-src 'self'"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains("unsafe-eval") && !policy.contains("http"),
        "{policy}"
    );
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
}

/// No header, path or method may take the app down or make it say 500.
async fn strange_requests_are_answered_and_the_app_goes_on(at: Target) {
    let app = at.start().await;
    let mut client = Client::alice(&app).await;
    let me = || Request::get("/api/me");
    for request in [
        me().without_host(),
        me().without_host().header("Host", "a").header("Host", "b"),
        me().without_host().header("Host", b"\xff\xfe"),
        me().header("Cookie", b"\xff=\xfe; __Host-refresh=\xff\xff"),
        me().header("Cookie", "; ; =; =x; __Host-refresh"),
        me().header("Authorization", b"Bearer \xff\xff"),
        me().header("Sec-Fetch-Site", b"\xff").header("Origin", b"\xff"),
        me().header("User-Agent", b"\xff"),
        Request::new("FROB", "/api/me"),
        Request::new("OPTIONS", "*"),
        Request::get("/auth/sessions/%F0%9F%92%A9"),
        Request::login("alice\u{0}", "\u{feff}"),
    ] {
        let response = request.send(app.address()).await;
        assert!(
            (400..500).contains(&response.status),
            "{}: {response:?}",
            request.line()
        );
        expect::untouched(&response);
    }
    let odd = Request::login("alice", "wonderland")
        .header("User-Agent", b"\xff\x80 odd")
        .header("X-Forwarded-For", b"\xff");
    expect::signed_in(&odd.send(app.address()).await);
    assert_eq!(client.with_bearer(me()).await.status, 200);
}

acceptance::on_every_store!(
    login_brings_an_access_token_and_a_refresh_cookie,
    rt_19_refresh_answers_as_login,
    refresh_without_a_usable_cookie_is_401,
    se_03_logout_is_204_by_cookie_by_access_token_by_an_expired_one_and_by_nothing,
    any_authentic_generation_logs_its_session_out,
    a_forged_token_logs_nobody_out,
    logout_all_ends_every_session_of_the_caller_and_of_nobody_else,
    ending_a_session_that_is_not_ones_own_is_404,
    the_apps_own_routes_answer_as_documented,
);

acceptance::on_every_app!(
    login_takes_json_with_a_charset_and_any_case,
    a_wrong_password_and_an_unknown_user_are_answered_alike,
    a_login_of_the_wrong_shape_is_400,
    a_login_of_another_media_type_is_415,
    a_login_body_is_limited_to_16_kib,
    cs_08_another_method_is_405_and_allow_names_the_right_one,
    an_unknown_path_is_404,
    rt_22_a_refresh_token_counts_in_its_cookie_only,
    logout_all_with_nothing_is_401,
    the_session_list_needs_a_user,
    the_key_set_is_public_and_cacheable,
    the_page_loads_nothing_from_elsewhere,
    strange_requests_are_answered_and_the_app_goes_on,
);
