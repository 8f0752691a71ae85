//! Sessions in PostgreSQL.
//!
//! Every call is one function of the migrations: one statement, one transaction, one round trip. Atomicity is the functions'
//! part. This module carries calls and reads rows as records.

mod backend;
mod connection;
mod error;
mod feed;
mod functions;
mod migrate;
mod open;
mod options;
mod outage;
mod pool;
mod rows;
mod schema;
mod source;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::feed::Feed;
use self::functions::{ACKNOWLEDGE, ADVANCE, Argument, CREATE, END, END_ALL, FIND, LIST, PURGE};
use self::pool::Pool;
use self::rows::Row;
use super::error::StoreError;
use super::feed::{Cursor, RevocationPage};
use super::session::{Acknowledgement, Advance, Advanced, AllEnded, Found, NewSession, Retention, SessionStore};
use crate::clock::Timestamp;
use crate::id::{SessionId, Subject};
use crate::session::{EndReason, SessionRecord};
use crate::store::feed::RevocationFeed;

pub use self::options::{Migrations, PoolerMode, PostgresOptions, RotationDurability};

/// Sessions in PostgreSQL 13 or later, shared by all instances that connect to the database.
///
/// * The database may be the application's own: everything is in one schema, `auth` unless
///   [`PostgresOptions::with_schema`] says otherwise, with a history of its own migrations. They are run at start, by one
///   instance while the others wait, or by hand from the files in `migrations/postgres`.
/// * The time is the server's; instances whose clocks differ agree.
/// * A revocation is on the server's disk when it is answered, whatever its `synchronous_commit`. A rotation is as that setting
///   says (by default on disk too); the rotation rules repair one that was lost. Behind an asynchronous standby a failover can
///   lose the last revocations: use `synchronous_standby_names` where that matters.
/// * Revocations are followed by `LISTEN`, and polled every 500 ms besides, in case a notification is lost.
/// * Every call has the deadline of the [`Auth`](crate::Auth) that makes it, and 2 s outside of one. A call that finds too many
///   waiting, or that the server could not be reached a moment ago, fails at once. A connection that broke, or whose call was
///   given up, is closed and replaced, and the server is told to stop the call.
///
/// Clones share their connections, which are closed with the last of them.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_tower::store::StoreError> {
/// use auth_tower::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://app:secret@127.0.0.1/app").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    pool: Pool,
    /// The connections that read the revocation log, so that it does not wait behind the calls of a busy moment.
    following: Option<Pool>,
    feed: Feed,
    relaxed: bool,
}

impl PostgresStore {
    /// Connects to the database at `url` (`postgres://user:password@host:port/database`, with sqlx's parameters, such as
    /// `sslmode`) and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`] with a reason that a person can act on, after 5 s at the latest, if the database cannot be used:
    /// unreachable, not PostgreSQL, another password, no such database, read-only, tables of a newer version.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        PostgresOptions::new().connect(url).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("idle_connections", &self.0.pool.idle())
            .finish_non_exhaustive()
    }
}

impl RevocationFeed for PostgresStore {
    async fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Result<RevocationPage, StoreError> {
        let pool = self.0.following.as_ref().unwrap_or(&self.0.pool);
        self.0.feed.revocations_since(pool, cursor, wait).await
    }
}

impl SessionStore for PostgresStore {
    async fn create(&self, session: NewSession) -> Result<SessionRecord, StoreError> {
        session.check()?;
        let arguments = [
            id_of(session.id),
            Argument::Text(Some(session.subject.as_str().to_owned())),
            Argument::Bytes(session.subject.key().as_bytes().to_vec()),
            Argument::Text(Some(session.client_id.clone().into())),
            span(session.lifetime.idle),
            span(session.lifetime.absolute),
            Argument::Text(session.client.device.clone().map(Into::into)),
            Argument::Text(session.client.ip.map(|ip| ip.to_string())),
            Argument::Text(session.client.user_agent.clone().map(Into::into)),
        ];
        let rows = self.0.pool.call(CREATE, &arguments).await?;
        let begun: Option<i64> = rows::column(rows::only(&rows)?, 0)?;
        let now = begun.ok_or(StoreError::Corrupt("the session id is already in use"))?;
        Ok(SessionRecord::begin(
            session.id,
            session.subject,
            session.client_id,
            session.lifetime,
            session.client,
            Timestamp::from_millis(now),
        ))
    }

    async fn find(&self, id: SessionId) -> Result<Option<Found>, StoreError> {
        let rows = self.0.pool.call(FIND, &[id_of(id)]).await?;
        let row = rows::row(rows::only(&rows)?)?;
        Ok(row.map(|Row { record, now, .. }| Found { record, now }))
    }

    async fn advance(&self, id: SessionId, step: Advance) -> Result<Option<Advanced>, StoreError> {
        let arguments = [
            id_of(id),
            Argument::Number(step.expected.into()),
            Argument::Flag(step.expected_seen),
            span(step.unless_within),
            Argument::Number(step.confirmed.into()),
            Argument::Number(step.current.into()),
            span(step.idle),
            Argument::Flag(Some(self.0.relaxed)),
        ];
        let rows = self.0.pool.call(ADVANCE, &arguments).await?;
        let row = rows::row(rows::only(&rows)?)?;
        Ok(row.map(|Row { record, now, taken }| Advanced {
            before: record,
            taken,
            now,
        }))
    }

    async fn acknowledge(&self, acknowledgements: Vec<Acknowledgement>) -> Result<(), StoreError> {
        if acknowledgements.is_empty() {
            return Ok(());
        }
        let arguments = [
            Argument::Many(acknowledgements.iter().map(|one| one.id.as_bytes().to_vec()).collect()),
            Argument::Numbers(acknowledgements.iter().map(|one| one.generation.into()).collect()),
        ];
        self.0.pool.call(ACKNOWLEDGE, &arguments).await.map(drop)
    }

    async fn end(&self, id: SessionId, reason: EndReason) -> Result<Option<Found>, StoreError> {
        let arguments = [id_of(id), Argument::Small(reason.code().into())];
        let rows = self.0.pool.call(END, &arguments).await?;
        self.0.feed.tell();
        let row = rows::row(rows::only(&rows)?)?;
        Ok(row.map(|Row { record, now, .. }| Found { record, now }))
    }

    async fn end_all(
        &self,
        subject: &Subject,
        keep: Option<SessionId>,
        reason: EndReason,
    ) -> Result<AllEnded, StoreError> {
        let arguments = [
            Argument::Bytes(subject.key().as_bytes().to_vec()),
            // No session has an empty id.
            Argument::Bytes(keep.map_or(Vec::new(), |keep| keep.as_bytes().to_vec())),
            Argument::Small(reason.code().into()),
        ];
        let rows = self.0.pool.call(END_ALL, &arguments).await?;
        self.0.feed.tell();
        let row = rows::only(&rows)?;
        Ok(AllEnded {
            ended: u64::try_from(rows::column::<i64>(row, 0)?).unwrap_or(0),
            at: rows::moment(row, 1)?,
        })
    }

    async fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        let arguments = [
            Argument::Bytes(subject.key().as_bytes().to_vec()),
            Argument::Number(i64::try_from(limit).unwrap_or(i64::MAX)),
        ];
        let rows = self.0.pool.call(LIST, &arguments).await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            match rows::row(row) {
                Ok(Some(row)) if row.record.subject == *subject => records.push(row.record),
                // The subject's other sessions are sound.
                Ok(_) | Err(_) => {
                    tracing::error!(target: "auth_tower::store", "a damaged session was left out of a list");
                }
            }
        }
        Ok(records)
    }

    async fn purge(&self, retention: Retention) -> Result<u64, StoreError> {
        let arguments = [span(retention.sessions), span(retention.revocations)];
        loop {
            let rows = self.0.pool.call(PURGE, &arguments).await?;
            let row = rows::only(&rows)?;
            let removed = u64::try_from(rows::column::<i64>(row, 0)?).unwrap_or(0);
            // A portion can consist of sessions that were refreshed since they were queued. Then none is removed, although more may be due.
            if removed > 0 || !rows::column::<bool>(row, 1)? {
                return Ok(removed);
            }
        }
    }
}

fn id_of(id: SessionId) -> Argument {
    Argument::Bytes(id.as_bytes().to_vec())
}

/// Milliseconds, at most so many that the server can add them to a moment.
fn span(span: Duration) -> Argument {
    Argument::Number(i64::try_from(span.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4))
}
