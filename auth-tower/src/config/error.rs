//! What is wrong with a setting.

use crate::keys::error::KeyError;

/// A setting, or a combination of settings, that cannot work. Found when the value is built, never later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Something that has no safe default was not given.
    #[error("{0} is not set: call `.{0}(…)` before `.build()`")]
    Missing(&'static str),
    /// A value is out of its range.
    #[error("{setting}: {problem}")]
    Invalid {
        /// The setting.
        setting: &'static str,
        /// What would be right.
        problem: &'static str,
    },
    /// Two settings contradict each other.
    #[error("{first} and {second}: {problem}")]
    Contradiction {
        /// One setting.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// What would be right.
        problem: &'static str,
    },
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// `build` was called outside of a Tokio runtime, which the revocation feed and exchanges run on.
    #[error("build() needs a running Tokio runtime: call it from async code, or inside `Runtime::enter`")]
    NoRuntime,
}

impl ConfigError {
    pub(crate) const fn invalid(setting: &'static str, problem: &'static str) -> Self {
        Self::Invalid { setting, problem }
    }
}
