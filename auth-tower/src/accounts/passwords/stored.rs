//! A stored hash: what it asks for, and what it is if it cannot be checked here.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::accounts::{AccountsError, Password};

/// In KiB. The most that RFC 9106 §4 recommends; a hash that asks for more is damaged, or meant to exhaust the machine.
pub(super) const MOST_MEMORY: u32 = 2 * 1024 * 1024;

/// RFC 9106 §3.1 recommends 16 bytes for both.
const LEAST_BYTES: usize = 16;

/// A PHC string of argon2 that has been read.
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    output: Output,
}

impl Argon2Hash {
    /// `None` if `stored` is no hash of argon2, or one that cannot be checked.
    pub(super) fn read(stored: &str) -> Option<Self> {
        let hash = PasswordHash::new(stored).ok()?;
        let params = Params::try_from(&hash).ok()?;
        // A key identifier means that a secret went into the hash, and the secret is not here.
        if params.m_cost() > MOST_MEMORY || !params.keyid().is_empty() {
            return None;
        }
        Some(Self {
            algorithm: hash.algorithm.as_str().parse().ok()?,
            // Strings were written without a version before there was a second one.
            version: hash.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?,
            params,
            salt: hash.salt?,
            output: hash.hash?,
        })
    }

    /// A new hash of `password`, as a PHC string.
    pub(super) fn make(password: &Password, params: &Params, memory: &mut [Block]) -> Result<String, AccountsError> {
        let failed = || AccountsError::unavailable("a password could not be hashed");
        let salt = Salt::new(&rand::random::<[u8; LEAST_BYTES]>()).map_err(|_| failed())?;
        let mut output = Zeroizing::new([0_u8; Params::DEFAULT_OUTPUT_LEN]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        argon2
            .hash_password_into_with_memory(
                password.expose_secret().as_bytes(),
                &salt,
                output.as_mut_slice(),
                memory,
            )
            .map_err(|_| failed())?;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params).map_err(|_| failed())?,
            salt: Some(salt),
            hash: Some(Output::new(output.as_slice()).map_err(|_| failed())?),
        };
        Ok(hash.to_string())
    }

    /// The memory that a check fills, in KiB.
    pub(super) fn blocks(&self) -> usize {
        self.params.block_count()
    }

    pub(super) fn work(&self) -> u64 {
        work(&self.params)
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &Password, memory: &mut [Block]) -> Result<bool, AccountsError> {
        let failed = || AccountsError::unavailable("a stored password hash cannot be checked");
        let mut output = Zeroizing::new([0_u8; Output::MAX_LENGTH]);
        let output = output.get_mut(..self.output.len()).ok_or_else(failed)?;
        Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(password.expose_secret().as_bytes(), &self.salt, &mut *output, memory)
            .map_err(|_| failed())?;
        Ok(output.ct_eq(self.output.as_bytes()).into())
    }

    /// Whether a new hash of `params` would withstand more guesses.
    pub(super) fn is_weaker_than(&self, params: &Params) -> bool {
        self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
            || self.params.m_cost() < params.m_cost()
            || self.work() < work(params)
            || self.salt.len() < LEAST_BYTES
            || self.output.len() < LEAST_BYTES
    }
}

/// How many blocks a check computes, to which its time is proportional.
pub(super) fn work(params: &Params) -> u64 {
    blocks_in(params).saturating_mul(u64::from(params.t_cost()))
}

/// Computes `work` blocks in the memory of `params`, for the time that it takes.
pub(super) fn spend(
    work: u64,
    params: &Params,
    password: &Password,
    memory: &mut [Block],
) -> Result<(), AccountsError> {
    let blocks = blocks_in(params).max(1);
    for (memory_cost, passes) in [(blocks, work / blocks), (work % blocks, 1)] {
        let (Ok(memory_cost), Ok(passes)) = (u32::try_from(memory_cost), u32::try_from(passes)) else {
            continue;
        };
        // What is less than argon2 can do takes less time than can be told apart.
        if let Ok(params) = Params::new(memory_cost, passes, 1, None) {
            Argon2::from(params)
                .fill_memory(password.expose_secret().as_bytes(), &[0; LEAST_BYTES], &mut *memory)
                .map_err(|_| AccountsError::unavailable("a password check could not be made"))?;
        }
    }
    Ok(())
}

fn blocks_in(params: &Params) -> u64 {
    u64::try_from(params.block_count()).unwrap_or(u64::MAX)
}

/// What a hash that cannot be checked seems to be, for the log: words of ours, so that nothing of the hash gets there.
pub(super) fn kind(stored: &str) -> &'static str {
    const KINDS: [(&str, &[&str]); 9] = [
        ("argon2, damaged or beyond what is computed", &["$argon2"]),
        ("bcrypt", &["$2a$", "$2b$", "$2x$", "$2y$", "$bcrypt", "bcrypt"]),
        ("scrypt", &["$scrypt$", "$7$", "scrypt"]),
        ("yescrypt", &["$y$", "$gy$"]),
        ("PBKDF2", &["$pbkdf2", "pbkdf2"]),
        ("SHA-crypt", &["$5$", "$6$"]),
        ("MD5-crypt", &["$1$", "$apr1$"]),
        ("phpass", &["$P$", "$H$"]),
        ("a scheme in braces", &["{"]),
    ];
    match stored {
        "" => return "empty",
        "x" => return "kept elsewhere",
        _ if stored.starts_with(['!', '*']) => return "locked",
        _ => {}
    }
    KINDS
        .iter()
        .find(|(_, prefixes)| prefixes.iter().any(|prefix| stored.starts_with(prefix)))
        .map_or("unknown", |(kind, _)| kind)
}
