//! Access tokens, refresh tokens, and the keys that make both believable.
//!
//! - [`KeyRing`]: one key signs, any number verify, one makes refresh tokens, any number still recognise them.
//! - [`verifier`]: what an access token must be to be believed (RFC 9068, RFC 8725), with [`cache`] in front.
//! - [`issuer`]: makes access tokens that the verifier of the same rules accepts.
//! - [`refresh`]: the 72-character refresh token.
//!
//! Nothing here calls what `jsonwebtoken` resolves through its process-wide crypto provider: which back end signs is
//! decided by this crate's features, in [`crypto`], and a build without any is an error where keys are made.

mod cache;
pub(crate) mod claims;
pub(crate) mod issuer;
pub(crate) mod refresh;
pub(crate) mod verified;
pub(crate) mod verifier;

/// The longest access token that is looked at, in bytes (RFC 8725bis; longer ones are refused before any work).
pub(crate) const MAX_TOKEN_LEN: usize = 8192;
