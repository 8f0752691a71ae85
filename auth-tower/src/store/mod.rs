//! Where sessions live: the contract that every store keeps.
//!
//! A store offers atomic steps and nothing else; what a step means is decided by [`rotation`](crate::session::rotation).
//! All times in a store come from **one** clock, the store's own, so that instances whose clocks differ agree.

#[cfg(feature = "conformance")]
pub mod conformance;
mod deadline;
pub(crate) mod erased;
mod error;
pub(crate) mod feed;
pub(crate) mod guard;
#[cfg(feature = "memory")]
pub(crate) mod memory;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod purge;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod session;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

pub use deadline::deadline;
pub use error::StoreError;
pub use feed::{Cursor, RevocationEvent, RevocationFeed, RevocationPage, Revoked};
pub use session::{Acknowledgement, Advance, Advanced, AllEnded, Found, NewSession, Retention, SessionStore};

/// The most rows that one [`SessionStore::purge`] removes.
#[cfg(feature = "memory")]
pub(crate) const PURGE_BATCH: usize = 1_000;

/// The most entries that one [`SessionStore::revocations_since`] returns.
#[cfg(any(feature = "memory", feature = "postgres", feature = "redis", feature = "sqlite"))]
pub(crate) const FEED_PAGE: usize = 1_000;
