//! What only a server goes through: the suite of every store is in `conformance`.
#![cfg(all(feature = "redis", feature = "conformance"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, where failing loudly is the point"
)]

mod cluster;
mod failover;
mod opening;
mod outages;
mod records;
mod support;
