//! Sessions in Redis, Valkey or Redis Cluster.
//!
//! A session is one packed string under its own key, and stands in an index of its subject by its deadline. It lives while it
//! is in that index: `end_all` drops the index as a whole, whatever its size, and all that stood in it is left behind. A lost
//! index therefore signs out, and never brings anything back.
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

mod address;
mod connection;
mod error;
mod feed;
mod keys;
mod list;
mod open;
mod options;
mod records;
mod replicas;
mod replies;
mod scripts;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::Value;
use tokio::time::{Instant, timeout};

use self::connection::Connection;
use self::keys::{Keys, PARTS};
use self::options::{ClockOffset, Remembered, millis};
use self::replicas::Replicas;
use self::replies::{Left, Seen};
use self::scripts::{Call, Step};
use super::FEED_PAGE;
use super::error::StoreError;
use super::feed::{Cursor, RevocationPage};
use super::session::{Acknowledgement, Advance, Advanced, AllEnded, Found, NewSession, Retention, SessionStore};
use crate::id::{SessionId, Subject};
use crate::session::{EndReason, Lifetime, SessionRecord};
use crate::store::feed::RevocationFeed;

pub use self::options::RedisOptions;

/// Sessions in Redis, Valkey or Redis Cluster, shared by all instances that connect to it.
///
/// * Every step is one script and one round trip, and is judged by the server's clock; a cluster is asked twice for a
///   session that `end_all` left behind. `end_all` costs the same for one session as for 100,000.
/// * Keys begin with a prefix (`auth:`); the store touches no others. Redis forgets what is over by itself.
/// * On a cluster the sessions lie in 16 slots, spread evenly, each with its own log of endings. While a slot is being moved
///   by `CLUSTER SETSLOT`, its sessions may be answered with [`StoreError::Unavailable`] until it has arrived.
/// * Every call has a deadline (2 s unless [`RedisOptions::with_deadline`] says otherwise). A lost connection is replaced by
///   the next call that needs it; while the server is away, calls fail at once, and the server is tried again every half
///   second at most.
///
/// # What Redis must be told
///
/// The store's promises are as good as the server's memory of what it has acknowledged:
///
/// * `appendonly yes` with `appendfsync always`, and nothing that was answered is lost by a crash or a power cut.
///   With `everysec`, the default, a power cut may take the last second with it, and a crash of the process nothing. Without an append-only
///   file a restart signs people out and may bring ended sessions back: connecting warns.
/// * A replica that is promoted may lack the last writes. A lost rotation is healed by the rules; a lost sign-in has to be
///   repeated; **a lost ending is a session that lives again**. [`RedisOptions::with_replicas`] makes endings wait for
///   replicas, which makes such a loss unlikely, though not impossible: a replica that has it must be the one that is
///   promoted. Instances that read the ending from the log refuse the session for as long as its access tokens live.
/// * `min-replicas-to-write 1` and `min-replicas-max-lag 10` stop a primary that was cut off from answering for long.
/// * `maxmemory-policy noeviction`, or no `maxmemory`: a server that evicts keys forgets sessions and endings at will, so
///   connecting refuses it.
///
/// So: `appendonly yes`, `appendfsync always` (or `everysec` with a replica and `with_replicas(1)`), `noeviction`.
///
/// # Example
///
/// Needs a server, so it is compiled only:
///
/// ```no_run
/// # async fn open() -> Result<(), auth_tower::store::StoreError> {
/// use auth_tower::RedisStore;
///
/// let store = RedisStore::connect("redis://localhost").await?;
/// let cluster = RedisStore::connect("rediss+cluster://user:password@10.0.0.1:7000,10.0.0.2:7000").await?;
/// # Ok(())
/// # }
/// ```
///
/// What nobody listens at is refused in words:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use auth_tower::RedisStore;
/// use auth_tower::store::StoreError;
///
/// let refused = RedisStore::connect("redis://127.0.0.1:1").await;
/// assert!(matches!(refused, Err(StoreError::Open { .. })));
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    connection: Connection,
    /// Those that must have an ending before it is answered.
    replicas: Option<Arc<Replicas>>,
    keys: Keys,
    remembered: Remembered,
    clock_offset: ClockOffset,
    waiters: feed::Waiters,
}

/// How many marks of one call are under way at once.
const MARKS_AT_ONCE: usize = 64;

impl RedisStore {
    /// Connects to `redis://`, `rediss://` (TLS), `redis+cluster://` or `rediss+cluster://`, followed by
    /// `user:password@host:port/database`; a cluster may name several hosts, separated by commas. A `?prefix=` chooses the
    /// prefix of the keys.
    ///
    /// # Errors
    /// [`StoreError::Open`] with a reason that a person can act on, after 5 s at most.
    pub async fn connect(address: impl AsRef<str>) -> Result<Self, StoreError> {
        RedisOptions::new().connect(address).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// What is particular to an id among those that share its routing bytes.
fn own(id: &SessionId) -> &[u8] {
    id.as_bytes().split_at(2).1
}

impl Inner {
    /// A call that begins with the clock's clock_offset and the retention, as nearly all do.
    fn call(&self, step: &'static Step, keys: &[&str]) -> Call {
        step.on(keys)
            .arg(self.clock_offset.millis())
            .arg(self.remembered.millis())
    }

    /// A call on one session.
    fn call_on(&self, step: &'static Step, id: &SessionId, more_keys: &[&str]) -> Call {
        let session = self.keys.session(id);
        let mut keys = vec![&*session];
        keys.extend_from_slice(more_keys);
        self.call(step, &keys).arg(self.keys.base(id.routing())).arg(own(id))
    }

    /// Asks for a session; `call` is given the keys to add to those of the step.
    ///
    /// That it is not in its subject's index is believed only of a script that was given the index as a key: of other keys a
    /// cluster does not say that they have left with their slot, or are yet to come.
    async fn seen(&self, id: SessionId, call: impl Fn(&[&str]) -> Call) -> Result<Option<Seen>, StoreError> {
        let ask = async |call: Call| replies::seen(id, &self.connection.call(&call).await?);
        let asked = async {
            let seen = ask(call(&[])).await?;
            let Some(doubtful) = seen.as_ref().filter(|seen| seen.left != Left::No) else {
                return Ok(seen);
            };
            if !self.connection.opener().is_cluster() {
                return Ok(seen);
            }
            let subject = &doubtful.record.subject;
            ask(call(&[&self.keys.index(subject), &self.keys.epochs(subject)])).await
        };
        let seen = timeout(self.connection.deadline(), asked).await;
        let seen = seen.unwrap_or(Err(StoreError::Timeout))?;
        Ok(seen.filter(|seen| seen.left != Left::Forgotten))
    }

    /// Waits for the replicas, if that is wanted; the ending is in force whatever comes of it.
    async fn replicated(&self, routing: [u8; 2], until: Instant) -> Result<(), StoreError> {
        match &self.replicas {
            Some(replicas) => replicas.have_all(routing, until).await,
            None => Ok(()),
        }
    }
}

impl RevocationFeed for RedisStore {
    async fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Result<RevocationPage, StoreError> {
        feed::revocations_since(&self.0, cursor, wait).await
    }
}

impl SessionStore for RedisStore {
    async fn create(&self, session: NewSession) -> Result<SessionRecord, StoreError> {
        session.check()?;
        let inner = &*self.0;
        let tail = records::tail(&session)?;
        let keys = [
            inner.keys.session(&session.id),
            inner.keys.index(&session.subject),
            inner.keys.epochs(&session.subject),
        ];
        let lifetime = Lifetime {
            idle: Duration::from_millis(millis(session.lifetime.idle)),
            absolute: Duration::from_millis(millis(session.lifetime.absolute)),
        };
        let call = inner
            .call(&scripts::CREATE, &keys.each_ref().map(String::as_str))
            .arg(own(&session.id))
            .arg(millis(lifetime.idle))
            .arg(millis(lifetime.absolute))
            .arg(tail);
        match inner.connection.call(&call).await? {
            Value::Nil => Err(StoreError::Corrupt("the session id is already in use")),
            now => Ok(SessionRecord::begin(
                session.id,
                session.subject,
                session.client_id,
                lifetime,
                session.client,
                replies::moment(&now)?,
            )),
        }
    }

    async fn find(&self, id: SessionId) -> Result<Option<Found>, StoreError> {
        let inner = &*self.0;
        let find = |more: &[&str]| inner.call_on(&scripts::FIND, &id, more);
        let seen = inner.seen(id, find).await?;
        Ok(seen.map(Seen::found))
    }

    async fn advance(&self, id: SessionId, step: Advance) -> Result<Option<Advanced>, StoreError> {
        let inner = &*self.0;
        let session = inner.keys.session(&id);
        let packed = records::step(inner.clock_offset.millis(), inner.remembered.millis(), &id, &step);
        let advance = |more: &[&str]| {
            scripts::ADVANCE
                .on(&[&[&*session], more].concat())
                .arg(inner.keys.base(id.routing()))
                .arg(&packed[..])
        };
        let seen = inner.seen(id, advance).await?;
        Ok(seen.map(|seen| Advanced {
            before: seen.record,
            taken: seen.taken,
            now: seen.now,
        }))
    }

    async fn acknowledge(&self, marks: Vec<Acknowledgement>) -> Result<(), StoreError> {
        let inner = &*self.0;
        let calls = marks.into_iter().map(async |mark| {
            let call = inner.call_on(&scripts::MARK_SEEN, &mark.id, &[]).arg(mark.generation);
            match inner.connection.call_beside(&call).await {
                // The others are as good as ever, and who asks for this one is told.
                Err(StoreError::Corrupt(_)) => Ok(()),
                answer => answer.map(drop),
            }
        });
        stream::iter(calls)
            .buffer_unordered(MARKS_AT_ONCE)
            .try_collect::<()>()
            .await
    }

    async fn end(&self, id: SessionId, reason: EndReason) -> Result<Option<Found>, StoreError> {
        let inner = &*self.0;
        let until = Instant::now() + inner.connection.deadline();
        let feed = inner.keys.feed(id.routing());
        let end = |more: &[&str]| {
            inner
                .call_on(&scripts::END, &id, &[&[&*feed], more].concat())
                .arg(reason.code())
                .arg(id.to_string())
        };
        let seen = inner.seen(id, end).await?;
        inner.replicated(id.routing(), until).await?;
        Ok(seen.map(Seen::found))
    }

    async fn end_all(
        &self,
        subject: &Subject,
        keep: Option<SessionId>,
        reason: EndReason,
    ) -> Result<AllEnded, StoreError> {
        let inner = &*self.0;
        let until = Instant::now() + inner.connection.deadline();
        let key = subject.key();
        let mut keys = vec![
            inner.keys.index(subject),
            inner.keys.epochs(subject),
            inner.keys.feed(key.routing()),
        ];
        // Somebody else's session is not kept; its key may lie in another slot.
        let keep = keep.filter(|id| id.routing() == key.routing());
        keys.extend(keep.map(|id| inner.keys.session(&id)));
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut call = inner
            .call(&scripts::END_ALL, &keys)
            .arg(subject.as_str())
            .arg(key.to_string())
            .arg(reason.code());
        if let Some(id) = keep {
            call = call.arg(own(&id)).arg(id.to_string());
        }
        let ended = replies::all_ended(&inner.connection.call(&call).await?)?;
        inner.replicated(key.routing(), until).await?;
        Ok(ended)
    }

    async fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        self.0.list(subject, limit).await
    }

    /// Redis forgets sessions by itself; only the log has to be trimmed.
    async fn purge(&self, retention: Retention) -> Result<u64, StoreError> {
        const SHARE: usize = FEED_PAGE / PARTS;
        let inner = &*self.0;
        inner.remembered.set(retention);
        let feeds = inner.keys.feeds();
        let trimmed = try_join_all(feeds.iter().map(async |feed| {
            let call = scripts::TRIM_FEED
                .on(&[feed])
                .arg(inner.clock_offset.millis())
                .arg(millis(retention.revocations))
                .arg(SHARE);
            replies::number(&inner.connection.call_beside(&call).await?)
        }))
        .await?;
        Ok(trimmed.into_iter().map(|rows| u64::try_from(rows).unwrap_or(0)).sum())
    }
}
