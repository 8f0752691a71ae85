//! The world of a test, which is that of `auth-axum`'s tests, around an actix app.

#[path = "../../../../auth-axum/tests/in_process/support/accounts.rs"]
mod accounts;
mod app;
#[path = "../../../../auth-axum/tests/in_process/support/exchange.rs"]
mod exchange;
#[path = "../../../../auth-axum/tests/in_process/support/log.rs"]
mod log;
#[path = "../../../../auth-axum/tests/in_process/support/store.rs"]
mod store;
#[path = "../../../../auth-axum/tests/in_process/support/times.rs"]
mod times;
#[path = "../../../../auth-axum/tests/in_process/support/world.rs"]
mod world;

pub(crate) use accounts::{Accounts, Answer, User};
pub(crate) use app::{App, app_in_outage, app_of, guarded, prefixed, send, serve, stream};
pub(crate) use exchange::{Ask, Reply, ask, claims_of, generation_of};
pub(crate) use log::Log;
pub(crate) use store::{Call, Fault, Store};
pub(crate) use times::*;
pub(crate) use world::{ISSUER, TokenResponse, World, key_ring};
