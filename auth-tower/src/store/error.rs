//! What can go wrong in a store.

use std::error::Error;

/// A store could not do what it was asked.
///
/// Neither `Display` nor `Debug` carries a secret, an SQL text or a host name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store cannot be reached or is not able to answer. Worth a retry.
    #[error("the session store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The store did not answer within the deadline; the step may or may not have been taken. Worth a retry.
    #[error("the session store did not answer in time")]
    Timeout,
    /// A bounded store has no room for another session.
    #[error("the session store is full")]
    Full,
    /// A record is damaged or of a newer format. Nothing of it is believed.
    #[error("the session store holds a damaged record: {0}")]
    Corrupt(&'static str),
    /// The store cannot be opened as it is configured: a person has to act.
    #[error("the session store cannot be opened: {reason}")]
    Open {
        /// What a person can do about it.
        reason: &'static str,
        /// The driver's error.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl StoreError {
    /// An [`Unavailable`](Self::Unavailable) with its cause.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}
