//! Keys: what signs, what verifies, what makes refresh tokens, and the ring that holds them.

mod env;
mod error;
mod file;
mod generate;
mod jwk;
mod material;
mod pem;
mod refresh_key;
mod ring;

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{DecodingKey, EncodingKey};
use zeroize::Zeroizing;

pub use self::error::{FileProblem, KeyError, VariableProblem};
pub use self::refresh_key::RefreshKey;
pub use self::ring::{KeyRing, KeyRingBuilder};

pub(super) use self::ring::Keys;

use self::jwk::Jwk;
use self::material::{Private, Public, check_secret};
use self::pem::PemKey;
use super::{Algorithm, crypto, header};

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

    fn from_parsed_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
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
        let decoding = match (&public, private) {
            (Some(public), _) => public.decoding_key(),
            (None, Private::Secret(secret)) => DecodingKey::from_secret(secret),
            (None, _) => return Err(KeyError::HalvesDiffer),
        };
        let key = Self {
            encoding: private.encoding_key()?,
            verifying: VerifyingKey::new(kid, algorithm, decoding, public),
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

    pub(super) fn header(&self) -> &str {
        self.verifying.header()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, crypto::BackendRefused> {
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

/// A key that verifies access tokens.
///
/// `Debug` shows the id and the algorithm only; clones share the key.
#[derive(Clone)]
pub struct VerifyingKey(Arc<Verifying>);

struct Verifying {
    kid: Box<str>,
    algorithm: Algorithm,
    decoding: DecodingKey,
    /// What is published; a shared secret never is.
    public: Option<Public>,
    /// The first segment of every token that its signing half signs.
    header: Box<str>,
}

impl VerifyingKey {
    /// A shared secret; see [`SigningKey::hmac`].
    ///
    /// # Errors
    /// [`KeyError`] if the id, the secret's length or the algorithm does not fit.
    pub fn hmac(kid: &str, algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        check_kid(kid)?;
        check_secret(secret.as_ref(), algorithm)?;
        if !crypto::available() {
            return Err(KeyError::NoBackend);
        }
        Ok(Self::new(
            kid,
            algorithm,
            DecodingKey::from_secret(secret.as_ref()),
            None,
        ))
    }

    /// A public key in PEM: `PUBLIC KEY`, or `RSA PUBLIC KEY`.
    ///
    /// # Errors
    /// [`KeyError`] if it is not such a key, too weak, or not `algorithm`'s. A private key is refused, so that it does
    /// not get copied to where only its public half belongs.
    pub fn from_pem(kid: &str, algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        match pem::parse(pem.as_ref())? {
            PemKey::Public(public) => Self::assemble(kid, algorithm, public),
            PemKey::Private(..) => Err(KeyError::UnexpectedPrivateKey),
        }
    }

    /// A JWK (RFC 7517) as JSON: public, or a shared secret (`oct`).
    ///
    /// It needs a `kid`, and an `alg` unless its curve has only one. A `use` other than `sig`, or `key_ops` without
    /// `verify`, is refused; so is the private half of a key pair.
    ///
    /// # Errors
    /// [`KeyError`] if a member is missing, contradictory or too weak.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        Self::from_parsed_jwk(&Jwk::parse(json)?)
    }

    fn from_parsed_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        jwk.check_use("verify")?;
        let (kid, algorithm) = (jwk.kid()?, jwk.algorithm()?);
        match jwk.public()? {
            Some(_) if jwk.is_private() => Err(KeyError::UnexpectedPrivateKey),
            Some(public) => Self::assemble(kid, algorithm, public),
            None => match jwk.private()? {
                Private::Secret(secret) => Self::hmac(kid, algorithm, &secret),
                Private::Ed25519(_) | Private::Ec(..) | Private::Rsa(_) => Err(KeyError::UnexpectedPrivateKey),
            },
        }
    }

    fn assemble(kid: &str, algorithm: Algorithm, public: Public) -> Result<Self, KeyError> {
        check_kid(kid)?;
        public.check(algorithm)?;
        if !crypto::available() {
            return Err(KeyError::NoBackend);
        }
        Ok(Self::new(kid, algorithm, public.decoding_key(), Some(public)))
    }

    fn new(kid: &str, algorithm: Algorithm, decoding: DecodingKey, public: Option<Public>) -> Self {
        Self(Arc::new(Verifying {
            kid: kid.into(),
            algorithm,
            decoding,
            public,
            header: header::encode(algorithm, kid).into_boxed_str(),
        }))
    }

    /// The key's id: the `kid` of the tokens that it verifies.
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The one algorithm that this key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The first segment of the tokens that this crate signs with the key's other half.
    pub(super) fn header(&self) -> &str {
        &self.0.header
    }

    /// Whether `signature` over `message` is this key's.
    pub(super) fn verify(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        crypto::verify(self.0.algorithm, &self.0.decoding, message, signature)
    }

    fn jwk(&self) -> Option<serde_json::Value> {
        let public = self.0.public.as_ref()?;
        Some(public.jwk(self.kid(), self.algorithm()))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid())
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

fn check_kid(kid: &str) -> Result<(), KeyError> {
    if (1..=64).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(KeyError::InvalidKeyId)
    }
}
