//! What an access token must be to be believed (RFC 9068 §4, RFC 8725).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::MAX_TOKEN_LEN;
use super::cache::TokenCache;
use super::claims::RegisteredClaims;
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::jose::header;
use crate::keys::ring::Keys;
use crate::keys::source::KeySource;
use crate::keys::verifying::VerifyingKey;
use crate::token::verified::{DecodeApp, Rules, VerifiedToken};

/// How far ahead of our clock an `iat` or `nbf` may lie, in seconds: another server's clock is never quite ours.
const MAX_AHEAD: i64 = 10;

/// The longest that expiry may be stretched.
const MAX_LEEWAY: Duration = Duration::from_secs(10);

/// What came of looking at a token.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Believed, as far as the token itself goes; whether its session lives is another question.
    Valid(Arc<VerifiedToken>),
    /// Authentic and meant for us, but over.
    Expired {
        /// The session that it belonged to.
        session_id: SessionId,
    },
    /// It names a key that we do not have, so nothing in it is believed.
    UnknownKey,
    /// Not to be believed; why is for debugging, and quotes nothing of the token.
    Invalid(&'static str),
}

/// Judges access tokens under one set of rules, remembering those that it believed.
pub(crate) struct Verifier {
    keys: KeySource,
    rules: Rules,
    decode: DecodeApp,
    /// Belongs to these rules and this ring; never shared with others.
    cache: TokenCache,
    leeway_secs: i64,
}

impl Verifier {
    /// A verifier that keeps at most about `cache_bytes` of verified tokens; 0 keeps none.
    pub(crate) fn new(keys: impl Into<KeySource>, rules: Rules, decode: DecodeApp, cache_bytes: u64) -> Self {
        Self {
            keys: keys.into(),
            leeway_secs: i64::try_from(rules.leeway.min(MAX_LEEWAY).as_secs()).unwrap_or_default(),
            rules,
            decode,
            cache: TokenCache::new(cache_bytes),
        }
    }

    /// Judges `token` as of `now`.
    pub(crate) fn verify(&self, token: &[u8], now: Timestamp) -> Verdict {
        if token.len() > MAX_TOKEN_LEN {
            return Verdict::Invalid("longer than 8 KiB");
        }
        match self.cache.get(token) {
            Some(known) if known.ring == self.keys.version() => {
                if self.is_over(&known.registered, now) {
                    return expired(&known.registered);
                }
                Verdict::Valid(known)
            }
            _ => self.verify_unknown(token, now).unwrap_or_else(|verdict| verdict),
        }
    }

    /// Keeps a token that was just issued, so that its first use is already warm.
    pub(crate) fn remember(&self, token: &str, verified: Arc<VerifiedToken>) {
        if verified.ring == self.keys.version() {
            self.cache.insert(token.as_bytes(), verified);
        }
    }

    fn is_over(&self, claims: &RegisteredClaims, now: Timestamp) -> bool {
        now.as_secs() >= claims.expires_at.saturating_add(self.leeway_secs)
    }

    /// The whole way. Nothing is parsed beyond the header before the signature is checked, and nothing of the app's
    /// before it is known that the token is not over: an old token's claims may no longer fit the app's type.
    #[cold]
    fn verify_unknown(&self, token: &[u8], now: Timestamp) -> Result<Verdict, Verdict> {
        let segments = Segments::split(token).ok_or(Verdict::Invalid("not three segments"))?;
        let keys = self.keys.keys();
        let key = match keys.by_header(segments.header) {
            Some(key) => key,
            None => key_named_by(&keys, segments.header)?,
        };
        let decode = |segment| {
            URL_SAFE_NO_PAD
                .decode(segment)
                .map_err(|_| Verdict::Invalid("not base64url"))
        };
        let (payload, signature) = (decode(segments.payload)?, decode(segments.signature)?);
        if !key.verify(segments.signed.as_bytes(), &signature) {
            return Err(Verdict::Invalid("signature"));
        }

        let claims = RegisteredClaims::parse(&payload).map_err(Verdict::Invalid)?;
        self.check(&claims, now).map_err(Verdict::Invalid)?;
        if self.is_over(&claims, now) {
            return Err(expired(&claims));
        }
        let app = (self.decode)(&payload).ok_or(Verdict::Invalid("the app's claims do not fit"))?;
        let verified = Arc::new(VerifiedToken::new(claims, app, keys.version, payload.len()));
        self.cache.insert(token, Arc::clone(&verified));
        Ok(Verdict::Valid(verified))
    }

    fn check(&self, claims: &RegisteredClaims, now: Timestamp) -> Result<(), &'static str> {
        if *claims.issuer != *self.rules.issuer {
            return Err("another issuer's");
        }
        if !claims
            .audience
            .iter()
            .any(|name| self.rules.audience.iter().any(|ours| **ours == *name))
        {
            return Err("meant for another audience");
        }
        let latest = now.as_secs().saturating_add(MAX_AHEAD);
        if claims.issued_at > latest {
            return Err("issued in the future");
        }
        if claims.not_before.is_some_and(|not_before| not_before > latest) {
            return Err("not yet valid");
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn cache(&self) -> &TokenCache {
        &self.cache
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("keys", &self.keys)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// The key that a header names, if the header is one to believe and the key is for its algorithm.
fn key_named_by<'k>(keys: &'k Keys, header: &str) -> Result<&'k VerifyingKey, Verdict> {
    let mut json = [0; header::MAX_LEN];
    let json = URL_SAFE_NO_PAD
        .decode_slice(header, &mut json)
        .ok()
        .and_then(|len| json.get(..len))
        .ok_or(Verdict::Invalid("header too long, or not base64url"))?;
    let header = header::parse(json).map_err(Verdict::Invalid)?;
    let key = keys.verifying(&header.kid.0).ok_or(Verdict::UnknownKey)?;
    if key.algorithm() != header.algorithm {
        return Err(Verdict::Invalid("not the key's algorithm"));
    }
    Ok(key)
}

fn expired(claims: &RegisteredClaims) -> Verdict {
    Verdict::Expired {
        session_id: claims.session_id,
    }
}

/// The parts of a compact JWS (RFC 7515 §7.1), still encoded.
struct Segments<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What the signature covers: header, dot, payload.
    signed: &'a str,
}

impl<'a> Segments<'a> {
    /// Exactly three, none of them empty.
    fn split(token: &'a [u8]) -> Option<Self> {
        // As text, because finding a character in text is what the standard library does fast.
        let token = std::str::from_utf8(token).ok()?;
        let (header, rest) = token.split_once('.')?;
        let (payload, signature) = rest.split_once('.')?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() || signature.contains('.') {
            return None;
        }
        let signed = token.get(..header.len() + 1 + payload.len())?;
        Some(Self {
            header,
            payload,
            signature,
            signed,
        })
    }
}

#[cfg(test)]
mod tests;
