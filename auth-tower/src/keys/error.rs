//! Why a key, or a set of keys, was refused.

use std::path::PathBuf;
use std::{fmt, io};

use crate::jose::algorithm::{Algorithm, UnknownAlgorithm};

/// Why a key or a [`KeyRing`](super::KeyRing) could not be made.
///
/// Each is a fault of configuration, to be put right before the service starts. None carries key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Neither signature back end is compiled in.
    #[error("no signature back end: enable the `aws-lc-rs` or the `rust-crypto` feature of auth-tower")]
    NoBackend,
    /// A key id must be 1 to 64 printable ASCII characters without spaces.
    #[error("a key id must be 1 to 64 printable ASCII characters without spaces")]
    InvalidKeyId,
    /// Two different keys have the same id.
    #[error("two keys have the id {0:?}")]
    DuplicateKeyId(String),
    /// A shared secret is too short to be safe (RFC 7518 §3.2).
    #[error("a secret for {purpose} must have at least {at_least} bytes")]
    ShortSecret {
        /// What the secret was to be used for.
        purpose: &'static str,
        /// How many bytes it must have.
        at_least: usize,
    },
    /// An RSA modulus outside the accepted sizes.
    #[error("an RSA key must have 2048 to {at_most} bits, this one has {bits}")]
    RsaSize {
        /// The modulus' bits.
        bits: usize,
        /// The largest modulus that the compiled back end handles.
        at_most: usize,
    },
    /// The key is of another kind, or on another curve, than the algorithm needs.
    #[error("the key is of the wrong kind or curve for {0}")]
    WrongKeyForAlgorithm(Algorithm),
    /// The bytes are not what their label says.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// Well-formed, but nothing that this crate works with.
    #[error("unsupported {0}")]
    Unsupported(&'static str),
    /// The name of an algorithm that access tokens do not use.
    #[error(transparent)]
    UnknownAlgorithm(#[from] UnknownAlgorithm),
    /// A private key was given where a public one belongs.
    #[error("this is a private key: give a verifying key its public half only")]
    UnexpectedPrivateKey,
    /// A public key was given where a private one belongs.
    #[error("this is a public key: a signing key needs the private half")]
    PrivateKeyMissing,
    /// The PEM file is protected by a passphrase.
    #[error("the private key is encrypted: decrypt it first (`openssl pkcs8 -topk8 -nocrypt`)")]
    Encrypted,
    /// A JWK lacks a member.
    #[error("the JWK lacks a usable {0:?}")]
    JwkMember(&'static str),
    /// A JWK says that it is meant for something else.
    #[error("the JWK's {0:?} contradicts its use")]
    JwkContradiction(&'static str),
    /// The public half does not belong to the private one, or what it signs does not verify.
    #[error("the key's private and public halves do not belong together")]
    HalvesDiffer,
    /// Keys of this algorithm must be brought along.
    #[error("keys for {0} cannot be generated here: import one as PEM or JWK")]
    CannotGenerate(Algorithm),
    /// The operating system gave no random bytes.
    #[error("the operating system's random number generator failed")]
    NoRandomness,
    /// A ring without any key.
    #[error("a key ring needs at least one signing or verifying key")]
    NoKeys,
    /// Older refresh keys without an active one.
    #[error("older refresh keys were given without an active one")]
    NoActiveRefreshKey,
    /// The new ring could not do what the old one does.
    #[error("the replacement has no {0} although the ring that it replaces does")]
    ReplacementLacks(&'static str),
    /// An environment variable.
    #[error("{name} {problem}")]
    Variable {
        /// The variable's name.
        name: String,
        /// What is wrong with it.
        #[source]
        problem: VariableProblem,
    },
    /// The key file.
    #[error("key file {}: {problem}", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: FileProblem,
    },
}

/// What is wrong with an environment variable.
#[derive(Debug)]
#[non_exhaustive]
pub enum VariableProblem {
    /// Its value, or its name, is not UTF-8.
    NotUnicode,
    /// It is set to nothing.
    Empty,
    /// It is not set, although the other half of its pair is.
    Missing {
        /// The variable that is set.
        other: String,
    },
    /// It names a version for which no secrets are set.
    UnknownVersion,
    /// It is needed to say which of the versions signs.
    Needed,
    /// Its value, or the version in its name, makes no key.
    Refused(Box<KeyError>),
}

impl fmt::Display for VariableProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUnicode => f.write_str("is not UTF-8"),
            Self::Empty => f.write_str("is empty"),
            Self::Missing { other } => write!(f, "is not set although {other} is"),
            Self::UnknownVersion => f.write_str("names a version for which no secrets are set"),
            Self::Needed => f.write_str("is not set: with versioned secrets only, it must name the one that signs"),
            Self::Refused(why) => write!(f, "is refused: {why}"),
        }
    }
}

impl std::error::Error for VariableProblem {}

/// What is wrong with a key file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileProblem {
    /// The system could not read or make it.
    Io(io::Error),
    /// It is there, but it is not a key file; it is never overwritten.
    Damaged(&'static str),
    /// One of its keys is refused.
    Refused(Box<KeyError>),
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(why) => write!(f, "{why}"),
            Self::Damaged(why) => write!(f, "damaged ({why}); it was left as it is"),
            Self::Refused(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for FileProblem {}
