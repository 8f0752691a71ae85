//! Token authentication for any tower service: short-lived JWT access tokens that any service verifies without a lookup,
//! and long-lived, rotating, revocable refresh tokens in an HttpOnly cookie.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod id;
pub mod session;

pub use clock::{Clock, Timestamp};
pub use id::{InvalidId, SessionId, Subject, SubjectKey};
