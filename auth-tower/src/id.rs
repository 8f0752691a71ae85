//! Identifiers: parsed once, impossible to forge, safe to print.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A value from outside that is not an identifier of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidId(&'static str);

/// Who a token speaks about: the `sub` claim (RFC 7519 §4.1.2).
///
/// 1 to 255 bytes, no control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Box<str>);

impl Subject {
    /// The longest subject, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Accepts 1 to 255 bytes without control characters.
    ///
    /// # Errors
    /// [`InvalidId`] for anything else.
    pub fn new(subject: impl Into<String>) -> Result<Self, InvalidId> {
        let subject = subject.into();
        if subject.is_empty() || subject.len() > Self::MAX_LEN || subject.chars().any(char::is_control) {
            return Err(InvalidId("subject"));
        }
        Ok(Self(subject.into_boxed_str()))
    }

    /// The subject as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key under which a store and the revocation feed know this subject.
    pub fn key(&self) -> SubjectKey {
        SubjectKey::of(&self.0)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for Subject {
    type Err = InvalidId;

    fn from_str(s: &str) -> Result<Self, InvalidId> {
        Self::new(s)
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidId;

    fn try_from(s: String) -> Result<Self, InvalidId> {
        Self::new(s)
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A subject's hash (128 bits of a domain-separated SHA-256).
///
/// Stores and the feed use it so that keys have one length; its first two bytes route all of a subject's records to one
/// slot of a sharded store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectKey([u8; 16]);

impl SubjectKey {
    pub(crate) fn of(subject: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"auth-tower/subject/1\0");
        hash.update(subject.as_bytes());
        Self(truncate(hash.finalize().as_slice()))
    }

    /// The key's bytes, as a store keeps them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The key that a store kept as `bytes`.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The two bytes that lead every session id of this subject.
    pub const fn routing(&self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }
}

impl fmt::Display for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A session's public name: the `sid` claim, and what a session list shows.
///
/// Two routing bytes of the subject, then 128 bits of a domain-separated SHA-256 of the session's secret: knowing it
/// does not help to make a refresh token. As text it is 24 URL-safe characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 18]);

impl SessionId {
    /// Not after any other, where ids are in order.
    pub(crate) const MIN: Self = Self([0; 18]);

    pub(crate) fn of(secret: &[u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"auth-tower/session/1\0");
        hash.update(secret);
        let digest: [u8; 16] = truncate(hash.finalize().as_slice());
        let mut id = [0; 18];
        for (to, from) in id.iter_mut().zip(secret.iter().take(2).chain(&digest)) {
            *to = *from;
        }
        Self(id)
    }

    /// The id's bytes, as a store keeps them.
    pub const fn as_bytes(&self) -> &[u8; 18] {
        &self.0
    }

    /// The id that a store kept as `bytes`.
    pub const fn from_bytes(bytes: [u8; 18]) -> Self {
        Self(bytes)
    }

    /// The bytes that all of one subject's sessions share.
    pub const fn routing(&self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(s: &str) -> Result<Self, InvalidId> {
        let mut id = [0; 18];
        match URL_SAFE_NO_PAD.decode_slice(s, &mut id) {
            Ok(18) => Ok(Self(id)),
            _ => Err(InvalidId("session id")),
        }
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn truncate<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(digest) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_survives_its_text_form_and_nothing_else_parses() {
        let id = SessionId::of(&[7; 32]);
        assert_eq!(id.to_string().len(), 24);
        assert_eq!(id.to_string().parse::<SessionId>(), Ok(id));
        for bad in [
            "",
            "a",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA+/",
        ] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_subject_is_bounded_and_printable() {
        assert!(Subject::new("alice").is_ok());
        for bad in [String::new(), "a\nb".into(), "x".repeat(256)] {
            assert!(Subject::new(bad).is_err());
        }
    }
}
