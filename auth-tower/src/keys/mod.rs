//! Keys: what signs, what verifies, what makes refresh tokens, and the ring that holds them.

mod env;
pub(crate) mod error;
mod file;
mod generate;
mod guarded;
mod jwk;
mod material;
mod pem;
mod point;
pub(crate) mod refresh_key;
pub(crate) mod ring;
pub(crate) mod signing;
pub(crate) mod source;
mod text;
pub(crate) mod verifying;
