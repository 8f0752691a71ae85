//! Who may act, or exchange, on a cookie's word: method × `Sec-Fetch-Site` × `Origin`.

use acceptance::{ACCESS_SECRET, Client, REFRESH_COOKIE, Request, Response, Running, Settings, Target, expect};
use serde_json::{Value, json};

const TRUSTED: &str = "https://app.example";

fn settings(at: Target) -> Settings {
    at.forgeable()
        .set("REFRESH_TOKEN_GRACE", "0s")
        .set("TRUSTED_ORIGINS", format!("{TRUSTED},https://other.example:8443"))
}

/// What a browser, or something that is none, says about where a request comes from.
#[derive(Debug, Clone)]
struct From {
    site: Option<&'static str>,
    origin: Option<String>,
}

impl From {
    fn tell(&self, mut request: Request) -> Request {
        if let Some(site) = self.site {
            request = request.header("Sec-Fetch-Site", site);
        }
        if let Some(origin) = &self.origin {
            request = request.header("Origin", origin);
        }
        request
    }
}

/// Every combination that matters, and whether an unsafe request may act on a cookie's word.
fn matrix(app: &Running) -> Vec<(&'static str, From, bool)> {
    let own = app.origin();
    let port = app.address().port();
    let other_port = format!("http://127.0.0.1:{}", if port == 65535 { 1 } else { port + 1 });
    let from = |site: Option<&'static str>, origin: Option<&str>| From {
        site,
        origin: origin.map(ToOwned::to_owned),
    };
    vec![
        ("CS-01", from(Some("cross-site"), None), false),
        ("CS-01", from(Some("cross-site"), Some("https://evil.example")), false),
        (
            "CS-01: the browser's word counts",
            from(Some("cross-site"), Some(&own)),
            false,
        ),
        ("CS-02", from(Some("same-site"), None), false),
        ("CS-02", from(Some("same-site"), Some("https://sub.example")), false),
        ("CS-02: trusted", from(Some("same-site"), Some(TRUSTED)), true),
        ("CS-01: trusted", from(Some("cross-site"), Some(TRUSTED)), true),
        (
            "trusted with a port",
            from(Some("cross-site"), Some("https://other.example:8443")),
            true,
        ),
        (
            "not the trusted port",
            from(Some("cross-site"), Some("https://other.example")),
            false,
        ),
        (
            "not the trusted scheme",
            from(Some("cross-site"), Some("http://app.example")),
            false,
        ),
        (
            "not the trusted host",
            from(Some("cross-site"), Some("https://app.example.evil.example")),
            false,
        ),
        ("CS-03", from(Some("same-origin"), None), true),
        ("CS-03", from(Some("same-origin"), Some(&own)), true),
        ("CS-03", from(Some("none"), None), true),
        ("an unknown word", from(Some("friendly"), None), false),
        ("an empty word", from(Some(""), None), false),
        ("CS-04: own", from(None, Some(&own)), true),
        ("CS-04: trusted", from(None, Some(TRUSTED)), true),
        ("CS-04: another port", from(None, Some(&other_port)), false),
        ("CS-04: another host", from(None, Some("http://127.0.0.2")), false),
        (
            "CS-04: own as a prefix",
            from(None, Some(&format!("{own}.evil.example"))),
            false,
        ),
        ("CS-04: another scheme", from(None, Some("file://")), false),
        ("CS-04: no origin at all", from(None, Some("garbage")), false),
        ("CS-04: empty", from(None, Some("")), false),
        ("CS-05", from(None, None), true),
        ("CS-06", from(None, Some("null")), false),
        ("CS-06", from(Some("cross-site"), Some("null")), false),
    ]
}

#[track_caller]
fn refused(what: &str, from: &From, response: &Response) {
    assert_eq!(response.status, 403, "{what} {from:?}: {response:?}");
    expect::problem(response, 403, "cross_site_request");
    expect::untouched(response);
}

async fn cs_01_to_cs_06_an_unsafe_request_on_a_cookies_word_comes_from_here(at: Target) {
    let app = settings(at).start().await;
    let note = json!({"text": "a"});
    let unsafe_requests = [
        Request::post("/api/notes").json(&note),
        Request::post("/auth/refresh"),
        Request::delete("/auth/sessions/AAAAAAAAAAAAAAAAAAAAAAAA"),
    ];
    let mut client = Client::alice(&app).await;
    for (what, from, allowed) in matrix(&app) {
        for request in &unsafe_requests {
            let generation = client.generation();
            let response = client.with_cookies(from.tell(request.clone())).await;
            if allowed {
                assert!(
                    matches!(response.status, 200 | 201 | 404),
                    "{what} {from:?}: {response:?}"
                );
                assert_eq!(client.generation(), generation + 1, "{what} {from:?}: exchanged");
            } else {
                refused(what, &from, &response);
            }
        }
    }
    // Had a refused request rotated the session, its next generation would have been skipped above.
    assert_eq!(
        client.generation(),
        1 + 3 * u32::try_from(matrix(&app).iter().filter(|row| row.2).count()).expect("few")
    );
}

async fn cs_01_to_cs_06_nobody_is_logged_out_from_elsewhere(at: Target) {
    let app = settings(at).start().await;
    let mut client = Client::alice(&app).await;
    for (what, from, allowed) in matrix(&app) {
        for target in ["/auth/logout", "/auth/logout-all"] {
            let request = from.tell(Request::post(target));
            if allowed {
                let mut other = Client::bob(&app).await;
                let response = other.with_cookies(request).await;
                assert!(matches!(response.status, 200 | 204), "{what} {from:?}: {response:?}");
                expect::cleared(&response);
            } else {
                refused(what, &from, &client.with_cookies(request).await);
            }
        }
    }
    expect::signed_in(&client.refresh().await);
    assert_eq!(client.generation(), 2, "nothing happened to the session");
}

async fn cs_10_login_is_protected_too(at: Target) {
    let app = settings(at).start().await;
    for (what, from, allowed) in matrix(&app) {
        let response = from
            .tell(Request::login("alice", "wonderland"))
            .send(app.address())
            .await;
        if allowed {
            expect::signed_in(&response);
        } else {
            refused(what, &from, &response);
        }
    }
}

async fn cs_07_a_safe_request_from_elsewhere_does_not_exchange(at: Target) {
    let app = settings(at).start().await;
    let mut client = Client::alice(&app).await;
    for (what, from, allowed) in matrix(&app) {
        for method in ["GET", "HEAD"] {
            let generation = client.generation();
            let response = client.with_cookies(from.tell(Request::new(method, "/api/me"))).await;
            if allowed {
                assert_eq!(response.status, 200, "{what} {method} {from:?}: {response:?}");
                assert_eq!(client.generation(), generation + 1, "{what} {method} {from:?}");
            } else {
                assert_eq!(response.status, 401, "{what} {method} {from:?}: {response:?}");
                expect::untouched(&response);
            }
        }
        if !allowed {
            let response = client.with_cookies(from.tell(Request::get("/api/me"))).await;
            expect::problem(&response, 401, "missing_token");
            let response = client.with_cookies(from.tell(Request::get("/api/public"))).await;
            assert_eq!(
                (response.status, &response.json()["user"]),
                (200, &Value::Null),
                "{what} {from:?}"
            );
            expect::untouched(&response);
        }
    }
}

async fn cs_07_a_top_level_navigation_from_elsewhere_exchanges(at: Target) {
    let app = settings(at).start().await;
    let mut client = Client::alice(&app).await;
    let cases = [
        ("cross-site", "navigate", Some("document"), true),
        ("same-site", "navigate", Some("document"), true),
        ("cross-site", "navigate", Some("iframe"), false),
        ("cross-site", "navigate", Some("frame"), false),
        ("cross-site", "navigate", Some("embed"), false),
        ("cross-site", "navigate", Some("object"), false),
        ("cross-site", "navigate", None, false),
        ("cross-site", "no-cors", Some("document"), false),
        ("cross-site", "cors", Some("empty"), false),
        ("cross-site", "no-cors", Some("image"), false),
    ];
    for (site, mode, destination, allowed) in cases {
        let mut request = Request::get("/api/me")
            .header("Sec-Fetch-Site", site)
            .header("Sec-Fetch-Mode", mode);
        if let Some(destination) = destination {
            request = request.header("Sec-Fetch-Dest", destination);
        }
        let generation = client.generation();
        let response = client.with_cookies(request).await;
        if allowed {
            assert_eq!(response.status, 200, "{site} {mode} {destination:?}: {response:?}");
            assert_eq!(client.generation(), generation + 1);
        } else {
            expect::problem(&response, 401, "missing_token");
            expect::untouched(&response);
        }
    }
    // An unsafe navigation, which is a form that another site submits, may not.
    let form = Request::post("/api/notes")
        .header("Sec-Fetch-Site", "cross-site")
        .header("Sec-Fetch-Mode", "navigate");
    let response = client
        .with_cookies(form.header("Sec-Fetch-Dest", "document").json(&json!({"text": "a"})))
        .await;
    expect::problem(&response, 403, "cross_site_request");
    expect::untouched(&response);
}

async fn cs_07_cs_13_options_prefetch_and_prerender_never_exchange(at: Target) {
    let app = settings(at).start().await;
    let mut client = Client::alice(&app).await;
    let expired = client.expired();
    let options = client
        .with_cookies(Request::new("OPTIONS", "/api/me").same_origin())
        .await;
    expect::untouched(&options);
    for purpose in [
        "prefetch",
        "prefetch;prerender",
        "prefetch;anonymous-client-ip",
        "prerender",
    ] {
        let me = || Request::get("/api/me").same_origin().header("Sec-Purpose", purpose);
        let response = client.with_cookies(me()).await;
        expect::problem(&response, 401, "missing_token");
        expect::untouched(&response);
        let response = client.with_cookies(me().bearer(&expired)).await;
        expect::problem(&response, 401, "token_expired");
        expect::untouched(&response);
        assert_eq!(
            client.with_bearer(me()).await.status,
            200,
            "a valid access token still counts"
        );
    }
    assert_eq!(client.generation(), 1);
    client.refresh().await;
    assert_eq!(client.generation(), 2, "nothing was rotated");
}

async fn cs_12_a_bearer_header_needs_none_of_this_and_reaches_no_cookie(at: Target) {
    let app = settings(at).start().await;
    let mut client = Client::alice(&app).await;
    let bad = client.jwt().with_signature(&[1; 32]);
    let expired = client.expired();
    let unknown = client.jwt().header("kid", "nobody").sign(ACCESS_SECRET);
    for (what, from, allowed) in matrix(&app) {
        let note = || from.tell(Request::post("/api/notes").json(&json!({"text": "a"})));
        for request in [note(), note().refresh(&client.refresh_token())] {
            let response = request.bearer(&client.access).send(app.address()).await;
            assert_eq!(response.status, 201, "{what} {from:?}: {response:?}");
            expect::untouched(&response);
        }
        let response = note()
            .bearer(&bad)
            .refresh(&client.refresh_token())
            .send(app.address())
            .await;
        assert!(matches!(response.status, 401 | 403), "{what} {from:?}: {response:?}");
        expect::untouched(&response);
        if !allowed {
            for token in [&expired, &unknown] {
                let response = note()
                    .bearer(token)
                    .refresh(&client.refresh_token())
                    .send(app.address())
                    .await;
                expect::problem(&response, 403, "cross_site_request");
                expect::untouched(&response);
                let me = from.tell(Request::get("/api/me")).bearer(token);
                let response = me.refresh(&client.refresh_token()).send(app.address()).await;
                assert_eq!(response.status, 401, "{what} {from:?}: {response:?}");
                expect::untouched(&response);
            }
        }
    }
    assert_eq!(client.generation(), 1);
    client.refresh().await;
    assert_eq!(client.generation(), 2, "nothing was rotated");
}

async fn a_doubled_or_unreadable_origin_is_not_ours(at: Target) {
    let app = settings(at).start().await;
    let mut client = Client::alice(&app).await;
    let own = app.origin();
    let refresh = || Request::post("/auth/refresh");
    for request in [
        refresh()
            .header("Origin", &own)
            .header("Origin", "https://evil.example"),
        refresh()
            .header("Origin", "https://evil.example")
            .header("Origin", &own),
        refresh()
            .header("Sec-Fetch-Site", "same-origin")
            .header("Sec-Fetch-Site", "cross-site"),
        refresh()
            .header("Sec-Fetch-Site", "cross-site")
            .header("Sec-Fetch-Site", "same-origin"),
        refresh().header("Origin", b"\xff"),
        refresh().header("Origin", format!("{own}/")),
        refresh().header("Origin", format!("{own}, {own}")),
    ] {
        let response = client.with_cookies(request).await;
        assert!(matches!(response.status, 400 | 403), "{response:?}");
        expect::untouched(&response);
    }
    assert!(client.jar.value(REFRESH_COOKIE).is_some());
    client.refresh().await;
    assert_eq!(client.generation(), 2, "nothing was rotated");
}

async fn cs_11_no_origin_is_reflected(at: Target) {
    let app = settings(at).start().await;
    let mut client = Client::alice(&app).await;
    for origin in ["https://evil.example", "null"] {
        let preflight = Request::new("OPTIONS", "/auth/refresh")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization");
        let read = Request::get("/api/public").header("Origin", origin);
        for request in [preflight, read] {
            let response = client.with_cookies(request).await;
            assert_eq!(response.header("access-control-allow-origin"), None, "{response:?}");
            assert_eq!(
                response.header("access-control-allow-credentials"),
                None,
                "{response:?}"
            );
        }
    }
}

acceptance::on_every_app!(
    cs_01_to_cs_06_an_unsafe_request_on_a_cookies_word_comes_from_here,
    cs_01_to_cs_06_nobody_is_logged_out_from_elsewhere,
    cs_10_login_is_protected_too,
    cs_07_a_safe_request_from_elsewhere_does_not_exchange,
    cs_07_a_top_level_navigation_from_elsewhere_exchanges,
    cs_07_cs_13_options_prefetch_and_prerender_never_exchange,
    cs_12_a_bearer_header_needs_none_of_this_and_reaches_no_cookie,
    a_doubled_or_unreadable_origin_is_not_ours,
    cs_11_no_origin_is_reflected,
);
