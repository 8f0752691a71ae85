//! Access tokens, refresh tokens, and the keys that make both believable.
//!
//! - [`KeyRing`]: one key signs, any number verify, one makes refresh tokens, any number still recognise them.
//! - [`verifier`]: what an access token must be to be believed (RFC 9068, RFC 8725), with [`cache`] in front.
//! - [`issuer`]: makes access tokens that the verifier of the same rules accepts.
//! - [`refresh`]: the 72-character refresh token.
//!
//! Nothing here calls what `jsonwebtoken` resolves through its process-wide crypto provider: which back end signs is
//! decided by this crate's features, in [`crypto`], and a build without any is an error where keys are made.

mod algorithm;
mod cache;
mod claims;
mod crypto;
mod header;
mod issuer;
mod keys;
mod members;
mod refresh;
mod verifier;

pub use algorithm::Algorithm;
pub use claims::Registered;
pub use keys::{FileProblem, KeyError, KeyRing, KeyRingBuilder, RefreshKey, SigningKey, VariableProblem, VerifyingKey};

pub(crate) use self::{
    issuer::{Draft, Issued, Issuer},
    refresh::{PresentedRefresh, RefreshToken, SessionSecret},
    verifier::{Rules, Verdict, VerifiedToken, Verifier, decode_app},
};

/// The longest access token that is looked at, in bytes (RFC 8725bis; longer ones are refused before any work).
pub(crate) const MAX_TOKEN_LEN: usize = 8192;
