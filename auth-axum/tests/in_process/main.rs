//! What a black box cannot reach: the public API in this process, on a clock that stands still, over a store that counts
//! and fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, where failing loudly is the point"
)]

mod clocks;
mod events;
mod gone_client;
mod guards;
mod metrics;
mod missing_layer;
mod outages;
mod parallel;
mod resource;
mod revocation;
mod rotation;
mod silent_exchange;
mod store_calls;
mod support;
mod transport;
mod watch;
