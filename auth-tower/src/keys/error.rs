//! Why a key, or a set of keys, was refused.

use std::path::PathBuf;
use std::{fmt, io};

use crate::jose::algorithm::{Algorithm, UnknownAlgorithm};

/// Why a key or a [`KeyRing`](crate::KeyRing) could not be made.
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
    /// A shared secret is the PEM text of a key, whose public half everybody may know (RFC 8725 §2.1).
    #[error("the secret of {0:?} is a PEM text: it is a key of another algorithm")]
    PemAsSecret(String),
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
    /// The PEM file is protected by a passphrase, in either of the two ways that there are.
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
    /// One secret for access and for refresh tokens.
    #[error("the secret of {0:?} is also a refresh key: each purpose needs one of its own")]
    SharedSecret(String),
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
    /// It has the form of a name of ours, but says neither a version nor a file.
    UnknownName,
    /// It holds a secret that another variable holds or names too.
    Both {
        /// The other variable.
        other: String,
    },
    /// It holds the same secret as a variable for another purpose.
    SameAs {
        /// The other variable.
        other: String,
    },
    /// It should name a version, and what it says is none.
    NotAVersion,
    /// It names a version for which no secrets are set.
    UnknownVersion,
    /// It is needed to say which of the versions signs.
    Needed,
    /// Its value cannot be meant as a secret.
    Unsound(&'static str),
    /// What is in the file that it names cannot be meant as a secret.
    UnsoundFile(&'static str),
    /// The file that it names is not one to take a secret from.
    File(&'static str),
    /// The system could not read the file that it names.
    FileUnreadable(io::Error),
    /// Its value, or what is in the file that it names, makes no key.
    Refused(Box<KeyError>),
}

impl fmt::Display for VariableProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUnicode => f.write_str("is not UTF-8"),
            Self::Empty => f.write_str("is empty"),
            Self::Missing { other } => write!(f, "is not set although {other} is"),
            Self::UnknownName => f.write_str(
                "is no name that means anything: a version is v and digits, as in …_SECRET_v2, and a file is named by \
                 …_SECRET_FILE or …_SECRET_v2_FILE",
            ),
            Self::Both { other } => write!(f, "and {other} are both set: which one counts?"),
            Self::SameAs { other } => write!(f, "holds the same secret as {other}: each purpose needs one of its own"),
            Self::NotAVersion => f.write_str("names no version: a version is v and digits, such as v2"),
            Self::UnknownVersion => f.write_str("names a version for which no secrets are set"),
            Self::Needed => f.write_str("is not set: with versioned secrets only, it must name the one that signs"),
            Self::Unsound(why) => f.write_str(why),
            Self::UnsoundFile(why) => write!(f, "names a file whose content {why}"),
            Self::File(why) => write!(f, "names a file that {why}"),
            Self::FileUnreadable(why) => write!(f, "names a file that cannot be read: {why}"),
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
    /// Others than its owner may change it.
    Writable {
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to a user who is neither this process nor root.
    ForeignOwner,
    /// Its file system has no hard links, by which a new file gets its name.
    NoHardLinks(io::Error),
    /// One of its keys is refused.
    Refused(Box<KeyError>),
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(why) => write!(f, "{why}"),
            Self::Damaged(why) => write!(f, "damaged ({why}); it was left as it is"),
            Self::Writable { mode } => {
                write!(f, "other users may change it (mode {mode:04o}): see that nobody did, and `chmod 600` it")
            }
            Self::ForeignOwner => f.write_str(
                "it belongs to another user, who may change it: see that nobody did, and `chown` it to the user of this process",
            ),
            Self::NoHardLinks(why) => write!(
                f,
                "cannot be made here, because the file system lacks hard links ({why}): make it on another and copy it here"
            ),
            Self::Refused(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for FileProblem {}
