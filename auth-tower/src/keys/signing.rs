//! A key that signs.

use std::fmt;

use jsonwebtoken::EncodingKey;
use zeroize::Zeroizing;

use super::jwk::Jwk;
use super::material::{Private, Public};
use super::pem;
use super::pem::PemKey;
use crate::jose::algorithm::Algorithm;
use crate::jose::crypto;
use crate::keys::error::KeyError;
use crate::keys::generate;
use crate::keys::verifying::{VerifyingKey, check_kid};

/// A key that signs access tokens, with the half that verifies them.
///
/// Every constructor checks the key's strength and that what it signs verifies, so that a key which cannot work is an
/// error before the service starts. `Debug` shows the id and the algorithm only.
pub struct SigningKey {
    encoding: EncodingKey,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A shared secret: whoever can verify with it can also sign.
    ///
    /// `secret` is used as it is and has at least as many bytes as the hash yields: 32, 48 or 64.
    ///
    /// # Errors
    /// [`KeyError`] if the id, the secret's length or the algorithm does not fit.
    pub fn hmac(kid: &str, algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = Private::Secret(Zeroizing::new(secret.as_ref().to_vec()));
        Self::assemble(kid, algorithm, &secret, None)
    }

    /// A private key in PEM: PKCS#8 (any kind), PKCS#1 (RSA) or SEC 1 (elliptic curves), not encrypted.
    ///
    /// Line breaks may be written as `\n`, as environment variables often have them.
    ///
    /// # Errors
    /// [`KeyError`] if it is not such a key, too weak, not `algorithm`'s, or its halves do not belong together.
    pub fn from_pem(kid: &str, algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        match pem::parse(pem.as_ref())? {
            PemKey::Private(private, public) => Self::assemble(kid, algorithm, &private, public.as_ref()),
            PemKey::Public(_) => Err(KeyError::PrivateKeyMissing),
        }
    }

    /// A private JWK (RFC 7517) as JSON, of type `OKP`, `EC`, `RSA` or `oct`.
    ///
    /// It needs a `kid`, and an `alg` unless its curve has only one. A `use` other than `sig`, or `key_ops` without
    /// `sign`, is refused.
    ///
    /// # Errors
    /// [`KeyError`] if a member is missing, contradictory or too weak, or the halves do not belong together.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        Self::from_parsed_jwk(&Jwk::parse(json)?)
    }

    pub(crate) fn from_parsed_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        jwk.check_use("sign")?;
        let (kid, algorithm) = (jwk.kid()?, jwk.algorithm()?);
        Self::assemble(kid, algorithm, &jwk.private()?, jwk.public()?.as_ref())
    }

    /// A new key of the operating system's randomness: EdDSA, ES256, ES384 or one of the HMAC algorithms.
    ///
    /// # Errors
    /// [`KeyError::CannotGenerate`] for RSA; [`KeyError::NoRandomness`].
    pub fn generate(kid: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::assemble(kid, algorithm, &generate::private(algorithm)?, None)
    }

    fn assemble(
        kid: &str,
        algorithm: Algorithm,
        private: &Private,
        claimed_public: Option<&Public>,
    ) -> Result<Self, KeyError> {
        check_kid(kid)?;
        private.check(algorithm)?;
        let public = private.public()?;
        if claimed_public.is_some() && claimed_public != public.as_ref() {
            return Err(KeyError::HalvesDiffer);
        }
        let verifying = match (public, private) {
            (Some(public), _) => VerifyingKey::of_public(kid, algorithm, public),
            (None, Private::Secret(secret)) => VerifyingKey::of_secret(kid, algorithm, secret),
            (None, _) => return Err(KeyError::HalvesDiffer),
        };
        let key = Self {
            encoding: private.encoding_key()?,
            verifying,
        };
        key.probe()?;
        Ok(key)
    }

    /// Signs and verifies once, so that a back end that cannot use the key says so now and not at the first login.
    fn probe(&self) -> Result<(), KeyError> {
        let message = b"auth-tower/probe/1";
        let signature = self.sign(message).map_err(|_| KeyError::Malformed("private key"))?;
        if self.verifying.verify(message, &signature) {
            Ok(())
        } else {
            Err(KeyError::HalvesDiffer)
        }
    }

    /// The key's id: the `kid` of the tokens that it signs.
    pub fn kid(&self) -> &str {
        self.verifying.kid()
    }

    /// The one algorithm that this key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm()
    }

    /// The half that verifies; for a ring in which another key signs.
    ///
    /// Of an HMAC key this is still the shared secret.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.verifying.clone()
    }

    pub(crate) fn header(&self) -> &str {
        self.verifying.header()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, crypto::BackendRefused> {
        crypto::sign(self.algorithm(), &self.encoding, message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid())
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}
