//! Makes access tokens that a verifier of the same rules believes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::claims::{Audience, Payload, RESERVED, Registered};
use super::verifier::{DecodeApp, Rules, VerifiedToken};
use super::{KeyRing, MAX_TOKEN_LEN};
use crate::{SessionId, Subject, Timestamp};

/// Why a token was not issued. Each is a fault of the app or its configuration, not of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IssueError {
    /// The app's claims use a name that is not theirs.
    #[error("the app's claims contain {0:?}, which is a registered claim")]
    ReservedClaim(&'static str),
    /// What the app's claims serialise to does not deserialise.
    #[error("the app's claims do not deserialise from what they serialise to, beside the registered claims")]
    ClaimsDoNotRoundTrip,
    /// The token would be refused for its size.
    #[error("the access token would have {0} bytes, {MAX_TOKEN_LEN} are allowed: put less into the claims")]
    TooLarge(usize),
    /// The ring only verifies.
    #[error("the key ring has no signing key")]
    NoSigningKey,
    /// The back end failed to sign.
    #[error("the access token could not be signed")]
    Signing,
}

/// What a token is to say.
#[derive(Debug, Clone)]
pub(crate) struct Draft<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) session_id: SessionId,
    pub(crate) generation: u32,
    pub(crate) client_id: &'a str,
    /// Separated by spaces.
    pub(crate) scope: Option<&'a str>,
    /// Seconds since the Unix epoch.
    pub(crate) auth_time: Option<i64>,
    /// The app's own claims.
    pub(crate) app: &'a Map<String, Value>,
    /// Counted in whole seconds.
    pub(crate) lifetime: Duration,
}

/// A token on its way to a client.
pub(crate) struct Issued {
    pub(crate) token: String,
    /// In seconds.
    pub(crate) expires_in: u64,
    /// What a verifier would make of it; see [`Verifier::remember`](super::Verifier::remember).
    pub(crate) verified: Arc<VerifiedToken>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("expires_in", &self.expires_in)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

/// Signs access tokens with the ring's signing key.
pub(crate) struct Issuer {
    keys: KeyRing,
    issuer: Box<str>,
    audience: Audience,
    decode: DecodeApp,
}

impl Issuer {
    pub(crate) fn new(keys: KeyRing, rules: &Rules, decode: DecodeApp) -> Self {
        Self {
            keys,
            issuer: rules.issuer.clone(),
            audience: Audience::new(&rules.audience),
            decode,
        }
    }

    /// Issues a token as of `now`.
    pub(crate) fn issue(&self, draft: &Draft<'_>, now: Timestamp) -> Result<Issued, IssueError> {
        if let Some(name) = RESERVED.iter().find(|name| draft.app.contains_key(**name)) {
            return Err(IssueError::ReservedClaim(name));
        }
        let keys = self.keys.keys();
        let key = keys.signing.as_deref().ok_or(IssueError::NoSigningKey)?;
        let expires_in = draft.lifetime.as_secs();
        let registered = Registered {
            issuer: self.issuer.clone(),
            subject: draft.subject.clone(),
            audience: self.audience.clone(),
            expires_at: now.as_secs().saturating_add_unsigned(expires_in),
            issued_at: now.as_secs(),
            not_before: None,
            token_id: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()).into(),
            client_id: Some(draft.client_id.into()),
            session_id: draft.session_id,
            generation: Some(draft.generation),
            scope: draft.scope.map(Box::from),
            auth_time: draft.auth_time,
        };
        let payload = Payload {
            registered: &registered,
            app: draft.app,
        };
        let payload = serde_json::to_vec(&payload).map_err(|_| IssueError::ClaimsDoNotRoundTrip)?;
        // Found out here, the fault is the server's; found out at the first use, it would look like the client's.
        let app = (self.decode)(&payload).ok_or(IssueError::ClaimsDoNotRoundTrip)?;

        let mut token = String::with_capacity(key.header().len() + payload.len() * 4 / 3 + 128);
        token.push_str(key.header());
        URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
        if token.len() > MAX_TOKEN_LEN {
            return Err(IssueError::TooLarge(token.len()));
        }
        let signature = key.sign(token.as_bytes()).map_err(|_| IssueError::Signing)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        if token.len() > MAX_TOKEN_LEN {
            return Err(IssueError::TooLarge(token.len()));
        }
        Ok(Issued {
            token,
            expires_in,
            verified: Arc::new(VerifiedToken::new(registered, app, keys.version, payload.len())),
        })
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
