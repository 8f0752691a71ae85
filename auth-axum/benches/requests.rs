//! Every path of a request, in process, beside the bare route and beside what one would write by hand with `jsonwebtoken`:
//! `cargo bench -p auth-axum --bench requests`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first surprise"
)]

mod fixture;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use auth_tower::session::rotation::{Policy, Reuse, Rotation, decide};
use auth_tower::{Algorithm, MemoryStore, SqliteStore, Timestamp};
use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::get;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fixture::{ALGORITHMS, User};
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

const GRACE: Duration = Duration::from_secs(30);
const CACHE: u64 = 1 << 20;

fn requests(c: &mut Criterion) {
    let runtime = runtime();
    let mut group = c.benchmark_group("request");
    for algorithm in ALGORITHMS {
        let (auth, cold, app, authorization) = runtime.block_on(async {
            let auth = fixture::auth(algorithm, MemoryStore::new(), GRACE, CACHE);
            let cold = fixture::auth(algorithm, MemoryStore::new(), GRACE, 0);
            let app = fixture::app(&auth);
            let authorization = fixture::sign_in(&app, "alice").await.0;
            for auth in [&auth, &cold] {
                while !auth.health().feed_is_fresh {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            (auth, cold, app, authorization)
        });
        let mut forged = authorization.clone();
        let last = if forged.ends_with('A') { 'E' } else { 'A' };
        forged.pop();
        forged.pop();
        forged.push_str(&format!("A{last}"));

        let bare = fixture::bare_app(&auth);
        let cold = fixture::app(&cold);
        let peer = peer(algorithm);
        for (name, app, authorization) in [
            ("bare", &bare, &authorization),
            ("warm", &app, &authorization),
            ("cold", &cold, &authorization),
            ("peer: extractor + jsonwebtoken", &peer, &authorization),
            ("refused", &app, &forged),
        ] {
            group.bench_function(BenchmarkId::new(name, algorithm), |b| {
                b.to_async(&runtime)
                    .iter(|| fixture::send(app, fixture::get_me(Some(authorization), None)));
            });
        }
    }
    group.finish();
}

/// The claims as one would write them by hand.
#[derive(Deserialize)]
#[allow(dead_code, reason = "decoded, as an app would, and not looked at")]
struct ByHand {
    sub: String,
    exp: i64,
    iat: i64,
    jti: String,
    sid: String,
    #[serde(flatten)]
    user: User,
}

struct PeerClaims(ByHand);

impl FromRequestParts<Arc<(DecodingKey, Validation)>> for PeerClaims {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<(DecodingKey, Validation)>) -> Result<Self, StatusCode> {
        let value = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = value
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        match jsonwebtoken::decode(token, &state.0, &state.1) {
            Ok(data) => Ok(Self(data.claims)),
            Err(_) => Err(StatusCode::UNAUTHORIZED),
        }
    }
}

fn peer(algorithm: Algorithm) -> Router {
    // Where both back ends are compiled in, jsonwebtoken wants to be told; only the first call counts.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let (key, algorithm) = match algorithm {
        Algorithm::HS256 => (
            DecodingKey::from_secret(fixture::SECRET),
            jsonwebtoken::Algorithm::HS256,
        ),
        Algorithm::RS256 => (
            DecodingKey::from_rsa_pem(fixture::RSA_PUBLIC).expect("a key"),
            jsonwebtoken::Algorithm::RS256,
        ),
        Algorithm::ES256 => (
            DecodingKey::from_ec_pem(fixture::EC_PUBLIC).expect("a key"),
            jsonwebtoken::Algorithm::ES256,
        ),
        _ => (
            DecodingKey::from_ed_pem(fixture::ED_PUBLIC).expect("a key"),
            jsonwebtoken::Algorithm::EdDSA,
        ),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["https://api.example.com"]);
    validation.set_issuer(&["https://id.example.com"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation.validate_nbf = true;
    Router::new()
        .route(
            "/me",
            get(
                |claims: PeerClaims, _: State<Arc<(DecodingKey, Validation)>>| async move {
                    if claims.0.user.tenant == 7 { "hello" } else { "who" }
                },
            ),
        )
        .with_state(Arc::new((key, validation)))
}

/// Each request carries the cookie that the one before it got, so that each is a rotation.
fn exchanges(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let mut group = c.benchmark_group("exchange");
    for algorithm in [Algorithm::HS256, Algorithm::EdDSA] {
        let memory = runtime.block_on(async { fixture::auth(algorithm, MemoryStore::new(), Duration::ZERO, CACHE) });
        let sqlite = runtime.block_on(async {
            let store = SqliteStore::connect(folder.path().join(format!("{algorithm}.db")))
                .await
                .expect("a store");
            fixture::auth(algorithm, store, Duration::ZERO, CACHE)
        });
        for (name, auth) in [("memory", memory), ("sqlite", sqlite)] {
            let app = fixture::app(&auth);
            let mut cookie = runtime.block_on(fixture::sign_in(&app, "alice")).1;
            group.bench_function(BenchmarkId::new(name, algorithm), |b| {
                b.iter(|| {
                    let response = runtime.block_on(fixture::send(&app, fixture::get_me(None, Some(&cookie))));
                    let set = response.headers()["set-cookie"].to_str().expect("text");
                    cookie = set.split(';').next().expect("a pair").to_owned();
                });
            });
        }
    }
    group.finish();
}

fn refused_cookie(c: &mut Criterion) {
    let runtime = runtime();
    let auth = runtime.block_on(async { fixture::auth(Algorithm::EdDSA, MemoryStore::new(), GRACE, CACHE) });
    let app = fixture::app(&auth);
    let forged = format!("__Host-refresh={}", "A".repeat(72));
    c.bench_function("request/forged cookie", |b| {
        b.to_async(&runtime)
            .iter(|| fixture::send(&app, fixture::get_me(None, Some(&forged))));
    });
}

fn rules(c: &mut Criterion) {
    let policy = Policy {
        grace: GRACE,
        reuse: Reuse::Recover,
    };
    let now = Timestamp::from_secs(1_000);
    let mut session = Rotation::first();
    session.rotate(1, 2, now);
    c.bench_function("rotation decision", |b| {
        b.iter(|| decide(black_box(&session), black_box(1), black_box(now), &policy));
    });
}

criterion_group!(benches, requests, exchanges, refused_cookie, rules);
criterion_main!(benches);
