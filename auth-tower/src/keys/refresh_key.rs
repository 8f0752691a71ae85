//! The key behind refresh tokens' MACs.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::error::KeyError;
use super::generate;

/// A key that makes and recognises refresh tokens (HMAC-SHA256).
///
/// By itself it makes none that any store knows, because the session's secret is not derived from it. It has no name:
/// a refresh token carries one byte of the key's hash instead. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct RefreshKey {
    /// Keyed and ready, so that no request pays for the key's schedule.
    mac: Hmac<Sha256>,
    fingerprint: [u8; 32],
}

impl RefreshKey {
    /// The fewest bytes of a refresh key.
    pub const MIN_LEN: usize = 32;

    /// A key of at least 32 bytes, used as they are.
    ///
    /// # Errors
    /// [`KeyError::ShortSecret`].
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = secret.as_ref();
        let short = || KeyError::ShortSecret {
            purpose: "refresh tokens",
            at_least: Self::MIN_LEN,
        };
        if secret.len() < Self::MIN_LEN {
            return Err(short());
        }
        let mut hash = Sha256::new();
        hash.update(b"auth-tower/refresh-key/1\0");
        hash.update(secret);
        Ok(Self {
            mac: Hmac::new_from_slice(secret).map_err(|_| short())?,
            fingerprint: hash.finalize().into(),
        })
    }

    /// A new key of the operating system's randomness.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        Self::new(&*generate::random_bytes(Self::MIN_LEN)?)
    }

    /// The byte by which a token names its key: of the hash, so that instances agree whatever they call their keys.
    pub(crate) fn hint(&self) -> u8 {
        let [first, ..] = self.fingerprint;
        first
    }

    /// The first half of the MAC over `message`.
    pub(crate) fn mac(&self, message: &[u8]) -> [u8; 16] {
        let mut mac = self.mac.clone();
        mac.update(message);
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(full) {
            *to = from;
        }
        half
    }

    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_under_32_bytes_is_refused_and_one_of_32_is_not() {
        assert!(matches!(
            RefreshKey::new([7; 31]),
            Err(KeyError::ShortSecret { at_least: 32, .. })
        ));
        assert!(RefreshKey::new([7; 32]).is_ok());
    }

    #[test]
    fn debug_shows_nothing() {
        let key = RefreshKey::new([b'x'; 40]).unwrap();
        assert_eq!(format!("{key:?}"), "RefreshKey { .. }");
    }
}
