//! Every row of the table of the silent exchange, for each extractor, safe and unsafe methods.

use auth_tower::Auth;
use serde::{Deserialize, Serialize};

use super::support::*;

/// A way to ask who is there: a route and a method.
#[derive(Clone, Copy, Debug)]
struct Way {
    path: &'static str,
    method: &'static str,
}

impl Way {
    fn all() -> impl Iterator<Item = Self> {
        ["/me", "/option", "/maybe"].into_iter().flat_map(|path| {
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
                .into_iter()
                .map(move |method| Self { path, method })
        })
    }

    fn ask(self) -> Ask {
        ask(self.method, self.path)
    }

    fn needs_a_user(self) -> bool {
        self.path == "/me"
    }

    fn has_body(self) -> bool {
        self.method != "HEAD"
    }

    #[track_caller]
    fn admits(self, reply: &Reply, name: &str) {
        assert_eq!(reply.status, 200, "{self:?} {reply:?}");
        if self.has_body() {
            assert_eq!(reply.json()["sub"], name, "{self:?}");
        }
    }

    #[track_caller]
    fn refuses(self, reply: &Reply, status: u16, code: &str) {
        assert_eq!(reply.status, status, "{self:?} {reply:?}");
        let denial = reply.denial.as_ref().map(|denial| denial.code().as_str());
        assert_eq!(denial, Some(code), "{self:?}");
        if self.has_body() {
            assert_eq!(reply.code(), code, "{self:?}");
        }
    }

    /// Where the user is optional there is none, else it is a 401 with this code and the bare challenge (BR-01).
    #[track_caller]
    fn is_anonymous(self, reply: &Reply, code: &str) {
        if self.needs_a_user() {
            self.refuses(reply, 401, code);
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{self:?}");
        } else {
            assert_eq!(reply.status, 200, "{self:?} {reply:?}");
            if self.has_body() {
                assert_eq!(reply.body, "null", "{self:?}");
            }
        }
    }
}

/// Signs alice in, and makes her access token what the row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Absent,
    Expired,
    UnknownKey,
}

async fn alice(token: Token) -> (World, TokenResponse, Option<String>) {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let access = match token {
        Token::Absent => None,
        Token::Expired => {
            world.travel(EXPIRY);
            Some(alice.access.clone())
        }
        Token::UnknownKey => {
            world.keys.replace(key_ring("second")).unwrap();
            Some(alice.access.clone())
        }
    };
    world.settle().await;
    let _ = world.store.calls();
    (world, alice, access)
}

fn with(ask: Ask, access: Option<&String>) -> Ask {
    match access {
        Some(access) => ask.bearer(access),
        None => ask,
    }
}

const TOKENS: [Token; 3] = [Token::Absent, Token::Expired, Token::UnknownKey];

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_accepted_and_the_cookie_is_not_looked_at() {
    for way in Way::all() {
        let world = World::new();
        let alice = world.sign_in("alice").await;
        let bob = world.sign_in("bob").await;
        world.settle().await;
        let _ = world.store.calls();
        for cookie in [&bob.refresh, &alice.refresh, &alice.forged_refresh(), "garbage"] {
            let reply = world.send(way.ask().bearer(&alice.access).refresh(cookie)).await;
            way.admits(&reply, "alice");
            reply.writes_nothing();
        }
        // CS-12: another site cannot send a bearer header, so it needs no more proof.
        let cross = way
            .ask()
            .bearer(&alice.access)
            .refresh(&alice.refresh)
            .header("sec-fetch-site", "cross-site");
        way.admits(&world.send(cross).await, "alice");
        assert_eq!(world.store.calls(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn cs_12_a_bad_token_never_falls_through_to_the_cookie() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let foreign = |issuer: &'static str, audience: &'static str| {
        world.another_with(move |builder| {
            // The first audience stays; what counts is what a token of a differently configured authority says.
            builder.issuer(issuer).audience(audience)
        })
    };
    let elsewhere = foreign("https://other.example.com", "api")
        .sign_in("alice")
        .await
        .access;
    let bad = [
        alice.forged_access(),
        elsewhere,
        alice.refresh.clone(),
        "a.b.c".to_owned(),
        // A header without a `kid`, `{"alg":"HS256","typ":"at+jwt"}`.
        alice.access.replace(
            alice.access.split('.').next().unwrap(),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9",
        ),
    ];
    let _ = world.store.calls();
    for way in Way::all() {
        for token in &bad {
            for site in ["same-origin", "cross-site"] {
                let ask = way
                    .ask()
                    .bearer(token)
                    .refresh(&alice.refresh)
                    .header("sec-fetch-site", site);
                let reply = world.send(ask).await;
                way.refuses(&reply, 401, "invalid_token");
                assert!(
                    reply
                        .header("www-authenticate")
                        .unwrap()
                        .starts_with("Bearer error=\"invalid_token\"")
                );
                reply.writes_nothing();
            }
        }
        for line in ["Bearer", "Bearer  ", "Bearer \u{e9}", ""] {
            let reply = world
                .send(way.ask().header("authorization", line).refresh(&alice.refresh))
                .await;
            way.refuses(&reply, 400, "invalid_request");
            reply.writes_nothing();
        }
        let twice = way
            .ask()
            .bearer(&alice.access)
            .bearer(&alice.access)
            .refresh(&alice.refresh);
        way.refuses(&world.send(twice).await, 400, "invalid_request");
    }
    assert_eq!(world.store.calls(), []);
    assert_eq!(world.post_refresh(&alice.refresh).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_is_refused_whatever_the_cookie() {
    for way in Way::all() {
        let world = World::new();
        let alice = world.sign_in("alice").await;
        let bob = world.sign_in("bob").await;
        world.auth.end_session(alice.session).await.unwrap();
        let reply = world.send(way.ask().bearer(&alice.access).refresh(&bob.refresh)).await;
        way.refuses(&reply, 401, "token_revoked");
        reply.writes_nothing();
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_of_another_session_than_the_cookies_is_refused() {
    for way in Way::all() {
        let (world, _, expired) = alice(Token::Expired).await;
        for other in ["bob", "alice"] {
            let other = world.sign_in(other).await;
            let _ = world.store.calls();
            let reply = world
                .send(with(way.ask(), expired.as_ref()).refresh(&other.refresh))
                .await;
            way.refuses(&reply, 401, "invalid_token");
            reply.writes_nothing();
            assert_eq!(world.store.calls(), []);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_live_session_is_exchanged_in_flight() {
    for token in TOKENS {
        for way in Way::all() {
            let (world, alice, access) = alice(token).await;
            let reply = world
                .send(with(way.ask(), access.as_ref()).refresh(&alice.refresh))
                .await;
            way.admits(&reply, "alice");
            assert_eq!(generation_of(&reply.refresh().unwrap()), 2);
            let fresh = reply.access().unwrap();
            assert_eq!(claims_of(&fresh)["gen"], 2);
            assert_eq!(reply.header("x-access-token-expires-in"), Some("900"));
            assert_eq!(world.store.calls(), [(Call::Advance, 1)]);
            assert_eq!(world.me(&fresh).await.status, 200);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_out_of_reach_is_no_sign_out() {
    for token in TOKENS {
        for way in Way::all() {
            for fault in [Fault::Error, Fault::Hang] {
                let (world, alice, access) = alice(token).await;
                world.store.fail(Call::Advance, fault);
                let reply = world
                    .send(with(way.ask(), access.as_ref()).refresh(&alice.refresh))
                    .await;
                way.refuses(&reply, 503, "store_unavailable");
                assert_eq!(reply.header("retry-after"), Some("2"));
                reply.writes_nothing();
                world.store.heal();
                let reply = world
                    .send(with(way.ask(), access.as_ref()).refresh(&alice.refresh))
                    .await;
                way.admits(&reply, "alice");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_over_is_told_and_its_cookie_cleared() {
    for token in TOKENS {
        for way in Way::all() {
            for ended in [true, false] {
                let (world, alice, access) = alice(token).await;
                let code = match ended {
                    true => {
                        world.auth.end_session(alice.session).await.unwrap();
                        "session_ended"
                    }
                    false => {
                        world.travel(31 * DAY);
                        "refresh_token_expired"
                    }
                };
                let reply = world
                    .send(with(way.ask(), access.as_ref()).refresh(&alice.refresh))
                    .await;
                match token {
                    Token::Absent => way.is_anonymous(&reply, code),
                    Token::Expired | Token::UnknownKey => way.refuses(&reply, 401, code),
                }
                assert!(reply.clears(), "{way:?}");
                assert_eq!(reply.access(), None);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_authentic_cookie_nothing_is_exchanged_and_it_is_left_alone() {
    for token in TOKENS {
        for way in Way::all() {
            let (world, alice, access) = alice(token).await;
            for cookie in [
                None,
                Some(alice.forged_refresh()),
                Some(String::new()),
                Some("garbage".into()),
            ] {
                let mut ask = with(way.ask(), access.as_ref());
                if let Some(cookie) = &cookie {
                    ask = ask.refresh(cookie);
                }
                let reply = world.send(ask).await;
                match (token, &cookie) {
                    (Token::Absent, None) => way.is_anonymous(&reply, "missing_token"),
                    (Token::Absent, Some(_)) => way.is_anonymous(&reply, "invalid_refresh_token"),
                    (Token::Expired, _) => way.refuses(&reply, 401, "token_expired"),
                    (Token::UnknownKey, _) => way.refuses(&reply, 401, "invalid_token"),
                }
                reply.writes_nothing();
            }
            assert_eq!(world.store.calls(), []);
        }
    }
}

/// What the app's claims were before a release renamed a member.
#[derive(Clone, Serialize, Deserialize)]
struct Renamed {
    display_name: String,
}

struct RenamedAccounts;

impl auth_tower::Accounts for RenamedAccounts {
    type Claims = Renamed;

    async fn verify(
        &self,
        _: &auth_tower::PasswordCredentials,
    ) -> Result<Option<auth_tower::Subject>, auth_tower::AccountsError> {
        Ok(None)
    }

    async fn claims(
        &self,
        subject: &auth_tower::Subject,
    ) -> Result<Option<auth_tower::Grant<Renamed>>, auth_tower::AccountsError> {
        let display_name = subject.to_string();
        Ok(Some(auth_tower::Grant::new(Renamed { display_name })))
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_whose_claims_no_longer_fit_is_still_exchanged() {
    let (world, alice, expired) = alice(Token::Expired).await;
    let auth = Auth::<Renamed>::authority(key_ring("first"))
        .issuer(ISSUER)
        .audience("api")
        .sessions(world.store.clone())
        .accounts(RenamedAccounts)
        .clock(world.clock.clone())
        .build()
        .unwrap();
    let reply = send(
        &app_of(&auth),
        with(ask("GET", "/me"), expired.as_ref()).refresh(&alice.refresh),
    )
    .await;
    assert_eq!(reply.status, 200);
    assert_eq!(claims_of(&reply.access().unwrap())["display_name"], "alice");
    // One that is still valid cannot be read, and is no reason to exchange.
    let valid = world.post_refresh(&reply.refresh().unwrap()).await.access().unwrap();
    let reply = send(&app_of(&auth), ask("GET", "/me").bearer(&valid)).await;
    assert_eq!((reply.status, &*reply.code()), (401, "invalid_token"));
}

#[tokio::test(start_paused = true)]
async fn ck_09_of_several_cookies_of_one_name_the_live_one_counts_wherever_it_stands() {
    let world = World::new();
    let (alice, bob, ended) = (
        world.sign_in("alice").await,
        world.sign_in("bob").await,
        world.sign_in("eve").await,
    );
    world.auth.end_session(ended.session).await.unwrap();
    let line = |values: &[&str]| {
        let pairs: Vec<_> = values.iter().map(|value| format!("__Host-refresh={value}")).collect();
        pairs.join("; ")
    };
    let forged = alice.forged_refresh();
    for cookies in [
        vec![&*forged, &alice.refresh],
        vec![&alice.refresh, &forged],
        vec!["garbage", "", &forged, &alice.refresh],
        vec![&ended.refresh, &alice.refresh],
        vec![&alice.refresh, &ended.refresh],
        // Of several live ones the first that was sent.
        vec![&alice.refresh, &bob.refresh],
    ] {
        let one_line = ask("GET", "/me").header("cookie", format!("a=b; {}; c=d", line(&cookies)));
        let split = cookies
            .iter()
            .fold(ask("GET", "/me").header("cookie", "a=b"), |ask, cookie| {
                ask.refresh(cookie)
            });
        for request in [one_line, split] {
            let reply = world.send(request).await;
            assert_eq!(
                (reply.status, &reply.json()["sub"]),
                (200, &"alice".into()),
                "{reply:?}"
            );
            assert!(!reply.clears());
        }
        let refreshed = world
            .send(ask("POST", "/auth/refresh").header("cookie", line(&cookies)))
            .await;
        assert_eq!(refreshed.status, 200);
        assert_eq!(refreshed.json()["session_id"], alice.session.to_string());
    }
    let both = world
        .send(ask("GET", "/me").refresh(&bob.refresh).refresh(&alice.refresh))
        .await;
    assert_eq!(both.json()["sub"], "bob");
}

#[tokio::test(start_paused = true)]
async fn ck_09_of_one_session_the_highest_generation_counts() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let second = world.post_refresh(&alice.refresh).await.refresh().unwrap();
    world.travel(HOUR);
    let third = world.post_refresh(&second).await.refresh().unwrap();
    world.travel(HOUR);
    let _ = world.store.calls();
    // Any but the highest would be a theft.
    let reply = world
        .send(
            ask("GET", "/me")
                .refresh(&second)
                .refresh(&third)
                .refresh(&alice.refresh),
        )
        .await;
    assert_eq!(generation_of(&reply.refresh().unwrap()), 4);
    assert_eq!(world.store.calls(), [(Call::Advance, 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_finds_its_own_session_among_several_cookies() {
    let (world, alice, expired) = alice(Token::Expired).await;
    let bob = world.sign_in("bob").await;
    let request = with(ask("GET", "/me"), expired.as_ref())
        .refresh(&bob.refresh)
        .refresh(&alice.refresh);
    assert_eq!(world.send(request).await.json()["sub"], "alice");
}

#[tokio::test(start_paused = true)]
async fn many_sessions_cookies_cost_a_bounded_number_of_calls() {
    let world = World::new();
    let mut request = ask("GET", "/me");
    for n in 0..12 {
        let one = world.sign_in(&format!("user {n}")).await;
        world.auth.end_session(one.session).await.unwrap();
        request = request.refresh(&one.refresh);
    }
    let _ = world.store.calls();
    assert_eq!(world.send(request).await.status, 401);
    assert_eq!(world.store.calls(), [(Call::Advance, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_percent_sign_in_a_cookie_is_a_percent_sign() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let (head, tail) = alice.refresh.split_at(1);
    let encoded = format!("%{:02X}{tail}", head.as_bytes()[0]);
    assert_eq!(world.post_refresh(&encoded).await.code(), "invalid_refresh_token");
}

/// Sends a cookie with these headers, and says what became of it.
async fn cookie_authority(world: &World, method: &str, path: &str, headers: &[(&'static str, &str)]) -> Reply {
    let alice = world.sign_in("alice").await;
    let _ = world.store.calls();
    let request = headers
        .iter()
        .fold(ask(method, path).refresh(&alice.refresh), |ask, (name, value)| {
            ask.header(name, *value)
        });
    let reply = world.send(request).await;
    let record = world.store.record(alice.session).await.unwrap();
    let exchanged = reply.refresh().is_some();
    assert_eq!(
        record.rotation.current,
        if exchanged { 2 } else { 1 },
        "no state changes without an answer"
    );
    reply
}

#[tokio::test(start_paused = true)]
async fn cs_07_cs_13_options_and_speculative_requests_never_exchange() {
    let world = World::new();
    let speculative: [&[(&str, &str)]; 5] = [
        &[("sec-purpose", "prefetch")],
        &[("sec-purpose", "prefetch;prerender"), ("sec-fetch-site", "same-origin")],
        &[
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ],
        &[("purpose", "prefetch")],
        &[("x-moz", "prefetch")],
    ];
    for path in ["/me", "/option"] {
        let way = Way { path, method: "GET" };
        for headers in speculative {
            for method in ["GET", "HEAD"] {
                let reply = cookie_authority(&world, method, path, headers).await;
                Way { path, method }.is_anonymous(&reply, "missing_token");
                assert_eq!(world.store.calls(), []);
            }
        }
        let reply = cookie_authority(&world, "OPTIONS", path, &[("sec-fetch-site", "same-origin")]).await;
        way.is_anonymous(&reply, "missing_token");
    }
    // They authenticate all the same.
    let alice = world.sign_in("alice").await;
    let reply = world
        .send(
            ask("GET", "/me")
                .bearer(&alice.access)
                .header("sec-purpose", "prefetch"),
        )
        .await;
    assert_eq!(reply.status, 200);
    world.travel(EXPIRY);
    let expired = ask("GET", "/me").bearer(&alice.access).refresh(&alice.refresh);
    let reply = world.send(expired.header("sec-purpose", "prefetch")).await;
    assert_eq!((reply.status, &*reply.code()), (401, "token_expired"));
    reply.writes_nothing();
}

#[tokio::test(start_paused = true)]
async fn cs_07_a_safe_request_of_another_site_exchanges_only_as_a_top_level_navigation() {
    let world = World::new();
    for site in ["cross-site", "same-site"] {
        let way = Way {
            path: "/option",
            method: "GET",
        };
        let reply = cookie_authority(&world, "GET", "/option", &[("sec-fetch-site", site)]).await;
        way.is_anonymous(&reply, "missing_token");
        for (mode, dest, exchanges) in [
            ("navigate", "document", true),
            ("navigate", "iframe", false),
            ("no-cors", "image", false),
            ("cors", "empty", false),
            ("no-cors", "document", false),
        ] {
            let headers = [
                ("sec-fetch-site", site),
                ("sec-fetch-mode", mode),
                ("sec-fetch-dest", dest),
            ];
            let reply = cookie_authority(&world, "GET", "/me", &headers).await;
            assert_eq!(reply.refresh().is_some(), exchanges, "{mode} {dest}");
        }
        let post = [
            ("sec-fetch-site", site),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let reply = cookie_authority(&world, "POST", "/me", &post).await;
        assert_eq!(
            (reply.status, &*reply.code()),
            (403, "cross_site_request"),
            "a form is no link"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn cs_01_cs_03_cs_06_unsafe_methods_need_the_same_origin() {
    let world = World::new();
    for (headers, allowed) in [
        (&[("sec-fetch-site", "same-origin")][..], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "Same-Origin")], false),
        (
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")],
            false,
        ),
        (&[], true),
        (
            &[("host", "app.example.com"), ("origin", "https://app.example.com")],
            true,
        ),
        (
            &[("host", "app.example.com"), ("origin", "https://app.example.com:443")],
            true,
        ),
        (
            &[("host", "app.example.com"), ("origin", "HTTPS://APP.EXAMPLE.COM")],
            true,
        ),
        // CS-04: scheme, port and host.
        (
            &[("host", "app.example.com"), ("origin", "http://app.example.com")],
            false,
        ),
        (
            &[("host", "app.example.com"), ("origin", "https://app.example.com:8443")],
            false,
        ),
        (
            &[
                ("host", "app.example.com:8443"),
                ("origin", "https://app.example.com:8443"),
            ],
            true,
        ),
        (&[("host", "app.example.com"), ("origin", "https://example.com")], false),
        (
            &[
                ("host", "app.example.com"),
                ("origin", "https://app.example.com.evil.example"),
            ],
            false,
        ),
        (
            &[("host", "app.example.com"), ("origin", "https://app.example.com/")],
            false,
        ),
        (&[("host", "app.example.com"), ("origin", "null")], false),
        (&[("host", "app.example.com"), ("origin", "")], false),
        (&[("origin", "https://app.example.com")], false),
        (
            &[
                ("host", "a.example"),
                ("host", "b.example"),
                ("origin", "https://a.example"),
            ],
            false,
        ),
        (
            &[
                ("host", "a.example"),
                ("origin", "https://a.example"),
                ("origin", "https://a.example"),
            ],
            false,
        ),
        // Browsers treat plain HTTP on a loopback host as secure.
        (&[("host", "localhost:3000"), ("origin", "http://localhost:3000")], true),
        (&[("host", "127.0.0.1:3000"), ("origin", "http://127.0.0.1:3000")], true),
        (&[("host", "[::1]:3000"), ("origin", "http://[::1]:3000")], true),
        (
            &[
                ("host", "localhost.evil.example"),
                ("origin", "http://localhost.evil.example"),
            ],
            false,
        ),
        // What the browser says of the site counts more than the origin.
        (
            &[
                ("sec-fetch-site", "cross-site"),
                ("host", "a.example"),
                ("origin", "https://a.example"),
            ],
            false,
        ),
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let reply = cookie_authority(&world, method, "/me", headers).await;
            let expected = if allowed {
                (200, String::new())
            } else {
                (403, "cross_site_request".to_owned())
            };
            assert_eq!((reply.status, reply.code()), expected, "{method} {headers:?}");
            if !allowed {
                reply.writes_nothing();
                assert_eq!(world.store.calls(), []);
            }
        }
        // CS-10: a sign-in too, without any cookie.
        let body = r#"{"username":"alice","password":"wonderland"}"#;
        let login = headers
            .iter()
            .fold(ask("POST", "/auth/login").json(body), |ask, (name, value)| {
                ask.header(name, *value)
            });
        let reply = world.send(login).await;
        assert_eq!(reply.status, if allowed { 200 } else { 403 }, "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_tells_a_missing_cookie_from_one_that_is_not_authentic() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    for (request, code) in [
        (ask("POST", "/auth/refresh"), "missing_refresh_token"),
        (
            ask("POST", "/auth/refresh").bearer(&alice.access),
            "missing_refresh_token",
        ),
        (
            ask("POST", "/auth/refresh").header("cookie", "other=1"),
            "missing_refresh_token",
        ),
        (ask("POST", "/auth/refresh").refresh(""), "invalid_refresh_token"),
        (
            ask("POST", "/auth/refresh").refresh(&alice.forged_refresh()),
            "invalid_refresh_token",
        ),
    ] {
        let reply = world.send(request).await;
        assert_eq!((reply.status, &*reply.code()), (401, code));
        reply.writes_nothing();
    }
}
