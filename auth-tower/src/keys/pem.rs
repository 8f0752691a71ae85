//! Keys out of PEM files (RFC 7468), as OpenSSL and most tools write them.

use pkcs8::PrivateKeyInfoRef;
use pkcs8::der::Decode as _;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

use super::error::KeyError;
use super::material::{OID_EC, OID_ED25519, OID_RSA, Private, Public, RsaParts, curve_of};
use super::point::uncompressed;
use super::text::without_bom;
use crate::jose::algorithm::Curve;

const UNNAMED_CURVE: &str =
    "curve: it is written out in numbers instead of by its name (`openssl ec -param_enc named_curve`)";

/// What a PEM file held.
pub(crate) enum PemKey {
    /// A private key, and its public half where the file carried one.
    Private(Private, Option<Public>),
    /// A public key.
    Public(Public),
}

/// Reads the one key in `pem`.
pub(crate) fn parse(pem: &[u8]) -> Result<PemKey, KeyError> {
    let pem = plain(pem)?;
    // With more than one block it is not clear which is meant; certificates chained to a key are such a case.
    let mut blocks = ::pem::parse_many(&*pem).map_err(|_| KeyError::Malformed("PEM"))?;
    // `openssl ecparam -genkey` puts the curve in front, which the key names as well.
    blocks.retain(|block| block.tag() != "EC PARAMETERS");
    let (Some(block), true) = (blocks.pop(), blocks.is_empty()) else {
        return Err(KeyError::Malformed("PEM: exactly one key is expected"));
    };
    let label = block.tag().to_owned();
    // The older of the two ways to encrypt a key leaves its label as it is (RFC 1421 §4.6.1.1).
    if block
        .headers()
        .get("Proc-Type")
        .is_some_and(|kind| kind.contains("ENCRYPTED"))
    {
        return Err(KeyError::Encrypted);
    }
    let der = Zeroizing::new(block.into_contents());
    match label.as_str() {
        "PRIVATE KEY" => pkcs8_private(&der),
        "RSA PRIVATE KEY" => Ok(PemKey::Private(rsa_private(&der)?, None)),
        "EC PRIVATE KEY" => ec_private(&der, None),
        "PUBLIC KEY" => spki_public(&der).map(PemKey::Public),
        "RSA PUBLIC KEY" => rsa_public(&der).map(PemKey::Public),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        "OPENSSH PRIVATE KEY" => Err(KeyError::Unsupported(
            "form of key, which is OpenSSH's own: write it as PKCS#8 (`ssh-keygen -p -m PKCS8 -f FILE`)",
        )),
        "CERTIFICATE" => Err(KeyError::Unsupported(
            "PEM label: this is a certificate; take the key out of it (`openssl x509 -pubkey -noout`)",
        )),
        _ => Err(KeyError::Unsupported("PEM label")),
    }
}

/// `pem` as it was written, before an environment variable or an editor had it.
fn plain(pem: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let pem = without_bom(pem);
    if pem.starts_with(b"LS0tLS1CRUdJTi") {
        return Err(KeyError::Malformed(
            "PEM: this is the Base64 of a PEM text; decode it first",
        ));
    }
    let mut plain = Zeroizing::new(Vec::with_capacity(pem.len()));
    let mut bytes = pem.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let (written, two) = match (byte, bytes.peek()) {
            // No part of a key has a backslash in it.
            (b'\\', Some(b'n')) => (Some(b'\n'), true),
            (b'\\', Some(b'r')) => (None, true),
            (b'\r', Some(b'\n')) => (None, false),
            _ => (Some(byte), false),
        };
        plain.extend(written);
        if two {
            bytes.next();
        }
    }
    Ok(plain)
}

fn pkcs8_private(der: &[u8]) -> Result<PemKey, KeyError> {
    let malformed = |_| KeyError::Malformed("PKCS#8 private key");
    let info = PrivateKeyInfoRef::from_der(der).map_err(malformed)?;
    let inner = info.private_key.as_bytes();
    match info.algorithm.oid {
        OID_RSA => Ok(PemKey::Private(rsa_private(inner)?, None)),
        OID_EC => {
            let oid = info
                .algorithm
                .parameters_oid()
                .map_err(|_| KeyError::Unsupported(UNNAMED_CURVE))?;
            ec_private(inner, Some(curve_of(oid).ok_or(KeyError::Unsupported("curve"))?))
        }
        OID_ED25519 => {
            let seed = <&OctetStringRef>::from_der(inner).map_err(malformed)?;
            let seed = seed
                .as_bytes()
                .try_into()
                .map_err(|_| KeyError::Malformed("Ed25519 private key"))?;
            let public = match info.public_key.as_ref().map(|bits| bits.raw_bytes()) {
                None => None,
                Some(bytes) => Some(Public::Ed25519(
                    bytes
                        .try_into()
                        .map_err(|_| KeyError::Malformed("Ed25519 public key"))?,
                )),
            };
            Ok(PemKey::Private(Private::Ed25519(Zeroizing::new(seed)), public))
        }
        _ => Err(KeyError::Unsupported("kind of private key")),
    }
}

fn ec_private(der: &[u8], outer: Option<Curve>) -> Result<PemKey, KeyError> {
    let key = sec1::EcPrivateKey::try_from(der).map_err(|_| KeyError::Malformed("EC private key"))?;
    let inner = match key.parameters.and_then(sec1::EcParameters::named_curve) {
        None => None,
        Some(oid) => Some(curve_of(oid).ok_or(KeyError::Unsupported("curve"))?),
    };
    let curve = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => return Err(KeyError::Malformed("EC private key")),
        (Some(curve), _) | (None, Some(curve)) => curve,
        (None, None) => return Err(KeyError::Unsupported("curve")),
    };
    if key.private_key.len() > curve.field_len() {
        return Err(KeyError::Malformed("EC private key"));
    }
    // RFC 5915 §3 asks for the full length; some writers drop leading zeros all the same.
    let mut scalar = Zeroizing::new(vec![0; curve.field_len() - key.private_key.len()]);
    scalar.reserve_exact(key.private_key.len());
    scalar.extend_from_slice(key.private_key);
    let public = match key.public_key {
        None => None,
        Some(point) => Some(Public::Ec(curve, uncompressed(curve, point)?)),
    };
    Ok(PemKey::Private(Private::Ec(curve, scalar), public))
}

fn rsa_private(der: &[u8]) -> Result<Private, KeyError> {
    let key = pkcs1::RsaPrivateKeyRef::from_der(der).map_err(|_| KeyError::Malformed("RSA private key"))?;
    if key.other_prime_infos.is_some() {
        return Err(KeyError::Unsupported("RSA key of more than two primes"));
    }
    let secret = |number: pkcs1::UintRef<'_>| Zeroizing::new(number.as_bytes().to_vec());
    Ok(Private::Rsa(Box::new(RsaParts {
        n: key.modulus.as_bytes().to_vec(),
        e: key.public_exponent.as_bytes().to_vec(),
        d: secret(key.private_exponent),
        p: secret(key.prime1),
        q: secret(key.prime2),
        dp: secret(key.exponent1),
        dq: secret(key.exponent2),
        qi: secret(key.coefficient),
    })))
}

fn rsa_public(der: &[u8]) -> Result<Public, KeyError> {
    let key = pkcs1::RsaPublicKeyRef::from_der(der).map_err(|_| KeyError::Malformed("RSA public key"))?;
    Ok(Public::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes()))
}

fn spki_public(der: &[u8]) -> Result<Public, KeyError> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed("public key"))?;
    let bytes = info
        .subject_public_key
        .as_bytes()
        .ok_or(KeyError::Malformed("public key"))?;
    match info.algorithm.oid {
        OID_RSA => rsa_public(bytes),
        OID_EC => {
            let oid = info
                .algorithm
                .parameters_oid()
                .map_err(|_| KeyError::Unsupported(UNNAMED_CURVE))?;
            let curve = curve_of(oid).ok_or(KeyError::Unsupported("curve"))?;
            Ok(Public::Ec(curve, uncompressed(curve, bytes)?))
        }
        OID_ED25519 => bytes
            .try_into()
            .map(Public::Ed25519)
            .map_err(|_| KeyError::Malformed("Ed25519 public key")),
        _ => Err(KeyError::Unsupported("kind of public key")),
    }
}
