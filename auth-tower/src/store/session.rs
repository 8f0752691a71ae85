//! What a session store offers: atomic steps on sessions.

use std::future::Future;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{SessionId, Subject};
use crate::session::{ClientInfo, EndReason, Lifetime, SessionRecord};
use crate::store::error::StoreError;
use crate::store::feed::RevocationFeed;

/// A place where sessions live.
///
/// # Contract
///
/// * **Atomic.** Every method is one atomic step: concurrent callers, in this process or another, see all of it or none.
///   [`advance`](Self::advance), [`end`](Self::end) and [`end_all`](Self::end_all) are atomic *to each other*: after an
///   `end` has returned, no `advance` of that session succeeds.
/// * **Durable.** What returned `Ok` survives a crash of the process. A lost `advance` is repaired by the rules and a lost
///   `acknowledge` only delays a detection; a lost `end` is a vulnerability, so an `end` must also survive a power cut.
/// * **Monotone.** Once ended, a session stays ended until it is purged, and a purged one is never found again.
/// * **Boundaries.** A session is over at the very millisecond of its deadline (`now >= expires_at`).
/// * **Secrets.** A store is never given a token or a secret; [`SessionId`] is a hash and may be logged.
/// * **Cancellation.** A dropped future may have taken effect or not, but never half.
///
/// A method that cannot tell whether it took effect returns an error; the engine then answers 503, keeps every cookie, and
/// the rules sort out the client's retry. The engine gives every call a deadline, which the store can read with
/// [`deadline`](crate::store::deadline()).
///
/// The suite in [`conformance`](crate::store) (feature `conformance`) checks all of this.
pub trait SessionStore: RevocationFeed {
    /// Begins a session at the store's present time, in the subject's present epoch (see [`end_all`](Self::end_all)).
    ///
    /// Refused, with nothing changed, are an id that is already in use and one that does not carry its subject's routing
    /// bytes ([`NewSession::check`]).
    ///
    /// # Errors
    /// [`StoreError::Full`] if a bounded store has no room: it never evicts a live session.
    fn create(&self, session: NewSession) -> impl Future<Output = Result<SessionRecord, StoreError>> + Send;

    /// Reads a session, over or not. `None` if there never was one, or it was purged.
    fn find(&self, id: SessionId) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// Moves a session to its next generation if every condition of `step` holds, in **one** round trip.
    ///
    /// Returns the record as it was *before* the step, the time the conditions were judged at, and whether the step was
    /// taken. A session that is over is never advanced. When the step is taken, the record afterwards has
    /// `rotation.rotate(step.confirmed, step.current, now)`, `last_seen_at = now` and
    /// `idle_expires_at = min(now + step.idle, absolute_expires_at)`.
    ///
    /// Taking a step whose conditions do not hold is a vulnerability (two lines of succession); not taking one whose
    /// conditions hold, because another caller was faster, is normal.
    fn advance(
        &self,
        id: SessionId,
        step: Advance,
    ) -> impl Future<Output = Result<Option<Advanced>, StoreError>> + Send;

    /// Notes that a client holds these generations: for each acknowledgement whose generation is the live session's current
    /// one and unseen, sets `seen` and `last_seen_at = now`. Other acknowledgements are ignored. Idempotent. Each
    /// acknowledgement is a step of its own.
    fn acknowledge(
        &self,
        acknowledgements: Vec<Acknowledgement>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a session and appends it to the feed, if it was not over yet. Returns the record as it was before, if the
    /// session is known. Idempotent; the first reason stays.
    ///
    /// An expired session counts as over: its reason is not set and nothing is appended. One that cannot be read is appended all
    /// the same, for the sake of the access tokens that it gave out, and answered with [`StoreError::Corrupt`].
    fn end(&self, id: SessionId, reason: EndReason) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// Ends every live session of a subject, except `keep`, in one round trip and with **one** feed entry, whatever their
    /// number. Sessions created later are not touched.
    ///
    /// The entry is written also when none was live: another instance may hold a token of a session that this store lost.
    /// `keep` is honoured only if it names a live session of this subject, and is in the entry only then; it never brings
    /// an ended session back. `reason` is for people who inspect the store; it is not part of the records.
    ///
    /// Cheap by an epoch: a session belongs to the epoch its subject had when it began, and is live only in that one; the
    /// kept session moves to the new epoch. Records of an earlier epoch read as [`EndReason::AllEnded`].
    fn end_all(
        &self,
        subject: &Subject,
        keep: Option<SessionId>,
        reason: EndReason,
    ) -> impl Future<Output = Result<AllEnded, StoreError>> + Send;

    /// The subject's sessions that are live, oldest first, at most `limit` of them (the newest ones).
    fn list(
        &self,
        subject: &Subject,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<SessionRecord>, StoreError>> + Send;

    /// Removes sessions that have been over for longer than `retention.sessions`, and feed entries older than
    /// `retention.revocations`: at most 1,000 rows a call, so that no request waits long for it. Returns how many rows were removed; the
    /// caller comes again while there are some.
    ///
    /// A session ended before its deadline counts from its revocation, and one that expired from its deadline.
    fn purge(&self, retention: Retention) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// A session about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "third-party stores and their tests build it")]
pub struct NewSession {
    /// The session's public name, derived from its secret.
    pub id: SessionId,
    /// Who signed in.
    pub subject: Subject,
    /// The OAuth client.
    pub client_id: Box<str>,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// What signed in.
    pub client: ClientInfo,
}

/// A record and the moment it was read at, by the store's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "third-party stores build it")]
pub struct Found {
    /// The session.
    pub record: SessionRecord,
    /// The store's time.
    pub now: Timestamp,
}

impl NewSession {
    /// Whether the id leads to the shard that [`SessionStore::end_all`] and [`SessionStore::list`] look in: its routing
    /// bytes are its subject's. Every [`SessionStore::create`] asks first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if they are not.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.id.routing() == self.subject.key().routing() {
            Ok(())
        } else {
            Err(StoreError::Corrupt(
                "the session id does not carry its subject's routing bytes",
            ))
        }
    }
}

/// One step of the generation counter, and the conditions under which it may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "third-party stores read every field")]
pub struct Advance {
    /// The step is taken only if the session's `current` is this.
    pub expected: u32,
    /// The step is taken only if `seen` is this, where it is given.
    pub expected_seen: Option<bool>,
    /// The step is not taken while the last rotation is at most this far away from now, either way
    /// ([`Rotation::settled_for_at_most`](crate::session::rotation::Rotation::settled_for_at_most)). Zero holds nothing back.
    pub unless_within: Duration,
    /// The generation that becomes `confirmed`.
    pub confirmed: u32,
    /// The generation that becomes `current`.
    pub current: u32,
    /// The idle lifetime that begins anew.
    pub idle: Duration,
}

impl Advance {
    /// Whether a live `record` meets the conditions at `now`. A store that cannot run code inside its transaction writes
    /// the same three comparisons in its own language.
    pub fn allowed(&self, record: &SessionRecord, now: Timestamp) -> bool {
        record.status(now).is_none()
            && record.rotation.current == self.expected
            && self.expected_seen.is_none_or(|seen| seen == record.rotation.seen)
            && !record.rotation.settled_for_at_most(self.unless_within, now)
    }

    /// The record after the step.
    pub fn apply(&self, record: &mut SessionRecord, now: Timestamp) {
        record.rotation.rotate(self.confirmed, self.current, now);
        record.last_seen_at = now;
        record.idle_expires_at = (now + self.idle).min(record.absolute_expires_at);
    }
}

/// What [`SessionStore::advance`] saw and did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "third-party stores build it")]
pub struct Advanced {
    /// The session as it was before the step.
    pub before: SessionRecord,
    /// Whether the step was taken.
    pub taken: bool,
    /// The store's time at which that was decided.
    pub now: Timestamp,
}

/// What [`SessionStore::end_all`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "third-party stores build it")]
pub struct AllEnded {
    /// How many sessions were live until then.
    pub ended: u64,
    /// When, by the store's clock: the time of the feed's entry.
    pub at: Timestamp,
}

/// A generation that a client was seen to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a pair")]
pub struct Acknowledgement {
    /// The session.
    pub id: SessionId,
    /// The generation.
    pub generation: u32,
}

/// For how long a store remembers what is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "third-party stores read it")]
pub struct Retention {
    /// Sessions that are over: long enough to tell their clients why.
    pub sessions: Duration,
    /// Entries of the revocation log: longer than any access token lives.
    pub revocations: Duration,
}
