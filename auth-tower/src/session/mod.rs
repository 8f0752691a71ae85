//! Sessions: one sign-in, and every refresh token that descends from it.

pub(crate) mod active;
pub mod record;
pub mod rotation;
pub mod store;
mod watch;

pub use active::{Session, SessionInfo, SignedIn};
pub use record::{Client, EndReason, SessionRecord};
pub use store::SessionStore;
pub use watch::Watch;
