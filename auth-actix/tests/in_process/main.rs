//! What a black box cannot reach: the public API in this process, on a clock that stands still, over a store that counts
//! and fails.
//!
//! The scenarios are those of `auth-axum`, the very files: what an app answers is the same on every framework. Beside them
//! stands what only actix has.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, where failing loudly is the point"
)]

mod bodies;
#[path = "../../../auth-axum/tests/in_process/clocks.rs"]
mod clocks;
mod errors;
#[path = "../../../auth-axum/tests/in_process/events.rs"]
mod events;
#[path = "../../../auth-axum/tests/in_process/gone_client.rs"]
mod gone_client;
#[path = "../../../auth-axum/tests/in_process/guards.rs"]
mod guards;
mod missing_layer;
mod one_per_process;
mod optional;
#[path = "../../../auth-axum/tests/in_process/outages.rs"]
mod outages;
#[path = "../../../auth-axum/tests/in_process/revocation.rs"]
mod revocation;
#[path = "../../../auth-axum/tests/in_process/rotation.rs"]
mod rotation;
mod same_answers;
#[path = "../../../auth-axum/tests/in_process/silent_exchange.rs"]
mod silent_exchange;
#[path = "../../../auth-axum/tests/in_process/store_calls.rs"]
mod store_calls;
mod support;
#[path = "../../../auth-axum/tests/in_process/transport.rs"]
mod transport;
mod workers;
