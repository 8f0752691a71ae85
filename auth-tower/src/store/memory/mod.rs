//! Sessions in this process's memory.

mod feed;
mod shard;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{array, fmt};

use parking_lot::Mutex;

use self::feed::Log;
use self::shard::Shard;
use super::PURGE_BATCH;
use super::error::StoreError;
use super::feed::{Cursor, RevocationPage, Revoked};
use super::session::{Acknowledgement, Advance, Advanced, AllEnded, Found, NewSession, Retention, SessionStore};
use crate::clock::{Clock, Timestamp};
use crate::id::{SessionId, Subject};
use crate::session::{EndReason, SessionRecord};
use crate::store::feed::RevocationFeed;

const SHARDS: usize = 64;

/// Rows handled while one shard's lock is held; bounds how long a purge can keep a request waiting.
const ROWS_PER_LOCK: usize = 128;

/// Sessions in this process's memory: gone when it stops, and unknown to every other process.
///
/// Good for tests, for trying things out, and for one instance whose users may be asked to sign in again. Clones share
/// their sessions. It holds at most [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) of them, and never drops a live one to
/// make room.
///
/// ```
/// use auth_tower::MemoryStore;
///
/// let store = MemoryStore::new().with_capacity(10_000);
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    clock: Clock,
    capacity: AtomicUsize,
    len: AtomicUsize,
    /// Where the next purge begins, so that every shard gets its turn.
    next: AtomicUsize,
    shards: [Mutex<Shard>; SHARDS],
    log: Log,
}

impl MemoryStore {
    /// The number of sessions held unless [`with_capacity`](Self::with_capacity) says otherwise.
    pub const DEFAULT_CAPACITY: usize = 1_000_000;

    /// An empty store on the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// An empty store on `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            capacity: AtomicUsize::new(Self::DEFAULT_CAPACITY),
            len: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            shards: array::from_fn(|_| Mutex::default()),
            log: Log::default(),
        }))
    }

    /// Holds at most this many sessions, for all clones. One more is [`StoreError::Full`], unless room can be made by
    /// forgetting sessions that are over.
    #[must_use]
    pub fn with_capacity(self, sessions: usize) -> Self {
        self.0.capacity.store(sessions, Ordering::Relaxed);
        self
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("sessions", &self.0.len.load(Ordering::Relaxed))
            .field("capacity", &self.0.capacity.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn shard(&self, routing: [u8; 2]) -> &Mutex<Shard> {
        let [first, second] = routing;
        #[expect(clippy::indexing_slicing, reason = "a remainder of the array's length")]
        &self.shards[usize::from(u16::from_be_bytes([first, second])) % SHARDS]
    }

    fn reserve(&self) -> bool {
        let capacity = self.capacity.load(Ordering::Relaxed);
        self.len
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |len| {
                (len < capacity).then_some(len + 1)
            })
            .is_ok()
    }

    /// Forgets at most `budget` sessions that were over before `cutoff`.
    fn sweep(&self, now: Timestamp, cutoff: Timestamp, budget: usize) -> usize {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let mut removed = 0;
        for shard in self.shards.iter().cycle().skip(first).take(SHARDS) {
            loop {
                let room = ROWS_PER_LOCK.min(budget.saturating_sub(removed));
                if room == 0 {
                    break;
                }
                let (gone, more) = shard.lock().purge(now, cutoff, room);
                self.len.fetch_sub(gone, Ordering::Relaxed);
                removed += gone;
                if !more {
                    break;
                }
            }
        }
        removed
    }
}

impl RevocationFeed for MemoryStore {
    async fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Result<RevocationPage, StoreError> {
        self.0.log.read(&cursor, wait, &self.0.clock).await
    }
}

impl SessionStore for MemoryStore {
    async fn create(&self, session: NewSession) -> Result<SessionRecord, StoreError> {
        session.check()?;
        let inner = &*self.0;
        let now = inner.clock.now();
        if !inner.reserve() {
            // Sessions that are over may go early: their clients lose the reason, and no client loses a session.
            inner.sweep(now, now + Duration::from_millis(1), PURGE_BATCH);
            if !inner.reserve() {
                return Err(StoreError::Full);
            }
        }
        let key = session.subject.key();
        let mut shard = inner.shard(key.routing()).lock();
        let now = inner.clock.now();
        let record = SessionRecord::begin(
            session.id,
            session.subject,
            session.client_id,
            session.lifetime,
            session.client,
            now,
        );
        let inserted = shard.insert(key, record.clone());
        drop(shard);
        if inserted {
            Ok(record)
        } else {
            inner.len.fetch_sub(1, Ordering::Relaxed);
            Err(StoreError::Corrupt("the session id is already in use"))
        }
    }

    async fn find(&self, id: SessionId) -> Result<Option<Found>, StoreError> {
        let shard = self.0.shard(id.routing()).lock();
        let now = self.0.clock.now();
        Ok(shard.find(&id).map(|record| Found { record, now }))
    }

    async fn advance(&self, id: SessionId, step: Advance) -> Result<Option<Advanced>, StoreError> {
        let mut shard = self.0.shard(id.routing()).lock();
        let now = self.0.clock.now();
        Ok(shard
            .advance(&id, &step, now)
            .map(|(before, taken)| Advanced { before, taken, now }))
    }

    async fn acknowledge(&self, acknowledgements: Vec<Acknowledgement>) -> Result<(), StoreError> {
        for one in acknowledgements {
            let mut shard = self.0.shard(one.id.routing()).lock();
            let now = self.0.clock.now();
            shard.acknowledge(&one, now);
        }
        Ok(())
    }

    async fn end(&self, id: SessionId, reason: EndReason) -> Result<Option<Found>, StoreError> {
        let mut shard = self.0.shard(id.routing()).lock();
        let now = self.0.clock.now();
        let Some((record, ended)) = shard.end(&id, reason, now) else {
            return Ok(None);
        };
        if ended {
            // Under the shard's lock, so that no caller sees the revocation before it is in the log.
            self.0.log.append(Revoked::Session(id), now);
        }
        Ok(Some(Found { record, now }))
    }

    async fn end_all(
        &self,
        subject: &Subject,
        keep: Option<SessionId>,
        _reason: EndReason,
    ) -> Result<AllEnded, StoreError> {
        let key = subject.key();
        let mut shard = self.0.shard(key.routing()).lock();
        let now = self.0.clock.now();
        let keep = keep.filter(|id| shard.is_live_of(id, &key, now));
        let epoch = self.0.log.append(Revoked::Subject { subject: key, keep }, now);
        Ok(AllEnded {
            ended: shard.end_all(key, keep, epoch, now),
            at: now,
        })
    }

    async fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        let key = subject.key();
        let shard = self.0.shard(key.routing()).lock();
        let now = self.0.clock.now();
        Ok(shard.list(&key, limit, now))
    }

    async fn purge(&self, retention: Retention) -> Result<u64, StoreError> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let entries = inner.log.purge(now - retention.revocations, PURGE_BATCH / 2);
        let sessions = inner.sweep(now, now - retention.sessions, PURGE_BATCH - entries);
        Ok(u64::try_from(entries + sessions).unwrap_or(u64::MAX))
    }
}
