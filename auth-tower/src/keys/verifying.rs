//! A key that verifies.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::DecodingKey;

use super::jwk::Jwk;
use super::material::{Private, Public, check_secret};
use super::pem;
use super::pem::PemKey;
use crate::jose::algorithm::Algorithm;
use crate::jose::{crypto, header};
use crate::keys::error::KeyError;

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
    /// It is an HMAC key, and its secret is a PEM text.
    is_pem_text: bool,
}

impl VerifyingKey {
    /// A shared secret; see [`SigningKey::hmac`](super::signing::SigningKey::hmac).
    ///
    /// # Errors
    /// [`KeyError`] if the id, the secret's length or the algorithm does not fit.
    pub fn hmac(kid: &str, algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        check_kid(kid)?;
        check_secret(secret.as_ref(), algorithm)?;
        if !crypto::available() {
            return Err(KeyError::NoBackend);
        }
        Ok(Self::of_secret(kid, algorithm, secret.as_ref()))
    }

    /// The key of a secret that was checked.
    pub(crate) fn of_secret(kid: &str, algorithm: Algorithm, secret: &[u8]) -> Self {
        let is_pem_text = secret.windows(11).any(|part| part == b"-----BEGIN ");
        Self::new(kid, algorithm, DecodingKey::from_secret(secret), None, is_pem_text)
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

    pub(crate) fn from_parsed_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
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
        Ok(Self::of_public(kid, algorithm, public))
    }

    /// The key of a public half that was checked.
    pub(crate) fn of_public(kid: &str, algorithm: Algorithm, public: Public) -> Self {
        Self::new(kid, algorithm, public.decoding_key(), Some(public), false)
    }

    fn new(kid: &str, algorithm: Algorithm, decoding: DecodingKey, public: Option<Public>, is_pem_text: bool) -> Self {
        Self(Arc::new(Verifying {
            kid: kid.into(),
            algorithm,
            decoding,
            public,
            header: header::encode(algorithm, kid).into_boxed_str(),
            is_pem_text,
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
    pub(crate) fn header(&self) -> &str {
        &self.0.header
    }

    /// Whether it is an HMAC key whose secret is a PEM text, perhaps of a public key.
    pub(crate) fn is_pem_text(&self) -> bool {
        self.0.is_pem_text
    }

    /// Whether `signature` over `message` is this key's.
    pub(crate) fn verify(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        crypto::verify(self.0.algorithm, &self.0.decoding, message, signature)
    }

    pub(crate) fn jwk(&self) -> Option<serde_json::Value> {
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

pub(crate) fn check_kid(kid: &str) -> Result<(), KeyError> {
    if (1..=64).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(KeyError::InvalidKeyId)
    }
}
