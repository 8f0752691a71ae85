//! Instructions of the warm path, counted by callgrind: `cargo bench -p auth-axum --bench instructions`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise"
)]

#[path = "fixture/callgrind.rs"]
mod callgrind;
mod fixture;

use std::time::Duration;

use auth_tower::{Algorithm, MemoryStore};
use axum::body::Body;
use axum::http::Request;

fn main() {
    callgrind::count_instructions(run);
}

fn run(route: &str, algorithm: &str, rounds: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let algorithm: Algorithm = algorithm.parse().expect("an algorithm");
        let auth = fixture::auth(algorithm, MemoryStore::new(), Duration::from_secs(30), 1 << 20);
        let app = if route == "bare" {
            fixture::bare_app(&auth)
        } else {
            fixture::app(&auth)
        };
        // The bare route gets the header too: its bytes are not what is measured.
        let mut authorization = fixture::sign_in(&app, "alice").await.0;
        if route == "refused" {
            authorization.pop();
        }
        let path = if route == "public" { "/public" } else { "/me" };
        while !auth.health().feed_is_fresh {
            // Sleeping costs no instructions; spinning would drown what is counted.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for _ in 0..rounds {
            let request = Request::get(path)
                .header("authorization", authorization.as_str())
                .body(Body::empty());
            let response = fixture::send(&app, request.expect("a request")).await;
            assert_eq!(response.status() == 200, route != "refused");
        }
    });
}
