//! How tokens travel, and what the app may choose about it: transport, names, origins, bodies.

use auth_tower::{AccessTransport, CookieConfig, DenialBody, SameSite};

use super::support::*;

const ACCESS: &str = "__Host-access";

fn cookie_world() -> World {
    World::with(|builder| builder.access_transport(AccessTransport::Cookie(CookieConfig::new(ACCESS))))
}

fn value_of<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    let line = reply.set_cookie(name)?;
    Some(line.split(';').next()?.split_once('=')?.1)
}

fn cookies(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

#[tokio::test(start_paused = true)]
async fn with_cookie_transport_no_script_ever_sees_an_access_token() {
    let world = cookie_world();
    let login = world.try_sign_in("alice", "wonderland").await;
    assert_eq!(login.status, 200);
    assert_eq!(login.access(), None, "neither in the body nor in a header");
    assert_eq!(login.json()["expires_in"], 900);
    let line = login.set_cookie(ACCESS).unwrap();
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=900"] {
        assert!(line.contains(&format!("; {attribute}")), "{attribute}");
    }
    let access = value_of(&login, ACCESS).unwrap();
    assert!(line.len() <= 4096, "CK-05");
    let refresh = login.refresh().unwrap();
    world.settle().await;
    let _ = world.store.calls();

    let both = cookies(&[(ACCESS, access), ("__Host-refresh", &refresh)]);
    for method in ["GET", "POST"] {
        let reply = world.send(ask(method, "/me").header("cookie", both.clone())).await;
        assert_eq!(reply.status, 200);
        reply.writes_nothing();
        assert_eq!(reply.set_cookies().len(), 0);
    }
    assert_eq!(
        world.me(access).await.status,
        200,
        "a bearer header is still understood"
    );
    assert_eq!(world.store.calls(), []);

    // An expired one and an absent one are exchanged, and both cookies are new.
    for with_access in [true, false] {
        world.travel(EXPIRY);
        let sent = match with_access {
            true => both.clone(),
            false => cookies(&[("__Host-refresh", &refresh)]),
        };
        let fresh =
            world.another_with(|builder| builder.access_transport(AccessTransport::Cookie(CookieConfig::new(ACCESS))));
        let reply = fresh.send(ask("GET", "/me").header("cookie", sent)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("x-access-token"), None);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(value_of(&reply, ACCESS).is_some());
        if with_access {
            assert!(reply.refresh().is_some());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn signing_out_clears_both_cookies() {
    let world = cookie_world();
    let login = world.try_sign_in("alice", "wonderland").await;
    let (access, refresh) = (value_of(&login, ACCESS).unwrap(), login.refresh().unwrap());
    let both = cookies(&[(ACCESS, access), ("__Host-refresh", &refresh)]);
    let out = world
        .send(ask("POST", "/auth/logout").header("cookie", both.clone()))
        .await;
    assert_eq!(out.status, 204);
    assert!(out.clears());
    let cleared = out.set_cookie(ACCESS).unwrap();
    assert!(cleared.starts_with("__Host-access=;") && cleared.contains("Max-Age=0"));
    assert_eq!(
        world.send(ask("GET", "/me").header("cookie", both)).await.code(),
        "token_revoked"
    );
}

#[tokio::test(start_paused = true)]
async fn an_access_cookie_is_bound_by_the_cross_site_rule() {
    let world = cookie_world();
    let login = world.try_sign_in("alice", "wonderland").await;
    let access = value_of(&login, ACCESS).unwrap();
    let refresh = login.refresh().unwrap();
    world.settle().await;
    for with_refresh in [true, false] {
        let mut pairs = vec![(ACCESS, access)];
        if with_refresh {
            pairs.push(("__Host-refresh", &refresh));
        }
        for path in ["/me", "/option", "/wipe", "/auth/logout", "/auth/logout-all", "/others"] {
            let request = ask("POST", path).header("cookie", cookies(&pairs));
            let reply = world.send(request.header("sec-fetch-site", "cross-site")).await;
            assert_eq!(
                (reply.status, &*reply.code()),
                (403, "cross_site_request"),
                "{path} {with_refresh}"
            );
            reply.writes_nothing();
        }
        // A picture that another site shows: nobody is there.
        let request = ask("GET", "/option").header("cookie", cookies(&pairs));
        let reply = world.send(request.header("sec-fetch-site", "cross-site")).await;
        assert_eq!((reply.status, &*reply.body), (200, "null"));
    }
    assert_eq!(world.store.rows("alice").await, 1);
}

#[tokio::test(start_paused = true)]
async fn of_several_access_cookies_a_valid_one_counts_and_a_bad_one_alone_is_refused() {
    let world = cookie_world();
    let login = world.try_sign_in("alice", "wonderland").await;
    let access = value_of(&login, ACCESS).unwrap();
    let forged = format!("{}AAAA", &access[..access.len() - 4]);
    for pairs in [
        [(ACCESS, &*forged), (ACCESS, access)],
        [(ACCESS, access), (ACCESS, &forged)],
    ] {
        assert_eq!(
            world
                .send(ask("GET", "/me").header("cookie", cookies(&pairs)))
                .await
                .status,
            200
        );
    }
    let reply = world
        .send(ask("GET", "/option").header("cookie", cookies(&[(ACCESS, &forged)])))
        .await;
    assert_eq!((reply.status, &*reply.code()), (401, "invalid_token"));
}

#[tokio::test(start_paused = true)]
async fn ck_07_a_cookie_of_the_apps_own_making_is_cleared_as_it_was_set() {
    let cookie = CookieConfig::new("sid")
        .domain("example.com")
        .path("/app")
        .same_site(SameSite::Lax);
    let world = World::with(|builder| builder.refresh_cookie(cookie));
    let login = world.try_sign_in("alice", "wonderland").await;
    let line = login.set_cookie("sid").unwrap().to_owned();
    let mut attributes: Vec<_> = line
        .split("; ")
        .skip(1)
        .filter(|part| !part.starts_with("Max-Age"))
        .collect();
    attributes.sort_unstable();
    assert_eq!(
        attributes,
        ["Domain=example.com", "HttpOnly", "Path=/app", "SameSite=Lax", "Secure"]
    );
    let value = value_of(&login, "sid").unwrap();

    assert_eq!(world.silently(value).await.status, 401, "the default name is nobody's");
    let request = |path| ask("POST", path).header("cookie", cookies(&[("sid", value)]));
    assert!(world.send(request("/me")).await.set_cookie("sid").is_some());
    let out = world.send(request("/auth/logout")).await;
    let cleared = out.set_cookie("sid").unwrap();
    let mut repeated: Vec<_> = cleared
        .split("; ")
        .skip(1)
        .filter(|part| !part.starts_with("Max-Age"))
        .collect();
    repeated.sort_unstable();
    assert_eq!(repeated, attributes);
    assert!(cleared.starts_with("sid=;") && cleared.contains("Max-Age=0"));
}

#[tokio::test(start_paused = true)]
async fn cs_09_a_required_header_is_asked_for_on_every_unsafe_request_on_a_cookies_word() {
    let world = World::with(|builder| builder.required_header("x-csrf"));
    let login = ask("POST", "/auth/login").json(r#"{"username":"alice","password":"wonderland"}"#);
    assert_eq!(world.send(login.clone()).await.code(), "cross_site_request");
    let login = world.send(login.header("x-csrf", "1")).await;
    let (access, refresh) = (login.access().unwrap(), login.refresh().unwrap());
    for path in ["/me", "/auth/refresh", "/auth/logout", "/auth/logout-all"] {
        let request = ask("POST", path)
            .refresh(&refresh)
            .header("sec-fetch-site", "same-origin");
        let reply = world.send(request).await;
        assert_eq!((reply.status, &*reply.code()), (403, "cross_site_request"), "{path}");
        reply.writes_nothing();
    }
    assert_eq!(
        world.send(ask("POST", "/me").bearer(&access)).await.status,
        200,
        "a bearer header needs none"
    );
    assert_eq!(
        world
            .send(ask("POST", "/me").refresh(&refresh).header("x-csrf", ""))
            .await
            .status,
        200
    );
    assert_eq!(world.silently(&refresh).await.status, 200, "nor does a safe request");
}

#[tokio::test(start_paused = true)]
async fn cs_05_strict_refuses_unsafe_requests_that_do_not_say_where_they_come_from() {
    let world = World::with(auth_tower::AuthorityBuilder::with_strict_origin);
    assert_eq!(
        world.try_sign_in("alice", "wonderland").await.code(),
        "cross_site_request"
    );
    let login = ask("POST", "/auth/login").json(r#"{"username":"alice","password":"wonderland"}"#);
    let login = world.send(login.header("sec-fetch-site", "same-origin")).await;
    let refresh = login.refresh().unwrap();
    assert_eq!(world.post_refresh(&refresh).await.code(), "cross_site_request");
    let own = ask("POST", "/auth/refresh").refresh(&refresh);
    let own = own.header("host", "a.example").header("origin", "https://a.example");
    assert_eq!(world.send(own).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn cs_02_a_trusted_origin_may_act_and_any_other_may_not() {
    let world = World::with(|builder| {
        let builder = builder.trusted_origin("https://app.example.com");
        builder.trusted_origin("http://localhost:5173")
    });
    let alice = world.sign_in("alice").await;
    for (origin, allowed) in [
        ("https://app.example.com", true),
        ("https://APP.example.com:443", true),
        ("http://localhost:5173", true),
        ("http://app.example.com", false),
        ("https://app.example.com:444", false),
        ("https://other.example.com", false),
        ("null", false),
    ] {
        for site in [Some("same-site"), Some("cross-site"), None] {
            let mut request = ask("POST", "/me")
                .refresh(&alice.refresh)
                .header("host", "id.example.com");
            if let Some(site) = site {
                request = request.header("sec-fetch-site", site);
            }
            let reply = world.send(request.header("origin", origin)).await;
            assert_eq!(reply.status, if allowed { 200 } else { 403 }, "{origin} {site:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cs_04_an_app_on_plain_http_by_choice_has_plain_http_origins() {
    let world = World::with(|builder| builder.refresh_cookie(CookieConfig::new("refresh").with_insecure_plain_http()));
    let login = world.try_sign_in("alice", "wonderland").await;
    assert!(!login.set_cookie("refresh").unwrap().contains("Secure"));
    let refresh = value_of(&login, "refresh").unwrap();
    for (origin, status) in [("http://intra:8080", 200), ("https://intra:8080", 403)] {
        let request = ask("POST", "/me").header("cookie", cookies(&[("refresh", refresh)]));
        let reply = world
            .send(request.header("host", "intra:8080").header("origin", origin))
            .await;
        assert_eq!(reply.status, status, "{origin}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_may_render_denials_in_its_own_way_and_nothing_else_of_them_changes() {
    let plain = World::new();
    let own = World::with(|builder| {
        builder.render_denials(|denial| DenialBody {
            content_type: "text/html",
            body: format!("<h1>{}</h1>", denial.code()),
        })
    });
    let requests = [
        ask("GET", "/me"),
        ask("GET", "/me").bearer("a.b.c"),
        ask("GET", "/option").bearer("a.b.c"),
        ask("POST", "/me").header("authorization", "Bearer"),
        ask("POST", "/auth/login"),
        ask("POST", "/auth/login").json("{}"),
        ask("POST", "/auth/login").json(r#"{"username":"alice","password":"wrong"}"#),
        ask("POST", "/auth/login").header("sec-fetch-site", "cross-site"),
        ask("GET", "/auth/login"),
        ask("POST", "/auth/refresh"),
        ask("POST", "/auth/logout-all"),
        ask("GET", "/auth/sessions"),
        ask("POST", "/others"),
    ];
    for request in requests {
        let (theirs, ours) = (plain.send(request.clone()).await, own.send(request.clone()).await);
        assert!(theirs.status >= 400);
        assert_eq!(ours.status, theirs.status);
        assert_eq!(ours.body, format!("<h1>{}</h1>", theirs.code()), "{request:?}");
        assert_eq!(ours.header("content-type"), Some("text/html"));
        for name in ["www-authenticate", "allow", "cache-control", "retry-after"] {
            assert_eq!(ours.header(name), theirs.header(name), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_answer_a_rejection_in_its_own_way() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let known = world.send(ask("GET", "/verdict").bearer(&alice.access)).await;
    assert_eq!(known.body, "alice");
    let reply = world.send(ask("GET", "/verdict")).await;
    assert_eq!(
        (reply.status, &*reply.body),
        (200, "401 Unauthorized missing_token No access token was sent.")
    );
}
