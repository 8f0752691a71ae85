//! Instructions of the warm path, counted by callgrind: `cargo bench -p auth-actix --bench instructions`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise"
)]

#[path = "../../auth-axum/benches/fixture/callgrind.rs"]
mod callgrind;
mod fixture;

use std::time::Duration;

use actix_web::test::{TestRequest, init_service};
use auth_tower::{Algorithm, MemoryStore};

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
        let app = init_service(fixture::app(&auth)).await;
        let bare = init_service(fixture::bare_app(&auth)).await;
        // The bare route gets the header too: its bytes are not what is measured.
        let login = fixture::sign_in_request("alice").to_request();
        let mut authorization = fixture::signed_in(fixture::send(&app, login).await).await.0;
        if route == "refused" {
            authorization.pop();
        }
        let path = if route == "public" { "/public" } else { "/me" };
        while !auth.health().feed_is_fresh {
            // Sleeping costs no instructions; spinning would drown what is counted.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let request = || {
            TestRequest::get()
                .uri(path)
                .insert_header(("authorization", authorization.as_str()))
        };
        for _ in 0..rounds {
            let request = request().to_request();
            let status = match route {
                "bare" => fixture::send(&bare, request).await.status(),
                _ => fixture::send(&app, request).await.status(),
            };
            assert_eq!(status == 200, route != "refused");
        }
    });
}
