//! Sessions: one sign-in, and every refresh token that descends from it.

mod record;
pub mod rotation;

pub use record::{Client, EndReason, Lifetime, Over, SessionRecord};
