//! Instructions of the warm path, counted by callgrind: `cargo bench -p auth-axum --bench instructions`.
//!
//! Each case runs N and 2N requests in a process of its own under valgrind; the difference is what N requests cost, and
//! start-up cancels out. Needs the Debian package `valgrind`. Counts hide that CPUs have SHA and AES instructions, so they
//! are good for what stands around the cryptography, which on this path is all.

mod fixture;

use std::process::Command;
use std::time::Duration;

use auth_tower::{Algorithm, MemoryStore};

const N: u32 = 2_000;

const CASES: [&str; 7] = ["bare", "layer only", "refused", "HS256", "RS256", "ES256", "EdDSA"];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    match (arguments.next(), arguments.next()) {
        (Some(case), Some(rounds)) => run(&case, rounds.parse().expect("a number")),
        _ => report(),
    }
}

fn report() {
    let bare = count("bare");
    println!("{:<12} {:>14} {:>14}", "case", "instructions", "over bare");
    println!("{:<12} {:>14} {:>14}", "bare", bare, 0);
    for case in CASES.into_iter().skip(1) {
        let count = count(case);
        println!("{case:<12} {count:>14} {:>14}", count - bare);
    }
}

fn count(case: &str) -> i64 {
    let total = |rounds: u32| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().expect("this program"))
            .args([case, &rounds.to_string()])
            .output()
            .expect("valgrind, from the Debian package of that name");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().find(|line| line.contains("Collected")).unwrap_or_else(|| panic!("{text}"));
        line.rsplit(' ').next().and_then(|count| count.parse::<i64>().ok()).expect("a count")
    };
    (total(2 * N) - total(N)) / i64::from(N)
}

fn run(case: &str, rounds: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let algorithm: Algorithm = case.parse().unwrap_or(Algorithm::HS256);
        let auth = fixture::auth(algorithm, MemoryStore::new(), Duration::from_secs(30), 1 << 20);
        let app = if case == "bare" { fixture::bare_app() } else { fixture::app(&auth) };
        let authorization = match case {
            "bare" => None,
            "layer only" => None,
            "refused" => Some("Bearer garbage".to_owned()),
            _ => Some(fixture::sign_in(&app, "alice").await.0),
        };
        while auth.health().feed_age.is_none() {
            tokio::task::yield_now().await;
        }
        for _ in 0..rounds {
            let request = if case == "layer only" {
                axum::http::Request::get("/public").body(axum::body::Body::empty()).expect("a request")
            } else {
                fixture::get_me(authorization.as_deref(), None)
            };
            let response = fixture::send(&app, request).await;
            let status = if case == "refused" { 401 } else { 200 };
            assert_eq!(response.status(), status);
        }
    });
}
