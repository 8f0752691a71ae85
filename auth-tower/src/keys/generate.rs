//! New keys, from the operating system's randomness.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::error::KeyError;
use super::material::Private;
use crate::jose::algorithm::{Algorithm, Family};

/// `len` bytes that nobody can guess.
pub(crate) fn random_bytes(len: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut bytes = Zeroizing::new(vec![0; len]);
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

/// A key id that no other key has: 72 random bits.
pub(crate) fn random_kid() -> Result<String, KeyError> {
    Ok(URL_SAFE_NO_PAD.encode(&*random_bytes(9)?))
}

/// A new private key, or secret, for `algorithm`.
pub(crate) fn private(algorithm: Algorithm) -> Result<Private, KeyError> {
    match algorithm.family() {
        Family::Secret => Ok(Private::Secret(random_bytes(algorithm.secret_len())?)),
        Family::Ed25519 => seed().map(Private::Ed25519),
        Family::Ec(curve) => {
            // A scalar at or over the group's order is refused; that happens once in 2^32 draws, or less.
            for _ in 0..4 {
                let candidate = Private::Ec(curve, random_bytes(curve.field_len())?);
                match candidate.public() {
                    Ok(_) => return Ok(candidate),
                    Err(KeyError::Malformed(_)) => {}
                    Err(other) => return Err(other),
                }
            }
            Err(KeyError::CannotGenerate(algorithm))
        }
        Family::Rsa => Err(KeyError::CannotGenerate(algorithm)),
    }
}

/// An Ed25519 seed.
pub(crate) fn seed() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut seed = Zeroizing::new([0; 32]);
    SysRng
        .try_fill_bytes(seed.as_mut_slice())
        .map_err(|_| KeyError::NoRandomness)?;
    Ok(seed)
}
