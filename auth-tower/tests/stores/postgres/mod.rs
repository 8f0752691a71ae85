//! What only a server can go through: outages, restarts, other transactions, other versions, proxies, damage.
#![cfg(all(feature = "postgres", feature = "conformance"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, where failing loudly is the point"
)]

mod damage;
mod faults;
mod feed;
mod opening;
mod scene;
#[cfg(feature = "postgres-tls")]
mod tls;
mod waiting;
