//! Sessions in Redis, Valkey or Redis Cluster.
//!
//! A session is one packed string under its own key, and stands in an index of its subject by its deadline. A session is live
//! while it is in that index: `end_all` drops the index as a whole, whatever its size, and leaves all sessions in it behind. A
//! lost index therefore signs out, and never brings a session back.

#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

mod address;
mod connection;
mod error;
mod feed;
mod inner;
mod keys;
mod list;
mod open;
mod options;
mod records;
mod replicas;
mod replies;
mod scripts;
mod time;
mod waiters;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::Value;
use tokio::time::Instant;

use self::inner::Inner;
use self::keys::{PARTS, own};
use self::replies::Seen;
use self::time::millis;
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
/// * Keys begin with a prefix (`auth:`); the store touches no others. Redis forgets sessions that are over by itself.
/// * On a cluster the sessions lie in 16 slots, spread evenly, each with its own revocation log. While a slot is being moved
///   by `CLUSTER SETSLOT`, its sessions may be answered with [`StoreError::Unavailable`] until it has arrived.
/// * Every call has the deadline of the [`Auth`](crate::Auth) that makes it, and 2 s outside of one. The next call replaces a
///   lost connection. While the server is away, calls fail at once, and one of them tries the server again every half second
///   at most.
///
/// # What Redis must be told
///
/// The store's promises are as good as the server's memory of what it has acknowledged:
///
/// * `appendonly yes` with `appendfsync always`, and nothing that was answered is lost by a crash or a power cut.
///   With `everysec`, the default, a power cut may take the last second with it, and a crash of the process nothing. Without an append-only
///   file a restart signs people out and may bring ended sessions back: connecting warns.
/// * A replica that is promoted may lack the last writes. A lost rotation is repaired by the rules; a lost sign-in has to be
///   repeated; **a lost revocation is a session that lives again**. [`RedisOptions::with_replicas`] makes revocations wait for
///   replicas, which makes such a loss unlikely, though not impossible: a replica that has it must be the one that is
///   promoted. Instances that read the revocation from the log refuse the session for as long as its access tokens live.
/// * `min-replicas-to-write 1` and `min-replicas-max-lag 10` stop a primary that was cut off from answering for long.
/// * `maxmemory-policy noeviction`, or no `maxmemory`: a server that evicts keys forgets sessions and revocations at will, so
///   connecting refuses such a server.
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
/// An address without a server is refused with a reason:
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

/// How many acknowledgements of one call are under way at once.
const ACKNOWLEDGED_AT_ONCE: usize = 64;

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

    async fn acknowledge(&self, acknowledgements: Vec<Acknowledgement>) -> Result<(), StoreError> {
        let inner = &*self.0;
        let calls = acknowledgements.into_iter().map(async |one| {
            let call = inner.call_on(&scripts::ACKNOWLEDGE, &one.id, &[]).arg(one.generation);
            match inner.connection.call_beside(&call).await {
                // The other sessions are sound, and a caller that asks for this one gets the error.
                Err(StoreError::Corrupt(_)) => Ok(()),
                answer => answer.map(drop),
            }
        });
        stream::iter(calls)
            .buffer_unordered(ACKNOWLEDGED_AT_ONCE)
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
        // A session of another subject is not kept. Its key may lie in another slot.
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
