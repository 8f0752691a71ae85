//! Key material, whatever it came from: checked, and turned into what the back end takes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use pkcs8::der::Encode;
use pkcs8::der::asn1::{AnyRef, OctetStringRef, UintRef};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::error::KeyError;
use crate::jose::algorithm::{Algorithm, Curve, Family};
use crate::jose::crypto;

pub(crate) const OID_EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const OID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const OID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const OID_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const OID_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The curve that `oid` names, if it is one of ours.
pub(crate) fn curve_of(oid: ObjectIdentifier) -> Option<Curve> {
    match oid {
        OID_P256 => Some(Curve::P256),
        OID_P384 => Some(Curve::P384),
        _ => None,
    }
}

/// A key that signs.
pub(crate) enum Private {
    /// An HMAC secret.
    Secret(Zeroizing<Vec<u8>>),
    /// An Ed25519 seed (RFC 8032 §5.1.5).
    Ed25519(Zeroizing<[u8; 32]>),
    /// A scalar, as long as the curve's field.
    Ec(Curve, Zeroizing<Vec<u8>>),
    /// The parts of a two-prime RSA key.
    Rsa(Box<RsaParts>),
}

/// RFC 8017 §3.2, second form; big-endian without a sign.
pub(crate) struct RsaParts {
    pub(crate) n: Vec<u8>,
    pub(crate) e: Vec<u8>,
    pub(crate) d: Zeroizing<Vec<u8>>,
    pub(crate) p: Zeroizing<Vec<u8>>,
    pub(crate) q: Zeroizing<Vec<u8>>,
    pub(crate) dp: Zeroizing<Vec<u8>>,
    pub(crate) dq: Zeroizing<Vec<u8>>,
    pub(crate) qi: Zeroizing<Vec<u8>>,
}

/// A key that only verifies, and may be published.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Public {
    /// RFC 8032 §5.1.2.
    Ed25519([u8; 32]),
    /// An uncompressed point (SEC 1 §2.3.3).
    Ec(Curve, Vec<u8>),
    /// Big-endian, no leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Private {
    /// Whether this can be `algorithm`'s key; the strength of secrets and moduli included.
    pub(crate) fn check(&self, algorithm: Algorithm) -> Result<(), KeyError> {
        let fits = match (self, algorithm.family()) {
            (Self::Secret(secret), Family::Secret) => return check_secret(secret, algorithm),
            (Self::Rsa(parts), Family::Rsa) => return check_rsa(&parts.n, &parts.e),
            (Self::Ed25519(_), Family::Ed25519) => true,
            (Self::Ec(curve, scalar), Family::Ec(wanted)) => *curve == wanted && scalar.len() == curve.field_len(),
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(KeyError::WrongKeyForAlgorithm(algorithm))
        }
    }

    /// The key as the back end signs with it.
    pub(crate) fn encoding_key(&self) -> Result<EncodingKey, KeyError> {
        Ok(match self {
            Self::Secret(secret) => EncodingKey::from_secret(secret),
            Self::Ed25519(_) => EncodingKey::from_ed_der(&self.pkcs8()?),
            Self::Ec(..) => EncodingKey::from_ec_der(&self.pkcs8()?),
            Self::Rsa(parts) => EncodingKey::from_rsa_der(&parts.pkcs1()?),
        })
    }

    /// The half that may be published; `None` for a shared secret.
    pub(crate) fn public(&self) -> Result<Option<Public>, KeyError> {
        if !crypto::available() {
            return Err(KeyError::NoBackend);
        }
        let derived = match self {
            Self::Secret(_) => return Ok(None),
            Self::Rsa(parts) => Ok(Public::rsa(&parts.n, &parts.e)),
            Self::Ed25519(_) => crypto::ed25519_public(&self.pkcs8()?).map(Public::Ed25519),
            Self::Ec(curve, _) => {
                crypto::ec_public_point(*curve, &self.pkcs8()?).map(|point| Public::Ec(*curve, point))
            }
        };
        derived.map(Some).map_err(|_| KeyError::Malformed("private key"))
    }

    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let malformed = |_| KeyError::Malformed("private key");
        match self {
            Self::Ed25519(seed) => {
                let inner = Zeroizing::new(
                    OctetStringRef::new(seed.as_slice())
                        .and_then(|seed| seed.to_der())
                        .map_err(malformed)?,
                );
                wrap(OID_ED25519, None, &inner)
            }
            Self::Ec(curve, scalar) => {
                let key = sec1::EcPrivateKey {
                    private_key: scalar.as_slice(),
                    parameters: None,
                    public_key: None,
                };
                let inner = Zeroizing::new(key.to_der().map_err(malformed)?);
                let oid = match curve {
                    Curve::P256 => OID_P256,
                    Curve::P384 => OID_P384,
                };
                wrap(OID_EC, Some(&oid), &inner)
            }
            Self::Secret(_) | Self::Rsa(_) => Err(KeyError::Malformed("private key")),
        }
    }
}

fn wrap(
    algorithm: ObjectIdentifier,
    curve: Option<&ObjectIdentifier>,
    private_key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    OctetStringRef::new(private_key)
        .map(|private_key| {
            PrivateKeyInfoRef::new(
                AlgorithmIdentifierRef {
                    oid: algorithm,
                    parameters: curve.map(AnyRef::from),
                },
                private_key,
            )
        })
        .and_then(|info| info.to_der())
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Malformed("private key"))
}

impl RsaParts {
    fn pkcs1(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let encode = || {
            pkcs1::RsaPrivateKeyRef {
                modulus: UintRef::new(&self.n)?,
                public_exponent: UintRef::new(&self.e)?,
                private_exponent: UintRef::new(&self.d)?,
                prime1: UintRef::new(&self.p)?,
                prime2: UintRef::new(&self.q)?,
                exponent1: UintRef::new(&self.dp)?,
                exponent2: UintRef::new(&self.dq)?,
                coefficient: UintRef::new(&self.qi)?,
                other_prime_infos: None,
            }
            .to_der()
        };
        encode()
            .map(Zeroizing::new)
            .map_err(|_| KeyError::Malformed("RSA private key"))
    }
}

impl Public {
    /// An RSA public key from big-endian numbers, with or without leading zeros.
    pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self::Rsa {
            n: without_leading_zeros(n).to_vec(),
            e: without_leading_zeros(e).to_vec(),
        }
    }

    /// Whether this can be `algorithm`'s key.
    pub(crate) fn check(&self, algorithm: Algorithm) -> Result<(), KeyError> {
        let fits = match (self, algorithm.family()) {
            (Self::Rsa { n, e }, Family::Rsa) => return check_rsa(n, e),
            (Self::Ed25519(_), Family::Ed25519) => true,
            (Self::Ec(curve, point), Family::Ec(wanted)) => {
                *curve == wanted && point.first() == Some(&4) && point.len() == 2 * curve.field_len() + 1
            }
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(KeyError::WrongKeyForAlgorithm(algorithm))
        }
    }

    /// The key as the back end verifies with it.
    pub(crate) fn decoding_key(&self) -> DecodingKey {
        match self {
            Self::Ed25519(point) => DecodingKey::from_ed_der(point),
            Self::Ec(_, point) => DecodingKey::from_ec_der(point),
            Self::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
        }
    }

    /// The key as it is published (RFC 7517 §4).
    pub(crate) fn jwk(&self, kid: &str, algorithm: Algorithm) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self {
            Self::Ed25519(point) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(point)}),
            Self::Ec(curve, point) => {
                let (x, y) = point
                    .get(1..)
                    .unwrap_or_default()
                    .split_at(curve.field_len().min(point.len() / 2));
                json!({"kty": "EC", "crv": curve.name(), "x": text(x), "y": text(y)})
            }
            Self::Rsa { n, e } => json!({"kty": "RSA", "n": text(n), "e": text(e)}),
        };
        if let Value::Object(members) = &mut jwk {
            members.insert("kid".into(), kid.into());
            members.insert("use".into(), "sig".into());
            members.insert("alg".into(), algorithm.name().into());
        }
        jwk
    }
}

/// RFC 7518 §3.2: a secret at least as long as the hash, so that guessing it is no easier than forging the MAC.
pub(crate) fn check_secret(secret: &[u8], algorithm: Algorithm) -> Result<(), KeyError> {
    if algorithm.family() != Family::Secret {
        return Err(KeyError::WrongKeyForAlgorithm(algorithm));
    }
    if secret.len() < algorithm.secret_len() {
        return Err(KeyError::ShortSecret {
            purpose: algorithm.name(),
            at_least: algorithm.secret_len(),
        });
    }
    Ok(())
}

fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
    let n = without_leading_zeros(n);
    let bits = n
        .first()
        .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(2048..=crypto::MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::RsaSize {
            bits,
            at_most: crypto::MAX_RSA_BITS,
        });
    }
    let e = without_leading_zeros(e);
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    // An exponent of 1 makes every message its own signature; both back ends stop at 33 bits.
    let exponent_fits = odd(e) && e != [1] && (e.len() < 5 || (e.len() == 5 && e.first() == Some(&1)));
    if odd(n) && exponent_fits {
        Ok(())
    } else {
        Err(KeyError::Malformed("RSA key"))
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
