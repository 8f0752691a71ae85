//! Makes access tokens that a verifier of the same rules believes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::MAX_TOKEN_LEN;
use super::claims::{Audience, Payload, RESERVED, RegisteredClaims};
use super::verified::{DecodeApp, Rules, VerifiedToken};
use crate::clock::Timestamp;
use crate::id::{SessionId, Subject};
use crate::keys::ring::KeyRing;

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
        let registered = RegisteredClaims {
            issuer: self.issuer.clone(),
            subject: draft.subject.clone(),
            audience: self.audience.clone(),
            expires_at: now.as_secs().saturating_add_unsigned(expires_in),
            issued_at: now.as_secs(),
            not_before: None,
            jwt_id: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()).into(),
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
        token.push('.');
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::jose::algorithm::Algorithm;
    use crate::keys::signing::SigningKey;
    use crate::token::verified::decode_app;

    #[derive(Deserialize)]
    struct Named {
        #[expect(dead_code, reason = "only whether it is there matters")]
        name: String,
    }

    fn issue(keys: KeyRing, app: &Value) -> Result<Issued, IssueError> {
        let rules = Rules {
            issuer: "https://id.example.com".into(),
            audience: vec!["api".into()],
            leeway: Duration::ZERO,
        };
        let draft = Draft {
            subject: &Subject::new("alice").unwrap(),
            session_id: SessionId::from_bytes([0; 18]),
            generation: 0,
            client_id: "web",
            scope: None,
            auth_time: None,
            app: app.as_object().unwrap(),
            lifetime: Duration::from_secs(900),
        };
        Issuer::new(keys, &rules, decode_app::<Named>).issue(&draft, Timestamp::from_secs(1_800_000_000))
    }

    fn signing() -> KeyRing {
        let key = SigningKey::hmac("k", Algorithm::HS256, [1; 32]).unwrap();
        KeyRing::builder().signing(key).build().unwrap()
    }

    #[test]
    fn every_registered_name_is_refused_among_the_apps_claims() {
        for name in RESERVED {
            let refused = issue(signing(), &json!({"name": "x", *name: 1})).unwrap_err();
            assert_eq!(refused, IssueError::ReservedClaim(name));
        }
    }

    #[test]
    fn claims_that_would_not_read_back_are_refused_here_and_not_at_their_first_use() {
        for app in [json!({}), json!({"name": 1})] {
            assert_eq!(issue(signing(), &app).unwrap_err(), IssueError::ClaimsDoNotRoundTrip);
        }
    }

    #[test]
    fn a_token_that_would_be_refused_for_its_size_is_not_issued() {
        assert!(issue(signing(), &json!({"name": "x".repeat(5000)})).is_ok());
        for len in [6000, 20_000] {
            let refused = issue(signing(), &json!({"name": "x".repeat(len)})).unwrap_err();
            assert!(matches!(refused, IssueError::TooLarge(bytes) if bytes > MAX_TOKEN_LEN));
        }
    }

    #[test]
    fn a_ring_that_only_verifies_issues_nothing() {
        let key = SigningKey::hmac("k", Algorithm::HS256, [1; 32]).unwrap();
        let ring = KeyRing::builder().verifying(key.verifying_key()).build().unwrap();
        assert_eq!(
            issue(ring, &json!({"name": "x"})).unwrap_err(),
            IssueError::NoSigningKey
        );
    }

    #[test]
    fn no_two_tokens_have_the_same_name() {
        let keys = signing();
        let (one, two) = (
            issue(keys.clone(), &json!({"name": "x"})),
            issue(keys, &json!({"name": "x"})),
        );
        let id = |issued: Result<Issued, IssueError>| issued.unwrap().verified.registered.jwt_id().to_owned();
        assert_ne!(id(one), id(two));
    }
}
