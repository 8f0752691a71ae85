//! The ring: which key signs, which verify, which refresh keys count, swapped as one.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use serde_json::json;

use super::error::KeyError;
use super::refresh_key::RefreshKey;
use super::signing::SigningKey;
use super::verifying::VerifyingKey;
use super::{env, file, generate};
use crate::jose::algorithm::Algorithm;
use crate::jose::crypto;

/// The keys of a service: a shared handle, so that clones see a [`replace`](Self::replace).
///
/// One key signs access tokens and any number verify them, each by its `kid` and with its one algorithm; one refresh key
/// makes refresh tokens and any number of older ones still recognise theirs. A ring without a signing and a refresh key
/// is that of a service that only verifies. `Debug` shows ids and algorithms only.
#[derive(Clone)]
pub struct KeyRing(Arc<Shared>);

struct Shared {
    keys: RwLock<Arc<Keys>>,
    /// The version of `keys`, readable without the lock: every cache hit asks for it.
    version: AtomicU64,
}

/// One state of the ring, never changed.
#[derive(Clone)]
pub(crate) struct Keys {
    /// Unlike that of any other ring of this process.
    pub(crate) version: u64,
    pub(crate) signing: Option<Arc<SigningKey>>,
    pub(crate) refresh: Option<RefreshKey>,
    pub(crate) older_refresh: Vec<RefreshKey>,
    verifying: HashMap<Box<str>, VerifyingKey>,
    /// The order in which they were given: that of the published set.
    order: Vec<VerifyingKey>,
}

impl Keys {
    /// The key that verifies tokens naming `kid`.
    pub(crate) fn verifying(&self, kid: &str) -> Option<&VerifyingKey> {
        self.verifying.get(kid)
    }

    /// The ids of the keys that verify, the signing one first.
    pub(crate) fn kids(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(VerifyingKey::kid)
    }

    /// The key whose tokens begin with `header`, as this crate writes it; others have to be read.
    pub(crate) fn by_header(&self, header: &str) -> Option<&VerifyingKey> {
        self.order.iter().find(|key| key.header() == header)
    }
}

fn next_version() -> u64 {
    // 0 is left for "never".
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

impl KeyRing {
    /// Starts a ring from keys.
    pub fn builder() -> KeyRingBuilder {
        KeyRingBuilder::default()
    }

    /// A ring of new keys (EdDSA) that nobody keeps: after a restart every session is over. For tests and trials.
    ///
    /// # Errors
    /// [`KeyError`] without a signature back end or randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Self::builder()
            .signing(SigningKey::generate(&generate::random_kid()?, Algorithm::EdDSA)?)
            .refresh(RefreshKey::generate()?)
            .build()
    }

    /// Reads the key file at `path`, or makes one with a new Ed25519 key and a new refresh key.
    ///
    /// The file is JSON: `keys` is a list of JWKs, the first of which is private and signs while all verify;
    /// `refresh_keys` is a list of `oct` JWKs, the first of which makes refresh tokens while all recognise theirs. To
    /// rotate, put a new key first.
    ///
    /// It is made complete and with mode 0600 before it gets its name, and a file that is already there is never
    /// replaced, so of several processes that start at once all end with the same keys. Reading and making it blocks
    /// the thread. That it was made is logged as a warning, because it signs everybody out whom other keys signed in.
    ///
    /// A file that group or others may *change*, or that belongs to somebody else than root and this process' user, is
    /// refused. One that group or others may *read* is taken with a warning: a mounted file often cannot be narrower (with
    /// Kubernetes' `fsGroup`, use `fsGroupChangePolicy: OnRootMismatch` for a volume on which the file was made).
    ///
    /// # Errors
    /// [`KeyError::File`] if it cannot be read or made (its file system must support hard links), is open to change by
    /// others, no regular file of at most 1 MiB, empty or damaged, or holds an unacceptable key.
    pub fn load_or_generate(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        file::load_or_generate(path.as_ref())
    }

    /// The ring that the environment describes, or `None` if it sets none of the variables.
    ///
    /// - `ACCESS_TOKEN_SECRET` and `REFRESH_TOKEN_SECRET`: one pair, whose `kid` is `default`.
    /// - `ACCESS_TOKEN_SECRET_v1`, `REFRESH_TOKEN_SECRET_v1`, `…_v2` and so on: pairs by version, whose `kid` is the version.
    /// - `KEY_VERSION=v2`: that version signs and makes refresh tokens; without it, the plain pair does. Every pair verifies.
    /// - `ACCESS_TOKEN_SECRET_FILE`, `ACCESS_TOKEN_SECRET_v2_FILE` and so on, in place of the name without `_FILE`: the path of
    ///   a file that holds the secret, up to 64 KiB; one line break at its end and a byte order mark at its beginning do not count.
    ///
    /// A version is `v` and digits. Secrets are UTF-8 bytes, at least 32, for HS256 and HMAC-SHA256. Which versions sign and
    /// verify is logged, by name. Reading a file blocks the thread.
    ///
    /// # Errors
    /// [`KeyError::Variable`], naming the variable and never its value: one of a pair without the other, any other name that
    /// begins with `ACCESS_TOKEN_SECRET_` or `REFRESH_TOKEN_SECRET_`, a secret and its file at once, a file that is missing,
    /// no regular file, or open to change by everybody, an empty, short or non-UTF-8 value, one secret for both purposes, a
    /// text that cannot be meant as a secret (a placeholder, a substitution that did not happen, a PEM text, a path, blanks or
    /// quotation marks around it, a few characters over and over), a `KEY_VERSION` without secrets, or versions without a word
    /// on which one signs.
    pub fn from_env() -> Result<Option<Self>, KeyError> {
        env::from_variables(std::env::vars_os())
    }

    /// Puts `other`'s keys in this ring's place, for all clones of this handle at once.
    ///
    /// Requests under way finish with the keys that they began with. Tokens verified under the old keys are verified
    /// anew, so one signed by a key that is gone is refused from here on. `other`'s clones stay as they are.
    ///
    /// # Errors
    /// [`KeyError::ReplacementLacks`] if this ring signs or makes refresh tokens and `other` could not; nothing changes.
    pub fn replace(&self, other: Self) -> Result<(), KeyError> {
        let replacement = other.keys();
        let mut keys = self.0.keys.write();
        if keys.signing.is_some() && replacement.signing.is_none() {
            return Err(KeyError::ReplacementLacks("signing key"));
        }
        if keys.refresh.is_some() && replacement.refresh.is_none() {
            return Err(KeyError::ReplacementLacks("refresh key"));
        }
        let version = next_version();
        *keys = Arc::new(Keys {
            version,
            ..Keys::clone(&replacement)
        });
        self.0.version.store(version, Ordering::Release);
        Ok(())
    }

    /// Whether it can sign access tokens.
    pub fn has_signing_key(&self) -> bool {
        self.keys().signing.is_some()
    }

    /// Whether it can make refresh tokens.
    pub fn has_refresh_key(&self) -> bool {
        self.keys().refresh.is_some()
    }

    /// The public keys as a JWK Set (RFC 7517 §5), the signing one first; shared secrets are never in it.
    pub fn jwks(&self) -> String {
        let keys: Vec<_> = self.keys().order.iter().filter_map(VerifyingKey::jwk).collect();
        json!({ "keys": keys }).to_string()
    }

    /// The present state.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.keys.read())
    }

    /// The present state's version.
    pub(crate) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys();
        f.debug_struct("KeyRing")
            .field("signing", &keys.signing)
            .field("verifying", &keys.order)
            .field("has_refresh_key", &keys.refresh.is_some())
            .finish_non_exhaustive()
    }
}

/// Collects keys for a [`KeyRing`]; [`build`](Self::build) checks that they go together.
#[derive(Default)]
#[must_use]
pub struct KeyRingBuilder {
    signing: Option<SigningKey>,
    verifying: Vec<VerifyingKey>,
    refresh: Option<RefreshKey>,
    older_refresh: Vec<RefreshKey>,
}

impl KeyRingBuilder {
    /// The key that signs; it verifies too. The last one given counts.
    pub fn signing(mut self, key: SigningKey) -> Self {
        self.signing = Some(key);
        self
    }

    /// Another key that verifies.
    pub fn verifying(mut self, key: VerifyingKey) -> Self {
        self.verifying.push(key);
        self
    }

    /// The key that makes refresh tokens; it recognises them too. The last one given counts.
    pub fn refresh(mut self, key: RefreshKey) -> Self {
        self.refresh = Some(key);
        self
    }

    /// Another key whose refresh tokens are still good; each gets a token of the active key at its next rotation.
    pub fn previous_refresh(mut self, key: RefreshKey) -> Self {
        self.older_refresh.push(key);
        self
    }

    /// Checks the keys against each other. The same refresh key given twice counts once.
    ///
    /// # Errors
    /// [`KeyError::DuplicateKeyId`], [`KeyError::NoKeys`], [`KeyError::NoActiveRefreshKey`], [`KeyError::NoBackend`];
    /// [`KeyError::PemAsSecret`] for an HMAC key whose secret is a PEM text, because then a public key would sign.
    pub fn build(self) -> Result<KeyRing, KeyError> {
        if !crypto::available() {
            return Err(KeyError::NoBackend);
        }
        if self.refresh.is_none() && !self.older_refresh.is_empty() {
            return Err(KeyError::NoActiveRefreshKey);
        }
        let mut order: Vec<_> = self.signing.iter().map(SigningKey::verifying_key).collect();
        order.extend(self.verifying);
        if order.is_empty() {
            return Err(KeyError::NoKeys);
        }
        if let Some(key) = order.iter().find(|key| key.is_pem_text()) {
            return Err(KeyError::PemAsSecret(key.kid().to_owned()));
        }
        let mut verifying = HashMap::with_capacity(order.len());
        for key in &order {
            if verifying.insert(Box::from(key.kid()), key.clone()).is_some() {
                return Err(KeyError::DuplicateKeyId(key.kid().to_owned()));
            }
        }
        let mut older_refresh: Vec<RefreshKey> = Vec::new();
        for key in self.older_refresh {
            if !self
                .refresh
                .iter()
                .chain(&older_refresh)
                .any(|known| known.is_same_as(&key))
            {
                older_refresh.push(key);
            }
        }
        let version = next_version();
        Ok(KeyRing(Arc::new(Shared {
            keys: RwLock::new(Arc::new(Keys {
                version,
                signing: self.signing.map(Arc::new),
                refresh: self.refresh,
                older_refresh,
                verifying,
                order,
            })),
            version: AtomicU64::new(version),
        })))
    }
}

impl fmt::Debug for KeyRingBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRingBuilder")
            .field("signing", &self.signing)
            .field("verifying", &self.verifying)
            .finish_non_exhaustive()
    }
}
