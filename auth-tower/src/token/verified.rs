//! A token that was believed, and what is asked of one.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::id::SubjectKey;
use crate::token::claims::RegisteredClaims;

/// Reads the app's own claims out of a payload's JSON; `None` if they do not fit.
pub(crate) type DecodeApp = fn(&[u8]) -> Option<Arc<dyn Any + Send + Sync>>;

/// The [`DecodeApp`] of an app whose claims are a `C`.
pub(crate) fn decode_app<C>(payload: &[u8]) -> Option<Arc<dyn Any + Send + Sync>>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    let claims: C = serde_json::from_slice(payload).ok()?;
    Some(Arc::new(claims))
}

/// What this service asks of a token.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The one `iss` that is believed, compared byte by byte.
    pub(crate) issuer: Box<str>,
    /// Who we are: a token must name one of these in its `aud`. Tokens that we issue name them all.
    pub(crate) audience: Vec<Box<str>>,
    /// For how long after its `exp` a token still counts; 10 s at most.
    pub(crate) leeway: Duration,
}

/// A token that was believed.
pub(crate) struct VerifiedToken {
    pub(crate) registered: RegisteredClaims,
    /// The app's claims, of the type that the verifier's [`DecodeApp`] makes.
    pub(crate) app: Arc<dyn Any + Send + Sync>,
    /// The subject as revocations know it.
    pub(crate) subject_key: SubjectKey,
    /// The revocation epoch in which its session was last found live; 0 is never.
    pub(crate) checked: AtomicU64,
    /// Whether it was already reported that the client holds its generation.
    pub(crate) acknowledged: AtomicBool,
    /// The version of the keys under which it was believed.
    pub(crate) ring: u64,
    pub(crate) payload_len: u32,
}

impl VerifiedToken {
    pub(crate) fn new(
        registered: RegisteredClaims,
        app: Arc<dyn Any + Send + Sync>,
        ring: u64,
        payload_len: usize,
    ) -> Self {
        Self {
            subject_key: registered.subject.key(),
            registered,
            app,
            checked: AtomicU64::new(0),
            acknowledged: AtomicBool::new(false),
            ring,
            payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("session_id", &self.registered.session_id)
            .finish_non_exhaustive()
    }
}
