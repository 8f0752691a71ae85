//! Where an issuer's verifying keys come from.

use std::sync::Arc;

use super::ring::{KeyRing, Keys};

/// The verifying keys of one issuer, as a verifier sees them: a state that may be replaced at any moment, and its version.
///
/// A ring is the whole of it as long as keys are at hand; a source that fetches them keeps a ring up to date.
#[derive(Debug, Clone)]
pub(crate) struct KeySource {
    ring: KeyRing,
}

impl From<KeyRing> for KeySource {
    fn from(ring: KeyRing) -> Self {
        Self { ring }
    }
}

impl KeySource {
    /// The present state.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.ring.keys()
    }

    /// The present state's version. What was verified under another one is verified anew.
    pub(crate) fn version(&self) -> u64 {
        self.ring.version()
    }
}
