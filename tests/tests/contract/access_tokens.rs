//! What an access token is, and every way in which it is none (RFC 7515, 7519, 8725, 9068).

use std::time::Duration;

use acceptance::forge::{base64url, now, sign_text};
use acceptance::wait::eventually;
use acceptance::{ACCESS_SECRET, Client, Jwt, Request, Response, Running, Target, expect};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

async fn me(app: &Running, token: &str) -> Response {
    Request::get("/api/me").bearer(token).send(app.address()).await
}

async fn accepted(app: &Running, what: &str, token: &str) {
    let response = me(app, token).await;
    assert_eq!(response.status, 200, "{what}: {response:?}");
}

async fn refused(app: &Running, what: &str, token: &str) {
    let response = me(app, token).await;
    assert_eq!(
        (response.status, response.code().as_deref()),
        (401, Some("invalid_token")),
        "{what}: {response:?}"
    );
    expect::problem(&response, 401, "invalid_token");
    expect::untouched(&response);
}

async fn at_01_at_07_at_20_an_access_token_is_of_the_rfc_9068_profile(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let Jwt { header, claims } = client.jwt();
    assert_eq!(header["typ"], "at+jwt", "AT-01");
    assert!(header["alg"].is_string() && header["kid"].is_string(), "{header}");
    assert_eq!(
        header.as_object().map(serde_json::Map::len),
        Some(3),
        "nothing else in the header: {header}"
    );
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("http://localhost:3000"), &json!("api")),
        "AT-07"
    );
    assert_eq!(
        (&claims["client_id"], &claims["gen"]),
        (&json!("web"), &json!(1)),
        "AT-07, AT-20"
    );
    for text in ["sub", "jti", "sid"] {
        assert!(
            claims[text].as_str().is_some_and(|value| !value.is_empty()),
            "AT-07: {text}"
        );
    }
    let issued = claims["iat"].as_i64().expect("iat");
    assert!((now() - 5..=now()).contains(&issued), "AT-07: iat");
    let another = Client::alice(&app).await.jwt();
    assert_ne!(another.text("jti"), claims["jti"], "a jti is unique");
    let allowed = [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "client_id",
        "sid",
        "gen",
        "auth_time",
        "scope",
    ];
    let own: Vec<_> = claims
        .as_object()
        .expect("claims")
        .keys()
        .filter(|name| !allowed.contains(&name.as_str()))
        .collect();
    assert_eq!(
        own,
        ["name", "roles"],
        "AT-20: only the app's own claims beside the profile's"
    );
}

async fn at_02_another_type_is_refused(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    accepted(&app, "as issued", &good.sign(ACCESS_SECRET)).await;
    refused(&app, "no typ", &good.clone().without_header("typ").sign(ACCESS_SECRET)).await;
    for typ in [
        json!("JWT"),
        json!("jwt"),
        json!("rt+jwt"),
        json!("logout+jwt"),
        json!(""),
        json!(null),
        json!(1),
        json!(["at+jwt"]),
    ] {
        refused(
            &app,
            &format!("typ {typ}"),
            &good.clone().header("typ", typ).sign(ACCESS_SECRET),
        )
        .await;
    }
}

async fn at_03_no_signature_is_refused_in_any_letter_case(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = good.clone().header("alg", alg);
        refused(&app, alg, &unsigned.with_signature(b"")).await;
        refused(&app, alg, &unsigned.sign(ACCESS_SECRET)).await;
    }
    refused(&app, "HS256 without a signature", &good.with_signature(b"")).await;
    refused(&app, "no alg", &good.without_header("alg").sign(ACCESS_SECRET)).await;
}

async fn at_04_the_token_does_not_choose_the_algorithm(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    for alg in [
        "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA", "hs256", "HS256 ", "X",
    ] {
        refused(&app, alg, &good.clone().header("alg", alg).sign(ACCESS_SECRET)).await;
    }
}

/// With the app's own key file: an HMAC keyed with anything that is public.
async fn at_04_public_key_bytes_are_no_hmac_key(at: Target) {
    let app = at.start().await;
    let good = Client::alice(&app).await.jwt();
    let set = Request::get("/.well-known/jwks.json").send(app.address()).await;
    let mut public = vec![set.body.clone(), Vec::new()];
    for key in set.json()["keys"].as_array().expect("keys") {
        public.push(key.to_string().into_bytes());
        for member in ["x", "y", "n", "e", "kid"] {
            if let Some(text) = key[member].as_str() {
                public.push(text.as_bytes().to_vec());
                public.push(URL_SAFE_NO_PAD.decode(text).unwrap_or_default());
            }
        }
    }
    for alg in ["HS256", "HS384", "HS512"] {
        for key in &public {
            let header = good.clone().header("alg", alg).header;
            refused(
                &app,
                alg,
                &sign_text(&header.to_string(), &good.claims.to_string(), key),
            )
            .await;
        }
    }
}

async fn at_05_no_header_supplies_a_key_or_causes_a_fetch(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    let canary = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/keys.json", canary.local_addr().expect("an address"));
    let own = "a secret of the attacker's own, long enough";
    let key = json!({"kty": "oct", "alg": "HS256", "kid": good.header["kid"], "k": base64url(own)});
    for (member, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", key),
        ("x5c", json!([base64url("certificate")])),
    ] {
        for secret in [own, ACCESS_SECRET] {
            refused(&app, member, &good.clone().header(member, value.clone()).sign(secret)).await;
        }
        let elsewhere = good.clone().header(member, value).header("kid", "elsewhere").sign(own);
        refused(&app, member, &elsewhere).await;
    }
    let visit = tokio::time::timeout(Duration::from_millis(50), canary.accept()).await;
    assert!(visit.is_err(), "nobody fetched a key");
}

async fn at_06_an_unknown_critical_header_is_refused(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    for crit in [
        json!(["x"]),
        json!(["exp"]),
        json!([]),
        json!("x"),
        json!(null),
        json!({}),
    ] {
        refused(
            &app,
            &format!("crit {crit}"),
            &good.clone().header("crit", crit).header("x", 1).sign(ACCESS_SECRET),
        )
        .await;
    }
    let b64 = good
        .clone()
        .header("crit", json!(["b64"]))
        .header("b64", false)
        .sign(ACCESS_SECRET);
    refused(&app, "b64", &b64).await;
}

async fn at_08_at_09_issuer_and_audience_are_compared_exactly(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    let iss = good.text("iss").to_owned();
    let mut wrong = vec![good.clone().without_claim("iss"), good.clone().without_claim("aud")];
    for other in [
        json!(format!("{iss}/")),
        json!(iss.to_uppercase()),
        json!(""),
        json!(null),
        json!(7),
        json!([iss]),
    ] {
        wrong.push(good.clone().claim("iss", other));
    }
    for other in [
        json!("API"),
        json!("api "),
        json!("ap"),
        json!(""),
        json!(null),
        json!(7),
        json!([]),
        json!(["other"]),
        json!([7]),
        json!({"api": 1}),
    ] {
        wrong.push(good.clone().claim("aud", other));
    }
    for jwt in wrong {
        refused(
            &app,
            &format!("iss {} aud {}", jwt.claims["iss"], jwt.claims["aud"]),
            &jwt.sign(ACCESS_SECRET),
        )
        .await;
    }
    for ours in [json!("api"), json!(["api"]), json!(["other", "api"])] {
        accepted(
            &app,
            &ours.to_string(),
            &good.clone().claim("aud", ours.clone()).sign(ACCESS_SECRET),
        )
        .await;
    }
}

async fn at_10_at_12_an_expiry_is_required_and_has_no_leeway(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    for seconds in [1, 11, 61, 100_000] {
        let response = me(&app, &good.clone().expired_since(seconds).sign(ACCESS_SECRET)).await;
        expect::problem(&response, 401, "token_expired");
    }
    refused(&app, "no exp", &good.clone().without_claim("exp").sign(ACCESS_SECRET)).await;
    for exp in [
        json!(null),
        json!("4000000000"),
        json!([4_000_000_000_i64]),
        json!({}),
        json!(true),
    ] {
        refused(
            &app,
            &format!("exp {exp}"),
            &good.clone().claim("exp", exp).sign(ACCESS_SECRET),
        )
        .await;
    }
    for exp in [json!(0), json!(-1)] {
        let response = me(&app, &good.clone().claim("exp", exp).sign(ACCESS_SECRET)).await;
        assert_eq!(response.status, 401, "{response:?}");
    }
}

async fn at_11_a_token_of_the_near_future_is_accepted_for_ten_seconds(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    for claim in ["nbf", "iat"] {
        accepted(&app, claim, &good.clone().claim(claim, now() + 5).sign(ACCESS_SECRET)).await;
        for ahead in [30, 61, 100_000] {
            let what = format!("{claim} in {ahead} s");
            refused(
                &app,
                &what,
                &good.clone().claim(claim, now() + ahead).sign(ACCESS_SECRET),
            )
            .await;
        }
        for value in [json!("1"), json!(null), json!([])] {
            refused(
                &app,
                &format!("{claim} {value}"),
                &good.clone().claim(claim, value).sign(ACCESS_SECRET),
            )
            .await;
        }
    }
}

async fn at_13_a_refresh_token_is_no_access_token_and_the_other_way_round(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    refused(&app, "a refresh token", &client.refresh_token()).await;
    refused(&app, "a session id", &client.session_id()).await;
    let response = Request::post("/auth/refresh")
        .refresh(&client.access)
        .send(app.address())
        .await;
    expect::problem(&response, 401, "invalid_refresh_token");
    expect::untouched(&response);
}

async fn at_14_any_changed_character_is_refused_with_one_and_the_same_answer(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    accepted(&app, "as issued", &client.access).await;
    let good = client.access.as_bytes();
    let mut bodies = std::collections::BTreeSet::new();
    for place in (0..good.len()).step_by(7).chain(good.len() - 4..good.len()) {
        let mut bad = good.to_vec();
        bad[place] = match bad[place] {
            b'.' => b'A',
            // The next letter but two: the last character of a part may have bits that mean nothing.
            b'A' => b'Z',
            _ => b'A',
        };
        let response = me(&app, std::str::from_utf8(&bad).expect("ASCII")).await;
        assert_eq!(response.status, 401, "character {place}: {response:?}");
        bodies.insert(response.body);
    }
    assert_eq!(
        bodies.len(),
        1,
        "AT-14: the answer does not say what was wrong: {bodies:?}"
    );
}

async fn at_15_a_token_has_one_spelling(at: Target) {
    let app = at.forgeable().start().await;
    let client = Client::alice(&app).await;
    let good = client.jwt();
    let token = good.sign(ACCESS_SECRET);
    let (head, signature) = token.rsplit_once('.').expect("three parts");
    // 32 bytes leave two unused bits in the last of 43 characters; with one of them set the bytes are the same.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet
        .iter()
        .position(|c| *c == *signature.as_bytes().last().expect("a character"))
        .expect("base64url");
    let respelled = format!("{head}.{}{}", &signature[..42], char::from(alphabet[last + 1]));
    for (what, bad) in [
        ("unused bits", respelled),
        ("padding", format!("{token}=")),
        ("a fourth part", format!("{token}.")),
        ("a fourth part with text", format!("{token}.e30")),
        ("five parts", format!("{token}.a.b")),
        ("two parts", head.to_owned()),
        ("an empty first part", format!(".{token}")),
        ("the standard alphabet", token.replace(['-', '_'], "+") + "+"),
        ("a quoted token", format!("\"{token}\"")),
    ] {
        let response = me(&app, &bad).await;
        assert!(matches!(response.status, 400 | 401), "{what}: {response:?}");
        expect::untouched(&response);
    }
    let (header, claims) = (good.header.to_string(), good.claims.to_string());
    let twice = |object: &str, member: &str| format!("{{{member},{}", &object[1..]);
    for (what, header, claims) in [
        ("alg twice", twice(&header, "\"alg\":\"HS256\""), claims.clone()),
        ("typ twice", twice(&header, "\"typ\":\"at+jwt\""), claims.clone()),
        (
            "kid twice",
            twice(&header, &format!("\"kid\":{}", good.header["kid"])),
            claims.clone(),
        ),
        ("sub twice", header.clone(), twice(&claims, "\"sub\":\"root\"")),
        ("exp twice", header.clone(), twice(&claims, "\"exp\":9999999999")),
        ("sid twice", header.clone(), twice(&claims, "\"sid\":\"x\"")),
        ("an array", header.clone(), format!("[{claims}]")),
        ("a string", header.clone(), "\"claims\"".to_owned()),
        ("nothing", header.clone(), String::new()),
        ("more after the object", header.clone(), format!("{claims} 1")),
        ("a header array", format!("[{header}]"), claims.clone()),
        ("no JSON", "x".to_owned(), "y".to_owned()),
    ] {
        refused(&app, what, &sign_text(&header, &claims, ACCESS_SECRET.as_bytes())).await;
    }
}

async fn at_16_an_oversized_token_is_refused(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    let padded = |to: usize| good.clone().claim("padding", "x".repeat(to)).sign(ACCESS_SECRET);
    let small = padded(4000);
    assert!(small.len() < 8192);
    accepted(&app, "under 8 KiB", &small).await;
    let large = padded(6200);
    assert!((8193..9000).contains(&large.len()), "{}", large.len());
    refused(&app, "over 8 KiB, signed well", &large).await;
    let huge = "A".repeat(100 * 1024);
    let response = me(&app, &huge).await;
    assert!(matches!(response.status, 401 | 431), "100 KiB: {}", response.status);
}

async fn claims_of_the_wrong_type_are_refused(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    for (claim, value) in [
        ("sub", json!(7)),
        ("sub", json!(null)),
        ("sid", json!(7)),
        ("sid", json!("short")),
        ("sid", json!(null)),
        ("name", json!(7)),
        ("roles", json!("admin")),
    ] {
        let response = me(&app, &good.clone().claim(claim, value.clone()).sign(ACCESS_SECRET)).await;
        assert_eq!(response.status, 401, "{claim} {value}: {response:?}");
    }
    for (member, value) in [
        ("kid", json!(7)),
        ("kid", json!(null)),
        ("kid", json!("x".repeat(4000))),
        ("alg", json!(7)),
    ] {
        let response = me(&app, &good.clone().header(member, value.clone()).sign(ACCESS_SECRET)).await;
        assert_eq!(response.status, 401, "{member}: {response:?}");
    }
    refused(&app, "no sub", &good.clone().without_claim("sub").sign(ACCESS_SECRET)).await;
    refused(&app, "no sid", &good.clone().without_claim("sid").sign(ACCESS_SECRET)).await;
}

async fn a_token_without_generation_or_client_is_only_poorer(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    accepted(&app, "no gen", &good.clone().without_claim("gen").sign(ACCESS_SECRET)).await;
    accepted(
        &app,
        "no client_id",
        &good.clone().without_claim("client_id").sign(ACCESS_SECRET),
    )
    .await;
    accepted(
        &app,
        "a claim of a later version",
        &good.claim("later", json!({"a": [1]})).sign(ACCESS_SECRET),
    )
    .await;
}

/// The verified-token cache must not outlive the token. Real time: a lifetime of two seconds has to pass.
async fn a_token_that_was_accepted_expires_all_the_same(at: Target) {
    let app = at.settings().set("ACCESS_TOKEN_EXPIRATION", "2s").start().await;
    let client = Client::alice(&app).await;
    for _ in 0..3 {
        accepted(&app, "fresh", &client.access).await;
    }
    let expired = || async { me(&app, &client.access).await.status == 401 };
    eventually(Duration::from_secs(4), "the token expires", expired).await;
    expect::problem(&me(&app, &client.access).await, 401, "token_expired");
}

async fn at_21_lifetimes_are_never_longer_than_set(at: Target) {
    let app = at
        .settings()
        .set("ACCESS_TOKEN_EXPIRATION", "90s")
        .set("REFRESH_TOKEN_GRACE", "0s")
        .start()
        .await;
    let mut client = Client::alice(&app).await;
    for _ in 0..20 {
        let claims = client.jwt().claims;
        let lifetime = claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat");
        assert!((80..=90).contains(&lifetime), "{lifetime}");
        client.refresh().await;
    }
}

/// A refused token never enters the cache, and an accepted one lends its place to no look-alike.
async fn a_look_alike_of_a_cached_token_is_refused(at: Target) {
    let app = at.forgeable().start().await;
    let good = Client::alice(&app).await.jwt();
    let token = good.sign(ACCESS_SECRET);
    let root = good
        .clone()
        .claim("name", Value::from("root"))
        .sign("a secret of the attacker's own, long enough");
    for _ in 0..3 {
        accepted(&app, "the real one", &token).await;
        refused(&app, "the forged one", &root).await;
        refused(&app, "the real one cut short", &token[..token.len() - 1]).await;
    }
}

acceptance::on_every_app!(
    at_01_at_07_at_20_an_access_token_is_of_the_rfc_9068_profile,
    at_02_another_type_is_refused,
    at_03_no_signature_is_refused_in_any_letter_case,
    at_04_the_token_does_not_choose_the_algorithm,
    at_04_public_key_bytes_are_no_hmac_key,
    at_05_no_header_supplies_a_key_or_causes_a_fetch,
    at_06_an_unknown_critical_header_is_refused,
    at_08_at_09_issuer_and_audience_are_compared_exactly,
    at_10_at_12_an_expiry_is_required_and_has_no_leeway,
    at_11_a_token_of_the_near_future_is_accepted_for_ten_seconds,
    at_13_a_refresh_token_is_no_access_token_and_the_other_way_round,
    at_14_any_changed_character_is_refused_with_one_and_the_same_answer,
    at_15_a_token_has_one_spelling,
    at_16_an_oversized_token_is_refused,
    claims_of_the_wrong_type_are_refused,
    a_token_without_generation_or_client_is_only_poorer,
    a_token_that_was_accepted_expires_all_the_same,
    at_21_lifetimes_are_never_longer_than_set,
    a_look_alike_of_a_cached_token_is_refused,
);
