//! A verifier with its keys in reach, so that anything can be signed properly and still have to be refused.

mod claims;
mod remembered;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Verdict, Verifier};
use crate::clock::Timestamp;
use crate::id::{SessionId, Subject};
use crate::jose::algorithm::Algorithm;
use crate::keys::ring::KeyRing;
use crate::keys::signing::SigningKey;
use crate::token::issuer::{Draft, Issued, Issuer};
use crate::token::verified::{Rules, decode_app};

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const SID: &str = "AAAAAAAAAAAAAAAAAAAAAAAA";
pub(super) const ISSUER: &str = "https://id.example.com";
pub(super) const CACHE: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) name: String,
}

pub(super) fn rules() -> Rules {
    Rules {
        issuer: ISSUER.into(),
        audience: vec!["api".into(), "api-2".into()],
        leeway: Duration::ZERO,
    }
}

pub(super) fn verifier(key: SigningKey) -> Verifier {
    verifier_with(&KeyRing::builder().signing(key).build().unwrap(), rules())
}

pub(super) fn verifier_with(keys: &KeyRing, rules: Rules) -> Verifier {
    Verifier::new(keys.clone(), rules, decode_app::<User>, CACHE)
}

/// The key of tests that are not about keys.
pub(super) fn key() -> SigningKey {
    SigningKey::hmac("k1", Algorithm::HS256, [7; 32]).unwrap()
}

pub(super) fn header(key: &SigningKey) -> Value {
    json!({"typ": "at+jwt", "alg": key.algorithm().name(), "kid": key.kid()})
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "alice", "aud": "api", "exp": NOW + 900, "iat": NOW, "jti": "t1",
        "client_id": "web", "sid": SID, "gen": 3, "name": "Alice",
    })
}

/// The good claims with `changes` over them; `null` takes a claim away.
pub(super) fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// Signs whatever it is given.
pub(super) fn sign(key: &SigningKey, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(token.as_bytes()).unwrap();
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    token
}

/// A properly made token with the default header.
pub(super) fn token(claims: impl ToString) -> String {
    sign(&key(), header(&key()).to_string(), claims.to_string())
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

#[track_caller]
pub(super) fn assert_valid(verifier: &Verifier, token: impl AsRef<[u8]>) {
    let verdict = verifier.verify(token.as_ref(), at(NOW));
    assert!(
        matches!(verdict, Verdict::Valid(_)),
        "{verdict:?}: {}",
        String::from_utf8_lossy(token.as_ref())
    );
}

#[track_caller]
pub(super) fn assert_invalid(verifier: &Verifier, token: impl AsRef<[u8]>) {
    let verdict = verifier.verify(token.as_ref(), at(NOW));
    assert!(
        matches!(verdict, Verdict::Invalid(_)),
        "{verdict:?}: {}",
        String::from_utf8_lossy(token.as_ref())
    );
    assert_eq!(verifier.cache().len(), 0, "nothing that was refused may be remembered");
}

pub(super) fn issue(keys: &KeyRing, app: &Map<String, Value>) -> Issued {
    let draft = Draft {
        subject: &Subject::new("alice").unwrap(),
        session_id: SID.parse::<SessionId>().unwrap(),
        generation: 3,
        client_id: "web",
        scope: Some("read write"),
        auth_time: Some(NOW - 60),
        app,
        lifetime: Duration::from_secs(900),
    };
    Issuer::new(keys.clone(), &rules(), decode_app::<User>)
        .issue(&draft, at(NOW))
        .unwrap()
}

pub(super) fn app() -> Map<String, Value> {
    json!({"name": "Alice"}).as_object().unwrap().clone()
}

pub(super) fn user(verdict: Verdict) -> Arc<User> {
    match verdict {
        Verdict::Valid(verified) => Arc::clone(&verified.app).downcast().unwrap(),
        other => panic!("{other:?}"),
    }
}
