//! Instructions of the warm path, counted by callgrind: `cargo bench -p auth-axum --bench instructions`.
//!
//! Each case runs N and 2N requests in a process of its own under valgrind; the difference is what N requests cost, and
//! start-up cancels out. Needs the Debian package `valgrind`. Counts hide that CPUs have SHA and AES instructions, so they
//! are good for what stands around the cryptography, which on this path is all.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise"
)]

mod fixture;

use std::process::Command;
use std::time::Duration;

use auth_tower::{Algorithm, MemoryStore};
use axum::body::Body;
use axum::http::Request;

const N: u32 = 10_000;

const ALGORITHMS: [&str; 4] = ["HS256", "RS256", "ES256", "EdDSA"];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.as_slice() {
        [route, algorithm, rounds] => run(route, algorithm, rounds.parse().expect("a number")),
        _ => report(),
    }
}

fn report() {
    println!(
        "{:<10} {:>8} {:>12} {:>12} {:>12}",
        "algorithm", "bare", "+ layer", "+ refused", "+ claims"
    );
    for algorithm in ALGORITHMS {
        let bare = count("bare", algorithm);
        let over = |route| count(route, algorithm) - bare;
        println!(
            "{algorithm:<10} {bare:>8} {:>12} {:>12} {:>12}",
            over("public"),
            over("refused"),
            over("claims")
        );
    }
}

fn count(route: &str, algorithm: &str) -> i64 {
    let total = |rounds: u32| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().expect("this program"))
            .args([route, algorithm, &rounds.to_string()])
            .output()
            .expect("valgrind, from the Debian package of that name");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text
            .lines()
            .find(|line| line.contains("Collected"))
            .unwrap_or_else(|| panic!("{text}"));
        line.rsplit(' ')
            .next()
            .and_then(|count| count.parse::<i64>().ok())
            .expect("a count")
    };
    (total(2 * N) - total(N)) / i64::from(N)
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
