//! How a database is used.

use std::time::Duration;

use crate::config::defaults;

/// Settings of a [`PostgresStore`](super::PostgresStore), for applications that need other than the defaults.
///
/// ```no_run
/// # async fn open() -> Result<(), auth_tower::store::StoreError> {
/// use auth_tower::Migrations;
/// use auth_tower::PostgresOptions;
///
/// let store = PostgresOptions::new()
///     .with_schema("sign_in")
///     .with_connections(32)
///     .with_migrations(Migrations::ByHand)
///     .connect("postgres://app@db.internal/app?sslmode=verify-full")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct PostgresOptions {
    pub(super) connections: usize,
    pub(super) queue: usize,
    pub(super) deadline: Duration,
    pub(super) schema: Box<str>,
    pub(super) migrations: Migrations,
    pub(super) rotations: RotationDurability,
    pub(super) proxy: PoolerMode,
    pub(super) polling: Option<Duration>,
}

/// What brings the tables up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Migrations {
    /// The store, when it is opened. Any number of instances may start at once.
    #[default]
    AtStart,
    /// A person or another tool, with the files in `migrations/postgres` of this crate. Tables that are missing or old are an
    /// error; the store's user needs no privilege but those on the tables and functions.
    ByHand,
}

/// What a rotation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RotationDurability {
    /// As the server's `synchronous_commit` says: for its disk, unless told otherwise.
    #[default]
    AsTheServer,
    /// For nothing, which allows several times as many a second. A crash of the server may lose the rotations of the last
    /// moment, which the rotation rules repair. Revocations wait for the disk all the same.
    Relaxed,
}

/// What is between the store and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PoolerMode {
    /// Nothing, or a proxy that keeps a connection to the server for each of ours.
    #[default]
    None,
    /// A proxy that hands each transaction to another connection, such as PgBouncer with `pool_mode = transaction`: nothing is
    /// prepared, and the revocation log is polled. Set the proxy's `query_timeout` to a few seconds.
    TransactionPooling,
}

impl PostgresOptions {
    /// 10 connections, up to 1,024 waiting calls, the schema `auth`, migrated at start, revocations followed by `LISTEN`.
    pub fn new() -> Self {
        Self {
            connections: 10,
            queue: 1_024,
            deadline: defaults::STORE_DEADLINE,
            schema: "auth".into(),
            migrations: Migrations::AtStart,
            rotations: RotationDurability::AsTheServer,
            proxy: PoolerMode::None,
            polling: None,
        }
    }

    /// At most this many connections for calls: 1 at least, 10 by default. Two more follow the revocation log, so that
    /// revocations arrive however busy the other connections are: one listens, one reads. A pool of the application's has
    /// its own limit.
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.clamp(1, 10_000);
        self
    }

    /// How many calls may wait for a connection: 1 at least, 1,024 by default. One more fails at once with
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable).
    pub fn with_queue(mut self, calls: usize) -> Self {
        self.queue = calls.clamp(1, 1_000_000);
        self
    }

    /// How long a call may take that comes from outside of an [`Auth`](crate::Auth): for tests, whose calls come from there.
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(Duration::from_millis(10), Duration::from_secs(60));
        self
    }

    /// The schema that holds the tables; `auth` by default. A plain name: `a` to `z`, `0` to `9` and `_`, at most 48, not
    /// beginning with a digit or `pg_`; connecting with another one is an error.
    pub fn with_schema(mut self, schema: impl Into<Box<str>>) -> Self {
        self.schema = schema.into();
        self
    }

    /// What brings the tables up to date; the store at start by default.
    pub fn with_migrations(mut self, by: Migrations) -> Self {
        self.migrations = by;
        self
    }

    /// What a rotation waits for; the disk by default.
    pub fn with_rotations(mut self, rotations: RotationDurability) -> Self {
        self.rotations = rotations;
        self
    }

    /// What is between the store and the server; nothing by default.
    pub fn with_proxy(mut self, proxy: PoolerMode) -> Self {
        self.proxy = proxy;
        self
    }

    /// Follows revocations by polling at this interval, 10 ms at least and 1 s at most, instead of by `LISTEN`, which takes a
    /// connection of its own. Every 100 ms is the default behind a [`PoolerMode::TransactionPooling`].
    pub fn with_polling(mut self, every: Duration) -> Self {
        self.polling = Some(every.clamp(Duration::from_millis(10), Duration::from_secs(1)));
        self
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::new()
    }
}
