//! The revocation log as a port of its own: what a service follows that keeps no sessions.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{SessionId, SubjectKey};
use crate::store::StoreError;

/// The log of revocations, as a service follows it that verifies and keeps no sessions.
///
/// Every [`SessionStore`](crate::store::SessionStore) is one. A resource service needs no more than this, and so no more
/// rights at the store than to read its log.
pub trait RevocationFeed: Send + Sync + 'static {
    /// Revocations after `cursor`, oldest first, at most 1,000.
    ///
    /// Returns at once if there are some; otherwise waits up to `wait` for the first one and then returns, perhaps with
    /// none. Every revocation that was committed is returned exactly once to a reader that follows its cursor, also one that
    /// commits after a later-numbered one and one made while the connection was lost. From [`Cursor::start`] it returns all
    /// that are still kept (see [`purge`](crate::store::SessionStore::purge)).
    fn revocations_since(
        &self,
        cursor: Cursor,
        wait: Duration,
    ) -> impl Future<Output = Result<RevocationPage, StoreError>> + Send;
}

/// A place in a store's revocation log. Opaque: only the store that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor(Option<Box<str>>);

impl Cursor {
    /// Before everything that the store still keeps.
    pub const fn start() -> Self {
        Self(None)
    }

    /// The place that the store calls `place`.
    pub fn at(place: impl Into<Box<str>>) -> Self {
        Self(Some(place.into()))
    }

    /// The store's name of the place, or `None` at the start.
    pub fn place(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// One entry of the revocation log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "third-party stores build it")]
pub struct RevocationEvent {
    /// What ended.
    pub what: Revoked,
    /// When, by the store's clock.
    pub at: Timestamp,
}

/// What an entry of the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a reader that skipped a kind would accept revoked tokens"
)]
pub enum Revoked {
    /// One session.
    Session(SessionId),
    /// Every session that the subject had at that moment, but one.
    Subject {
        /// Whose.
        subject: SubjectKey,
        /// The session that goes on.
        keep: Option<SessionId>,
    },
}

/// A stretch of the revocation log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "third-party stores build it")]
pub struct RevocationPage {
    /// The entries, oldest first.
    pub entries: Vec<RevocationEvent>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Whether this reached the log's end: the reader now knows all that was committed when the call was answered.
    pub complete: bool,
    /// The store's time when the log was read.
    pub now: Timestamp,
}
