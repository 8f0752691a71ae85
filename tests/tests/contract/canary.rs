//! Every flow at the most talkative log level, with secrets that are easy to find again; then a search of the log and of
//! the store for every one of them, whole and in parts.

use std::collections::BTreeSet;

use acceptance::forge::from_base64url;
use acceptance::{ACCESS_SECRET, Client, Jwt, REFRESH_SECRET, RefreshToken, Request, Response, Target, store};

const WRONG_PASSWORD: &str = "canary-wrong-password";
const GARBAGE_COOKIE: &str = "canary-garbage-cookie";
const GARBAGE_TOKEN: &str = "canary.garbage.token";
const GARBAGE_HEADER: &str = "canary-unreadable-credential";

/// What must not turn up anywhere.
#[derive(Default)]
struct Secrets(BTreeSet<Vec<u8>>);

impl Secrets {
    fn text(&mut self, text: &str) {
        self.0.insert(text.as_bytes().to_vec());
    }

    /// An access token: its claims and its signature, each alone too. The header is the same for all and no secret.
    fn access(&mut self, token: &str) {
        self.text(token);
        for part in token.split('.').skip(1) {
            self.text(part);
            self.text(&part[..part.len() / 2]);
            self.text(&part[part.len() / 2..]);
        }
        self.0
            .insert(from_base64url(token.rsplit('.').next().expect("a signature")));
    }

    /// A refresh token: both halves of its text, and the bytes of its secret and of its MAC in the usual spellings.
    fn refresh(&mut self, token: &str) {
        self.text(token);
        self.text(&token[..36]);
        self.text(&token[36..]);
        let bytes = from_base64url(token);
        // Two bytes of the secret may be the subject's routing bytes, which are public.
        for part in [&bytes[8..38], &bytes[38..54], &bytes[8..22], &bytes[22..38]] {
            self.0.insert(part.to_vec());
            self.text(&part.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            self.text(&part.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
            let list: Vec<_> = part.iter().map(u8::to_string).collect();
            self.text(&list.join(", "));
        }
    }

    /// All that an answer brought.
    fn response(&mut self, response: &Response) {
        if let Some(token) = response.access_token() {
            self.access(&token);
        }
        if let Some(token) = response.refresh_token() {
            self.refresh(&token);
        }
    }

    /// The first of them that `hay` holds, with what stands around it.
    fn found_in(&self, hay: &[u8]) -> Option<String> {
        self.0.iter().find_map(|secret| {
            let place = hay
                .windows(secret.len())
                .position(|window| window == secret.as_slice())?;
            let around = &hay[place.saturating_sub(200)..hay.len().min(place + secret.len() + 100)];
            Some(String::from_utf8_lossy(around).into_owned())
        })
    }
}

async fn br_08_rt_22_no_secret_is_in_the_log_or_in_the_store(at: Target) {
    let settings = at
        .forgeable()
        .set("RUST_LOG", "trace")
        .set("REFRESH_TOKEN_GRACE", "0s")
        .set("REFRESH_TOKEN_REUSE", "strict");
    let app = settings.start().await;
    let address = app.address();
    let mut secrets = Secrets::default();
    for text in [
        ACCESS_SECRET,
        REFRESH_SECRET,
        "wonderland",
        "builder",
        WRONG_PASSWORD,
        GARBAGE_COOKIE,
        GARBAGE_TOKEN,
        GARBAGE_HEADER,
    ] {
        secrets.text(text);
    }

    let mut alice = Client::alice(&app).await;
    let mut bob = Client::bob(&app).await;
    let mut robbed = Client::alice(&app).await;
    for client in [&alice, &bob, &robbed] {
        secrets.access(&client.access);
        secrets.refresh(&client.refresh_token());
    }
    let before = robbed.refresh_token();
    let forged = [
        alice.expired(),
        alice.jwt().header("kid", "nobody").sign(ACCESS_SECRET),
        alice.jwt().claim("iss", "elsewhere").sign(ACCESS_SECRET),
        alice.jwt().claim("roles", "not a list").sign(ACCESS_SECRET),
        alice.jwt().with_signature(&[3; 32]),
        alice.jwt().claim("exp", "soon").sign(ACCESS_SECRET),
    ];
    for token in &forged {
        secrets.access(token);
    }
    let altered = RefreshToken::decode(&alice.refresh_token()).with_generation(77);
    let ahead = altered.clone().authenticated(REFRESH_SECRET).encode();
    let altered = altered.encode();
    secrets.refresh(&ahead);

    let me = || Request::get("/api/me");
    let mut requests = vec![
        Request::login("alice", WRONG_PASSWORD),
        Request::login("nobody", WRONG_PASSWORD),
        Request::post("/auth/login")
            .header("Content-Type", "application/json")
            .body(format!("{{\"password\":\"{WRONG_PASSWORD}\"")),
        Request::post("/auth/login")
            .header("Content-Type", "text/plain")
            .body(WRONG_PASSWORD),
        Request::login("alice", "wonderland").header("Sec-Fetch-Site", "cross-site"),
        me().refresh(GARBAGE_COOKIE),
        Request::post("/auth/refresh").refresh(GARBAGE_COOKIE),
        Request::post("/auth/logout").refresh(GARBAGE_COOKIE),
        Request::post("/auth/refresh").refresh(&altered),
        me().bearer(GARBAGE_TOKEN),
        me().bearer(GARBAGE_TOKEN).refresh(&alice.refresh_token()),
        me().header("Authorization", format!("Bearer {GARBAGE_HEADER} twice")),
        me().header("Authorization", GARBAGE_HEADER),
        me().bearer(&alice.refresh_token()),
        Request::post("/auth/refresh").refresh(&alice.access),
        Request::post("/api/notes")
            .refresh(&alice.refresh_token())
            .header("Sec-Fetch-Site", "cross-site"),
        Request::get("/api/admin").bearer(&bob.access),
        Request::delete(&format!("/auth/sessions/{}", alice.session_id())).bearer(&bob.access),
    ];
    requests.extend(forged.iter().skip(1).map(|token| me().bearer(token)));
    requests.extend(forged.iter().map(|token| {
        Request::post("/auth/logout-all")
            .bearer(token)
            .header("Sec-Fetch-Site", "cross-site")
    }));
    for request in requests {
        let response = request.send(address).await;
        secrets.response(&response);
    }

    let expired = alice.expired();
    let exchanged = alice.with_cookies(me().bearer(&expired)).await;
    assert_eq!(exchanged.status, 200, "{exchanged:?}");
    secrets.response(&exchanged);
    for request in [
        Request::post("/auth/refresh"),
        me(),
        Request::get("/api/public"),
        Request::get("/auth/sessions"),
    ] {
        let response = alice.with_cookies(request).await;
        assert_eq!(response.status, 200, "{response:?}");
        secrets.response(&response);
    }
    secrets.response(&robbed.refresh().await);
    let reused = Request::post("/auth/refresh").refresh(&before).send(address).await;
    assert_eq!(reused.code().as_deref(), Some("refresh_token_reused"), "{reused:?}");
    secrets.response(&Request::post("/auth/refresh").refresh(&ahead).send(address).await);
    secrets.response(&bob.with_cookies(Request::login("bob", "builder")).await);
    assert_eq!(bob.with_bearer(Request::post("/auth/logout")).await.status, 204);
    let anew = Client::alice(&app).await;
    secrets.access(&anew.access);
    secrets.refresh(&anew.refresh_token());
    assert!(
        Request::post("/auth/logout-all")
            .refresh(&anew.refresh_token())
            .send(address)
            .await
            .status
            == 200
    );
    assert_eq!(Jwt::decode(&anew.access).text("sid"), anew.session_id());

    let settings = app.settings().clone();
    let live = at.store.is_durable().then(|| store::bytes(&settings));
    let log = app.log();
    let (_, end) = app.terminate().await;
    let stopped = at.store.is_durable().then(|| store::bytes(&settings));

    assert!(
        log.len() > 2_000,
        "the most talkative level says something: {} bytes",
        log.len()
    );
    // Bob's password is also the name of a module that logs.
    let log = end.stderr.replace("::builder", "::");
    let places = [
        ("the log", Some(log.into_bytes())),
        ("stdout", Some(end.stdout.into_bytes())),
        ("the store of the running app", live),
        ("the store of the stopped app", stopped),
    ];
    for (place, bytes) in places {
        if let Some(around) = bytes.and_then(|bytes| secrets.found_in(&bytes)) {
            panic!("a secret is in {place}: …{around}…");
        }
    }
}

acceptance::on_every_store!(br_08_rt_22_no_secret_is_in_the_log_or_in_the_store);

#[test]
fn the_search_finds_what_is_there() {
    let mut secrets = Secrets::default();
    let token = acceptance::forge::base64url([9; 54]);
    secrets.refresh(&token);
    for leak in [
        token.clone(),
        format!("cookie={}", &token[36..]),
        "secret: [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]".to_owned(),
    ] {
        assert!(secrets.found_in(leak.as_bytes()).is_some(), "{leak}");
    }
    assert_eq!(secrets.found_in(b"nothing of the kind"), None);
}
