//! Every path of a request, in process, beside the bare route: `cargo bench -p auth-actix --bench requests`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark stops at the first surprise"
)]

mod fixture;

use std::time::Duration;

use actix_web::test::init_service;
use auth_tower::{Algorithm, MemoryStore, SqliteStore};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use fixture::ALGORITHMS;
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
        let (auth, app, cold, authorization) = runtime.block_on(async {
            let auth = fixture::auth(algorithm, MemoryStore::new(), GRACE, CACHE);
            let cold = fixture::auth(algorithm, MemoryStore::new(), GRACE, 0);
            let app = init_service(fixture::app(&auth)).await;
            let login = fixture::sign_in_request("alice").to_request();
            let authorization = fixture::signed_in(fixture::send(&app, login).await).await.0;
            for auth in [&auth, &cold] {
                while !auth.health().feed_is_fresh {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            let cold = init_service(fixture::app(&cold)).await;
            (auth, app, cold, authorization)
        });
        let mut forged = authorization.clone();
        let last = if forged.ends_with('A') { 'E' } else { 'A' };
        forged.pop();
        forged.pop();
        forged.push_str(&format!("A{last}"));

        let bare = runtime.block_on(init_service(fixture::bare_app(&auth)));
        macro_rules! measure {
            ($name:literal, $app:expr, $authorization:expr) => {
                group.bench_function(BenchmarkId::new($name, algorithm), |b| {
                    b.to_async(&runtime)
                        .iter(|| fixture::send(&$app, fixture::get_me(Some(&$authorization), None).to_request()));
                });
            };
        }
        // Each app is of a type of its own.
        measure!("bare", bare, authorization);
        measure!("warm", app, authorization);
        measure!("cold", cold, authorization);
        measure!("refused", app, forged);
    }
    group.finish();
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
            let app = runtime.block_on(init_service(fixture::app(&auth)));
            let login = fixture::sign_in_request("alice").to_request();
            let mut cookie = runtime.block_on(async { fixture::signed_in(fixture::send(&app, login).await).await.1 });
            group.bench_function(BenchmarkId::new(name, algorithm), |b| {
                b.iter(|| {
                    let request = fixture::get_me(None, Some(&cookie)).to_request();
                    cookie = fixture::cookie_of(&runtime.block_on(fixture::send(&app, request)));
                });
            });
        }
    }
    group.finish();
}

fn refused_cookie(c: &mut Criterion) {
    let runtime = runtime();
    let auth = runtime.block_on(async { fixture::auth(Algorithm::EdDSA, MemoryStore::new(), GRACE, CACHE) });
    let app = runtime.block_on(init_service(fixture::app(&auth)));
    let forged = format!("__Host-refresh={}", "A".repeat(72));
    c.bench_function("request/forged cookie", |b| {
        b.to_async(&runtime)
            .iter(|| fixture::send(&app, fixture::get_me(None, Some(&forged)).to_request()));
    });
}

criterion_group!(benches, requests, exchanges, refused_cookie);
criterion_main!(benches);
