//! Keys out of JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::error::KeyError;
use super::material::{Private, Public, RsaParts};
use super::text::without_bom;
use crate::jose::algorithm::{Algorithm, Curve};

/// A JWK as written: every member optional, nothing believed yet.
///
/// Members that are not listed are ignored (RFC 7517 §4); a member given twice is an error of the parser.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
    k: Option<String>,
    #[zeroize(skip)]
    oth: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    /// Reads one JWK.
    pub(crate) fn parse(json: &str) -> Result<Self, KeyError> {
        // The parser's own message may quote a value, which here may be a secret.
        serde_json::from_slice(without_bom(json.as_bytes())).map_err(|_| KeyError::Malformed("JWK"))
    }

    /// The key's id.
    pub(crate) fn kid(&self) -> Result<&str, KeyError> {
        self.kid.as_deref().ok_or(KeyError::JwkMember("kid"))
    }

    /// Whether it carries the private half, or a shared secret.
    pub(crate) fn is_private(&self) -> bool {
        self.d.is_some() || self.k.is_some()
    }

    /// Whether both are shared secrets, and the same.
    pub(crate) fn has_secret_of(&self, other: &Self) -> bool {
        let bytes = |jwk: &Self| secret("k", jwk.k.as_deref()).ok();
        bytes(self).is_some_and(|secret| bytes(other).is_some_and(|other| secret == other))
    }

    /// Whether its `use` and `key_ops` allow `operation` (`sign` or `verify`; RFC 7517 §4.2, §4.3).
    pub(crate) fn check_use(&self, operation: &str) -> Result<(), KeyError> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(KeyError::JwkContradiction("use"));
        }
        match &self.key_ops {
            Some(operations) if !operations.iter().any(|allowed| allowed == operation) => {
                Err(KeyError::JwkContradiction("key_ops"))
            }
            _ => Ok(()),
        }
    }

    /// Its `alg`, or the only algorithm that its curve has.
    pub(crate) fn algorithm(&self) -> Result<Algorithm, KeyError> {
        match (&self.alg, self.kty.as_str(), self.crv.as_deref()) {
            (Some(name), ..) => Algorithm::from_name(name).ok_or(KeyError::Unsupported("JWK algorithm")),
            (None, "OKP", Some("Ed25519")) => Ok(Algorithm::EdDSA),
            (None, "EC", Some("P-256")) => Ok(Algorithm::ES256),
            (None, "EC", Some("P-384")) => Ok(Algorithm::ES384),
            (None, ..) => Err(KeyError::JwkMember("alg")),
        }
    }

    /// The private half, or the shared secret.
    pub(crate) fn private(&self) -> Result<Private, KeyError> {
        match self.kty.as_str() {
            "oct" => Ok(Private::Secret(secret("k", self.k.as_deref())?)),
            "OKP" => {
                self.ed25519()?;
                let seed = secret("d", self.private_d()?)?;
                let seed = seed.as_slice().try_into().map_err(|_| KeyError::JwkMember("d"))?;
                Ok(Private::Ed25519(Zeroizing::new(seed)))
            }
            "EC" => {
                let curve = self.curve()?;
                let scalar = secret("d", self.private_d()?)?;
                if scalar.len() != curve.field_len() {
                    return Err(KeyError::JwkMember("d"));
                }
                Ok(Private::Ec(curve, scalar))
            }
            "RSA" => {
                if self.oth.is_some() {
                    return Err(KeyError::Unsupported("RSA key of more than two primes"));
                }
                Ok(Private::Rsa(Box::new(RsaParts {
                    n: bytes("n", self.n.as_deref())?,
                    e: bytes("e", self.e.as_deref())?,
                    d: secret("d", self.private_d()?)?,
                    p: secret("p", self.p.as_deref())?,
                    q: secret("q", self.q.as_deref())?,
                    dp: secret("dp", self.dp.as_deref())?,
                    dq: secret("dq", self.dq.as_deref())?,
                    qi: secret("qi", self.qi.as_deref())?,
                })))
            }
            _ => Err(KeyError::Unsupported("JWK type")),
        }
    }

    /// The public half; `None` for a shared secret.
    pub(crate) fn public(&self) -> Result<Option<Public>, KeyError> {
        match self.kty.as_str() {
            "oct" => Ok(None),
            "OKP" => {
                self.ed25519()?;
                let point = bytes("x", self.x.as_deref())?;
                let point = point.try_into().map_err(|_| KeyError::JwkMember("x"))?;
                Ok(Some(Public::Ed25519(point)))
            }
            "EC" => {
                let curve = self.curve()?;
                let (x, y) = (bytes("x", self.x.as_deref())?, bytes("y", self.y.as_deref())?);
                // RFC 7518 §6.2.1.2: always the full length of the field.
                if x.len() != curve.field_len() {
                    return Err(KeyError::JwkMember("x"));
                }
                if y.len() != curve.field_len() {
                    return Err(KeyError::JwkMember("y"));
                }
                Ok(Some(Public::Ec(curve, [&[4], x.as_slice(), &y].concat())))
            }
            "RSA" => Ok(Some(Public::rsa(
                &bytes("n", self.n.as_deref())?,
                &bytes("e", self.e.as_deref())?,
            ))),
            _ => Err(KeyError::Unsupported("JWK type")),
        }
    }

    fn private_d(&self) -> Result<Option<&str>, KeyError> {
        if self.d.is_none() {
            return Err(KeyError::PrivateKeyMissing);
        }
        Ok(self.d.as_deref())
    }

    fn ed25519(&self) -> Result<(), KeyError> {
        match self.crv.as_deref() {
            Some("Ed25519") => Ok(()),
            Some(_) => Err(KeyError::Unsupported("curve")),
            None => Err(KeyError::JwkMember("crv")),
        }
    }

    fn curve(&self) -> Result<Curve, KeyError> {
        match self.crv.as_deref() {
            Some("P-256") => Ok(Curve::P256),
            Some("P-384") => Ok(Curve::P384),
            Some(_) => Err(KeyError::Unsupported("curve")),
            None => Err(KeyError::JwkMember("crv")),
        }
    }
}

fn bytes(member: &'static str, text: Option<&str>) -> Result<Vec<u8>, KeyError> {
    text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .filter(|bytes| !bytes.is_empty())
        .ok_or(KeyError::JwkMember(member))
}

fn secret(member: &'static str, text: Option<&str>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    bytes(member, text).map(Zeroizing::new)
}
