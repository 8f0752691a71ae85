//! Sessions: one sign-in, and every refresh token that descends from it.

pub mod record;
pub mod rotation;
pub mod store;

pub use record::{Client, EndReason, SessionRecord};
pub use store::SessionStore;
