//! One function for each kind of bytes that strangers send or that files hold, through the public API alone.
//!
//! None may panic, and each says what must hold besides. What stands in `expect` is the scene, which no input reaches, or the
//! finding itself: a fuzz target tells of one by a panic.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Mutex, OnceLock};

use auth_tower::adapter::{Endpoint, HandleSource, Reply, RequestBody, RequestFacts, Route, observe};
use auth_tower::{
    Accounts, AccountsError, Algorithm, Auth, Clock, Grant, KeyRing, MemoryStore, PasswordCredentials, RefreshKey,
    SigningKey, Subject, Timestamp, VerifyingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};

/// What takes the bytes of one run.
pub type Target = fn(&[u8]);

/// Every target, under the name of its binary and of the folder of its corpus.
pub const ALL: [(&str, Target); 9] = [
    ("authorization", authorization),
    ("cookie", cookie),
    ("jwk", jwk),
    ("jwt", jwt),
    ("key_file", key_file),
    ("origin_host", origin_host),
    ("pem", pem),
    ("refresh_token", refresh_token),
    ("routes", routes),
];

/// The target of this name.
///
/// # Panics
/// If there is none.
pub fn named(name: &str) -> Target {
    let found = ALL.into_iter().find(|(known, _)| *known == name);
    found.expect("a target of this name").1
}

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "https://api.example.com";
const SECRET: &[u8] = b"a secret of the fuzz targets, which everybody may know";
const NOW: i64 = 1_800_000_000;

/// Where an input says so, the live refresh token stands: an input on disk cannot know it.
const PLACEHOLDER: &[u8] = b"{token}";

#[derive(Clone, Serialize, Deserialize)]
struct User {}

struct Alice;

/// Long enough that no run guesses it and fills the store with sessions.
const PASSPHRASE: &str = "correct horse battery staple, and then some more words";

impl Accounts for Alice {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        let alice = login.username() == "alice" && login.password().expose_secret() == PASSPHRASE;
        Ok(alice.then(|| Subject::new("alice").expect("a sound subject")))
    }

    async fn claims(&self, _: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        Ok(Some(Grant::new(User {})))
    }
}

/// An authority whose clock stands still, with one session.
struct World {
    runtime: tokio::runtime::Runtime,
    auth: Auth<User>,
    refresh_token: String,
    access_token: String,
}

/// One at a time: the runtime has one thread, and the ordinary tests have many.
fn with_world<T>(run: impl FnOnce(&World) -> T) -> T {
    static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
    let world = WORLD.get_or_init(|| Mutex::new(World::new()));
    run(&world.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let keys = KeyRing::builder()
            .signing(SigningKey::hmac("fuzz", Algorithm::HS256, SECRET).expect("a signing key"))
            .refresh(RefreshKey::new(SECRET).expect("a refresh key"))
            .build()
            .expect("a ring");
        let entered = runtime.enter();
        let auth = Auth::<User>::authority(keys)
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .sessions(MemoryStore::new())
            .accounts(Alice)
            .clock(Clock::manual(Timestamp::from_secs(NOW)))
            .build()
            .expect("an authority");
        drop(entered);
        let mut world = Self {
            runtime,
            auth,
            refresh_token: String::new(),
            access_token: String::new(),
        };
        let login = serde_json::json!({ "username": "alice", "password": PASSPHRASE });
        let facts = Facts::new("POST").with("content-type", b"application/json");
        let reply = world.ask(Route::Login, &facts, login.to_string().as_bytes());
        assert_eq!(reply.status, 200, "the sign-in that everything stands on");
        world.refresh_token = reply
            .headers
            .iter()
            .filter(|header| header.name == "set-cookie")
            .find_map(|header| header.value.strip_prefix("__Host-refresh="))
            .and_then(|value| value.split(';').next())
            .expect("a refresh cookie")
            .to_owned();
        let body: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
        let access_token = body.get("access_token").and_then(|token| token.as_str());
        access_token
            .expect("an access token")
            .clone_into(&mut world.access_token);
        world
    }

    fn ask(&self, route: Route, facts: &Facts, body: &[u8]) -> Reply {
        let endpoint = Endpoint::new(&self.auth, route, facts);
        let body = endpoint.body_limit().map(|limit| {
            if body.len() > limit {
                RequestBody::TooLarge
            } else {
                RequestBody::Complete(bytes::Bytes::copy_from_slice(body))
            }
        });
        self.runtime.block_on(endpoint.answer(body))
    }

    /// Whether a request with these facts has a user.
    fn admits(&self, facts: &Facts) -> bool {
        let handle = HandleSource::new(&self.auth).handle();
        observe(&handle, facts);
        self.runtime.block_on(handle.claims::<User>()).is_ok()
    }
}

/// A request as the core sees it.
struct Facts {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    authority: Option<String>,
}

impl Facts {
    fn new(method: &'static str) -> Self {
        Self {
            method,
            path: "/".to_owned(),
            headers: vec![("host", b"api.example.com".to_vec())],
            authority: None,
        }
    }

    fn with(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.push((name, value.to_vec()));
        self
    }

    fn without(mut self, unwanted: &str) -> Self {
        self.headers.retain(|(name, _)| *name != unwanted);
        self
    }

    /// One line of the header for each line of `data`.
    fn with_lines(self, name: &'static str, data: &[u8]) -> Self {
        data.split(|byte| *byte == b'\n')
            .fold(self, |facts, line| facts.with(name, line))
    }
}

impl RequestFacts for Facts {
    fn method(&self) -> &str {
        self.method
    }

    fn header_lines(&self, name: &'static str, each: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.headers.iter().filter(|(header, _)| *header == name) {
            each(value);
        }
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    fn client_ip(&self) -> Option<IpAddr> {
        None
    }
}

fn filled_in(data: &[u8], token: &str) -> Vec<u8> {
    let mut rest = data;
    let mut filled = Vec::with_capacity(data.len());
    while let Some(at) = rest.windows(PLACEHOLDER.len()).position(|part| part == PLACEHOLDER) {
        let (before, after) = rest.split_at(at);
        filled.extend_from_slice(before);
        filled.extend_from_slice(token.as_bytes());
        rest = after.get(PLACEHOLDER.len()..).unwrap_or_default();
    }
    filled.extend_from_slice(rest);
    filled
}

/// Lines of the `Authorization` header. Nobody is admitted without the whole token.
fn authorization(data: &[u8]) {
    with_world(|world| {
        let value = filled_in(data, &world.access_token);
        let admitted = world.admits(&Facts::new("GET").with_lines("authorization", &value));
        let sent = String::from_utf8_lossy(&value).contains(&world.access_token);
        assert!(sent || !admitted, "admitted without a token");
    });
}

/// Lines of the `Cookie` header. Nobody is admitted without the whole token.
fn cookie(data: &[u8]) {
    with_world(|world| {
        let value = filled_in(data, &world.refresh_token);
        let admitted = world.admits(&Facts::new("GET").with_lines("cookie", &value));
        let sent = String::from_utf8_lossy(&value).contains(&world.refresh_token);
        assert!(sent || !admitted, "admitted without a token");
    });
}

/// The live refresh token with bits of it turned: any that is turned makes it another's.
fn refresh_token(data: &[u8]) {
    with_world(|world| {
        let mut token = world.refresh_token.clone().into_bytes();
        for (byte, turned) in token.iter_mut().zip(data) {
            *byte ^= turned;
        }
        // What is longer than the mask is appended to the token.
        token.extend(data.iter().skip(world.refresh_token.len()));
        let untouched = token == world.refresh_token.as_bytes();
        let value = [b"__Host-refresh=", &token[..]].concat();
        let admitted = world.admits(&Facts::new("GET").with("cookie", &value));
        // In a cookie these end the value, or stand around it.
        let cut = token.starts_with(world.refresh_token.as_bytes()) || token.contains(&b'=') || token.contains(&b';');
        assert!(untouched || cut || !admitted, "admitted with a forged token");
    });
}

/// Header and claims of a token that is signed as it should be: the first line is the header, the rest the claims.
fn jwt(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET).expect("any length will do");
    mac.update(signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    let value = format!("Bearer {signed}.{signature}");
    let admitted = with_world(|world| world.admits(&Facts::new("GET").with("authorization", value.as_bytes())));
    if admitted {
        let claims: serde_json::Value = serde_json::from_slice(claims).expect("admitted, and not JSON");
        let text = |name: &str| claims.get(name).and_then(|value| value.as_str());
        assert_eq!(text("iss"), Some(ISSUER), "admitted from another issuer");
        let audience = claims.get("aud").map(ToString::to_string).unwrap_or_default();
        assert!(audience.contains(AUDIENCE), "admitted for another audience");
        let expires = claims
            .get("exp")
            .and_then(serde_json::Value::as_f64)
            .unwrap_or_default();
        // A minute's leeway is the most that two clocks are granted.
        assert!(expires + 61.0 >= NOW as f64, "admitted after its end");
        let header: serde_json::Value = serde_json::from_slice(header).expect("admitted, and its header not JSON");
        assert_eq!(header.get("alg").and_then(|value| value.as_str()), Some("HS256"));
    }
}

const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// A PEM file, read for every algorithm.
fn pem(data: &[u8]) {
    for algorithm in ALGORITHMS {
        if let Ok(key) = SigningKey::from_pem("fuzz", algorithm, data) {
            assert_eq!(key.algorithm(), algorithm);
            published(key);
        }
        if let Ok(key) = VerifyingKey::from_pem("fuzz", algorithm, data) {
            assert_eq!(key.algorithm(), algorithm);
        }
    }
}

/// A JSON Web Key.
fn jwk(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(key) = SigningKey::from_jwk(text) {
        published(key);
    }
    if let Ok(key) = VerifyingKey::from_jwk(text) {
        assert!(!key.kid().is_empty());
    }
}

/// What a ring publishes of a key that it took can be read, and is no secret.
fn published(key: SigningKey) {
    let ring = KeyRing::builder().signing(key).build();
    if let Ok(ring) = ring {
        let jwks: serde_json::Value = serde_json::from_str(&ring.jwks()).expect("a JWK set is JSON");
        for key in jwks.get("keys").and_then(|keys| keys.as_array()).into_iter().flatten() {
            for private in ["d", "k", "p", "q", "dp", "dq", "qi"] {
                assert!(key.get(private).is_none(), "a private member was published");
            }
            let public = VerifyingKey::from_jwk(&key.to_string());
            assert!(public.is_ok(), "what is published can be read: {public:?}");
        }
    }
}

/// The key file. One that is there is never changed.
fn key_file(data: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("room in it");
    if let Ok(ring) = KeyRing::load_or_generate(file.path()) {
        let _: serde_json::Value = serde_json::from_str(&ring.jwks()).expect("a JWK set is JSON");
    }
    assert_eq!(
        std::fs::read(file.path()).expect("the file"),
        data,
        "the key file was changed"
    );
}

/// `Origin`, `Host`, `Sec-Fetch-Site` and the authority, one a line, with the live cookie. The answer is never an error of ours.
fn origin_host(data: &[u8]) {
    let mut lines = data.splitn(4, |byte| *byte == b'\n');
    let mut facts = Facts::new("POST").without("host");
    let names = ["origin", "host", "sec-fetch-site"];
    for (name, line) in names.into_iter().zip(&mut lines) {
        if !line.is_empty() {
            facts = facts.with(name, line);
        }
    }
    facts.authority = lines
        .next()
        .and_then(|line| String::from_utf8(line.to_vec()).ok())
        .filter(|line| !line.is_empty());
    with_world(|world| {
        let cookie = format!("__Host-refresh={}", world.refresh_token);
        let reply = world.ask(Route::Refresh, &facts.with("cookie", cookie.as_bytes()), b"");
        assert!(matches!(reply.status, 200 | 400..=499), "{}", reply.status);
    });
}

/// The body of a request to a ready route, and the path's last segment: the first byte chooses the route, the second the
/// method, and the rest is both.
fn routes(data: &[u8]) {
    let (choice, body) = data.split_at(data.len().min(2));
    let [route, method] = [0, 1].map(|at| usize::from(choice.get(at).copied().unwrap_or_default()));
    let route = Route::ALL.into_iter().cycle().nth(route).unwrap_or(Route::Login);
    let method = ["POST", "GET", "DELETE", "HEAD"]
        .into_iter()
        .cycle()
        .nth(method)
        .unwrap_or("POST");
    with_world(|world| {
        let mut facts = Facts::new(method).with("content-type", b"application/json");
        facts.path = format!("/auth/sessions/{}", String::from_utf8_lossy(body));
        let reply = world.ask(route, &facts, body);
        assert!(matches!(reply.status, 200..=204 | 400..=499), "{}", reply.status);
        if reply.body.starts_with('{') {
            let _: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
        }
    });
}
