//! The world of a test: a clock that stands still, a store and accounts that can fail, and an app around them.

mod accounts;
mod exchange;
mod log;
mod store;
mod world;

pub(crate) use accounts::{Accounts, Answer, User};
pub(crate) use exchange::{Ask, Reply, ask, claims_of, generation_of};
pub(crate) use log::Log;
pub(crate) use store::{Call, Fault, Store};
pub(crate) use world::{ISSUER, SignedIn, World, app_of, key_ring, send};

use std::time::Duration;

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
/// The default grace.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// Just longer than the default lifetime of an access token.
pub(crate) const EXPIRY: Duration = Duration::from_secs(15 * 60);
