//! Tokens that verified, by their bytes, so that seeing one again costs a look-up.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use foldhash::SharedSeed;
use foldhash::quality::{FoldHasher, SeedableRandomState};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::verified::VerifiedToken;

/// Verified tokens, bounded by the bytes that they take.
///
/// Only tokens that verified get in, so nobody can fill it with forged ones; what is found was compared in full. Entries
/// are judged by who finds them: one may be expired, or verified under keys that are gone.
pub(crate) struct TokenCache(Option<ByToken>);

type ByToken = Cache<Token, Arc<VerifiedToken>, Bytes, Seeded>;

/// A token's bytes: equal if all are, but hashed by its tail alone.
///
/// The tail is signature, and as random as anything in a token, so hashing more would only cost more. An altered token
/// with the tail of a known one finds that entry, differs from it, and goes the long way to its refusal.
#[derive(PartialEq, Eq)]
struct Token(Box<[u8]>);

#[derive(PartialEq, Eq)]
struct TokenRef<'a>(&'a [u8]);

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        TokenRef(&self.0).hash(state);
    }
}

impl Hash for TokenRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        const TAIL: usize = 16;
        state.write(self.0.last_chunk::<TAIL>().map_or(self.0, |tail| tail.as_slice()));
    }
}

impl Equivalent<Token> for TokenRef<'_> {
    fn equivalent(&self, token: &Token) -> bool {
        *self.0 == *token.0
    }
}

impl TokenCache {
    /// What a token of the usual size takes, for the first sizing of tables only.
    const USUAL_WEIGHT: u64 = 1536;

    /// A cache of at most about `bytes` bytes; 0 turns it off.
    pub(crate) fn new(bytes: u64) -> Self {
        if bytes == 0 {
            return Self(None);
        }
        let tokens = usize::try_from(bytes / Self::USUAL_WEIGHT)
            .unwrap_or(usize::MAX)
            .clamp(1, 1 << 24);
        Self(Some(Cache::with(
            tokens,
            bytes,
            Bytes,
            Seeded::random(),
            Default::default(),
        )))
    }

    pub(crate) fn get(&self, token: &[u8]) -> Option<Arc<VerifiedToken>> {
        self.0.as_ref()?.get(&TokenRef(token))
    }

    pub(crate) fn insert(&self, token: &[u8], verified: Arc<VerifiedToken>) {
        if let Some(cache) = &self.0 {
            cache.insert(Token(token.into()), verified);
        }
    }

    /// The weight of all entries.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> u64 {
        self.0.as_ref().map_or(0, Cache::weight)
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Cache::len)
    }
}

/// Weighs entries in bytes of memory.
#[derive(Clone)]
struct Bytes;

impl Weighter<Token, Arc<VerifiedToken>> for Bytes {
    fn weight(&self, token: &Token, verified: &Arc<VerifiedToken>) -> u64 {
        // The payload once as strings, once as the app's type, whose size cannot be asked; then the structs themselves,
        // what the allocator adds to each, and the cache's own tables.
        const FIXED: u64 = 640;
        FIXED + token.0.len() as u64 + 2 * u64::from(verified.payload_len)
    }
}

/// A hash that cannot be foreseen.
///
/// The cache's own default is seeded from addresses; this is seeded from the operating system's randomness.
#[derive(Clone)]
struct Seeded(SeedableRandomState);

impl Seeded {
    fn random() -> Self {
        static SHARED: OnceLock<SharedSeed> = OnceLock::new();
        let shared = SHARED.get_or_init(|| SharedSeed::from_u64(rand::random()));
        Self(SeedableRandomState::with_seed(rand::random(), shared))
    }
}

impl BuildHasher for Seeded {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}
