//! What only a server can go through: outages, restarts, other transactions, other versions, proxies, damage.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "what a test stands on")]

mod damage;
mod faults;
mod feed;
mod opening;
mod scene;
#[cfg(feature = "postgres-tls")]
mod tls;
mod waiting;
