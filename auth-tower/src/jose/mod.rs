//! Signatures and the parts of a JWS (RFC 7515) that every kind of token shares.

pub(crate) mod algorithm;
pub(crate) mod crypto;
pub(crate) mod header;
pub(crate) mod members;
