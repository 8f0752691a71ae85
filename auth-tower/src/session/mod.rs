//! Sessions: one sign-in, and every refresh token that descends from it.

mod record;
pub mod rotation;

pub use record::{ClientInfo, EndReason, Lifetime, SessionRecord, Terminated};
