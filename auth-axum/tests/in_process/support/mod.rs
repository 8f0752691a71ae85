//! The world of a test: a clock that stands still, a store and accounts that can fail, and an app around them.

mod accounts;
mod app;
mod exchange;
mod log;
mod store;
mod times;
mod world;

pub(crate) use accounts::{Accounts, Answer, User};
pub(crate) use app::{App, app_in_outage, app_of, build, guarded, prefixed, send};
pub(crate) use exchange::{Ask, Reply, ask, claims_of, generation_of};
pub(crate) use log::Log;
pub(crate) use store::{Call, Fault, Store};
pub(crate) use times::*;
pub(crate) use world::{ISSUER, TokenResponse, World, key_ring};
