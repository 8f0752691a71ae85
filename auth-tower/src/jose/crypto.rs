//! Which back end makes and checks signatures.
//!
//! `jsonwebtoken` picks a process-wide provider and panics when feature unification has enabled none or both. The
//! provider is therefore named here, by this crate's own features, and its factories are called directly.

use jsonwebtoken::crypto::CryptoProvider;
use jsonwebtoken::jwk::EllipticCurve;
use jsonwebtoken::{DecodingKey, EncodingKey};

use super::algorithm::{Algorithm, Curve};

/// The largest RSA modulus, in bits, that the back end verifies with.
pub(crate) const MAX_RSA_BITS: usize = if cfg!(feature = "aws-lc-rs") { 8192 } else { 4096 };

/// No signature was made, or none can be: there is no back end, or the key does not suit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature back end refused the key")]
pub(crate) struct BackendRefused;

/// Whether a back end is compiled in at all.
pub(crate) fn available() -> bool {
    provider().is_some()
}

#[cfg(feature = "aws-lc-rs")]
fn provider() -> Option<&'static CryptoProvider> {
    Some(&jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER)
}

#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
fn provider() -> Option<&'static CryptoProvider> {
    Some(&jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER)
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
fn provider() -> Option<&'static CryptoProvider> {
    None
}

/// Signs `message`.
pub(crate) fn sign(algorithm: Algorithm, key: &EncodingKey, message: &[u8]) -> Result<Vec<u8>, BackendRefused> {
    let provider = provider().ok_or(BackendRefused)?;
    let signer = (provider.signer_factory)(&algorithm.to_jwt(), key).map_err(|_| BackendRefused)?;
    signer.try_sign(message).map_err(|_| BackendRefused)
}

/// Whether `signature` over `message` is good.
pub(crate) fn verify(algorithm: Algorithm, key: &DecodingKey, message: &[u8], signature: &Vec<u8>) -> bool {
    let Some(provider) = provider() else {
        return false;
    };
    (provider.verifier_factory)(&algorithm.to_jwt(), key)
        .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
}

/// The public point, uncompressed, of an elliptic-curve key in PKCS#8.
pub(crate) fn ec_public_point(curve: Curve, pkcs8: &[u8]) -> Result<Vec<u8>, BackendRefused> {
    let utils = &provider().ok_or(BackendRefused)?.key_utils;
    let (_, x, y) =
        (utils.ec_pub_components_from_private_key)(pkcs8, curve.algorithm().to_jwt()).map_err(|_| BackendRefused)?;
    Ok([&[4], x.as_slice(), y.as_slice()].concat())
}

/// The public half of an Ed25519 key in PKCS#8.
pub(crate) fn ed25519_public(pkcs8: &[u8]) -> Result<[u8; 32], BackendRefused> {
    let utils = &provider().ok_or(BackendRefused)?.key_utils;
    (utils.ed_pub_components_from_private_key)(pkcs8, &EllipticCurve::Ed25519)
        .ok()
        .and_then(|public| public.try_into().ok())
        .ok_or(BackendRefused)
}

#[cfg(all(test, not(any(feature = "aws-lc-rs", feature = "rust-crypto"))))]
mod tests {
    use crate::jose::algorithm::Algorithm;
    use crate::keys::error::KeyError;
    use crate::keys::ring::KeyRing;
    use crate::keys::signing::SigningKey;
    use crate::keys::verifying::VerifyingKey;

    #[test]
    fn without_a_back_end_every_way_to_a_key_is_an_error_and_not_a_panic() {
        let pem = include_str!("../../tests/fixtures/test-only-p256.pem");
        let public = include_str!("../../tests/fixtures/test-only-p256-public.pem");
        for refused in [
            SigningKey::hmac("k", Algorithm::HS256, [1; 32]).err(),
            SigningKey::generate("k", Algorithm::EdDSA).err(),
            SigningKey::generate("k", Algorithm::ES256).err(),
            SigningKey::from_pem("k", Algorithm::ES256, pem).err(),
            SigningKey::from_jwk(include_str!("../../tests/fixtures/test-only-rsa2048.jwk.json")).err(),
            VerifyingKey::hmac("k", Algorithm::HS256, [1; 32]).err(),
            VerifyingKey::from_pem("k", Algorithm::ES256, public).err(),
            KeyRing::generate().err(),
            KeyRing::builder().build().err(),
        ] {
            assert!(matches!(refused, Some(KeyError::NoBackend)), "{refused:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth-keys.json");
        let refused = KeyRing::load_or_generate(&path).unwrap_err();
        assert!(refused.to_string().contains("rust-crypto"), "{refused}");
        assert!(!path.exists());
    }
}
