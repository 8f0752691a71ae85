//! Token authentication for any tower service: short-lived JWT access tokens that any service verifies without a lookup,
//! and long-lived, rotating, revocable refresh tokens in an HttpOnly cookie.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod id;
pub mod session;
#[allow(dead_code, reason = "the engine that calls into it is a module of its own")]
mod token;

pub use clock::{Clock, Timestamp};
pub use id::{InvalidId, SessionId, Subject, SubjectKey};
pub use token::{
    Algorithm, FileProblem, KeyError, KeyRing, KeyRingBuilder, RefreshKey, Registered, SigningKey, VariableProblem,
    VerifyingKey,
};
