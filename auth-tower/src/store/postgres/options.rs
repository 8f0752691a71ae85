//! How a database is connected to and used.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Error, PgPool};

use super::feed::Feed;
use super::functions::{Calls, Form};
use super::pool::{Pool, Source};
use super::schema::Schema;
use super::{Inner, PostgresStore, error, open};
use crate::store::error::StoreError;

/// How often a reader that is woken by `NOTIFY` looks all the same.
const GLANCE_WHEN_LISTENING: Duration = Duration::from_millis(500);

/// How often a reader looks that nobody wakes.
const GLANCE_WHEN_POLLING: Duration = Duration::from_millis(100);

/// How many connections read the log of endings.
const FOLLOWING: usize = 1;

/// What the driver understands of an address's parameters.
const UNDERSTOOD: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

const NOT_UNDERSTOOD: &str = "of parameters after a ? in its address only sslmode, sslrootcert, sslcert, sslkey, host, hostaddr, \
    port, dbname, user, password, application_name, options and statement-cache-capacity are understood";

/// The names of an address's parameters.
fn parameters(url: &str) -> impl Iterator<Item = &str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let named = query.split('&').filter(|parameter| !parameter.is_empty());
    named.map(|parameter| parameter.split_once('=').map_or(parameter, |(name, _)| name))
}

/// Settings of a [`PostgresStore`], for those who need other than the defaults.
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
    connections: usize,
    queue: usize,
    deadline: Duration,
    schema: Box<str>,
    migrations: Migrations,
    rotations: RotationDurability,
    proxy: PoolerMode,
    polling: Option<Duration>,
}

/// Who brings the tables up to date.
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
    /// For nothing: several times as many a second. A crash of the server may lose the last moment's, which the rotation rules
    /// heal; endings wait for the disk all the same.
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
    /// prepared, and the log of endings is polled. Set the proxy's `query_timeout` to a few seconds.
    TransactionPooling,
}

impl PostgresOptions {
    /// 10 connections, a deadline of 2 s, up to 1,024 waiting calls, the schema `auth`, migrated at start, endings followed by
    /// `LISTEN`.
    pub fn new() -> Self {
        Self {
            connections: 10,
            queue: 1_024,
            deadline: Duration::from_secs(2),
            schema: "auth".into(),
            migrations: Migrations::AtStart,
            rotations: RotationDurability::AsTheServer,
            proxy: PoolerMode::None,
            polling: None,
        }
    }

    /// At most this many connections for calls: 1 at least, 10 by default. Two more follow the endings, so that they are heard
    /// of however busy the others are: one listens, one reads. A pool of the application's has its own limit.
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.clamp(1, 10_000);
        self
    }

    /// How many calls may wait for a connection: 1 at least, 1,024 by default. One more fails at once with
    /// [`StoreError::Unavailable`].
    pub fn with_queue(mut self, calls: usize) -> Self {
        self.queue = calls.clamp(1, 1_000_000);
        self
    }

    /// How long a call may take before it is given up: 10 ms at least, 60 s at most, 2 s by default. It is also the
    /// connections' `statement_timeout`, so that the server gives up too.
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

    /// Who brings the tables up to date; the store at start by default.
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

    /// Follows endings by looking every so often, 10 ms at least and 1 s at most, instead of by `LISTEN`, which takes a
    /// connection of its own. Every 100 ms is the default behind a [`PoolerMode::TransactionPooling`].
    pub fn with_polling(mut self, every: Duration) -> Self {
        self.polling = Some(every.clamp(Duration::from_millis(10), Duration::from_secs(1)));
        self
    }

    /// Connects to a database; see [`PostgresStore::connect`].
    ///
    /// # Errors
    /// As [`PostgresStore::connect`].
    pub async fn connect(self, url: &str) -> Result<PostgresStore, StoreError> {
        let known = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        let options = if !known {
            Err(Error::Configuration("the scheme is another".into()))
        } else if parameters(url).any(|parameter| !UNDERSTOOD.contains(&parameter)) {
            // The driver would ignore it, and log it with its value, which may be a secret.
            return Err(error::refuse(NOT_UNDERSTOOD));
        } else {
            PgConnectOptions::from_str(url)
        };
        self.connect_with(options.map_err(|error| error::of_opening(&error))?)
            .await
    }

    /// Connects with sqlx's options, for what an address cannot say.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`].
    pub async fn connect_with(self, options: PgConnectOptions) -> Result<PostgresStore, StoreError> {
        // A statement's text is of no use in a log, and making its line costs more than the statement.
        let mut options = options.disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name("auth-tower");
        }
        options = match self.proxy {
            PoolerMode::None => options.options([
                ("statement_timeout", &*self.deadline.as_millis().to_string()),
                ("default_transaction_isolation", "read committed"),
                // Whatever somebody else may put into another schema, it is none of the functions' business.
                ("search_path", "pg_catalog"),
                // A plan that was made while the tables were small is kept until they are analyzed: it must not be one that
                // reads them whole.
                ("enable_seqscan", "off"),
                // Where only a whole table will do, that looks so dear that every call would be compiled first: 60 ms for 0.3 ms.
                ("jit", "off"),
            ]),
            // Such a proxy refuses what it cannot keep apart for its clients.
            PoolerMode::TransactionPooling => options.extra_float_digits(None),
        };
        let source = Source::own(options.clone(), self.connections);
        self.open(source, Some(Source::own(options, FOLLOWING))).await
    }

    /// Uses a pool of the application's. Its limits and timeouts are its own; it should set a `statement_timeout` and need not
    /// test connections before they are used. Following endings takes one of its connections, unless they are polled.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`].
    pub async fn connect_pool(self, pool: PgPool) -> Result<PostgresStore, StoreError> {
        self.open(Source::Shared(pool), None).await
    }

    /// `following`: what endings are read with, if not with what all calls share.
    async fn open(self, source: Source, following: Option<Source>) -> Result<PostgresStore, StoreError> {
        let schema = Schema::new(&self.schema)?;
        let limit = match (&source, self.proxy) {
            (Source::Own { .. }, PoolerMode::None) => Some(self.deadline),
            _ => None,
        };
        open::prepare(&source, &schema, self.migrations, limit).await?;
        let (form, polling) = match self.proxy {
            PoolerMode::None => (Form::Prepared, self.polling),
            PoolerMode::TransactionPooling => (Form::Simple, Some(self.polling.unwrap_or(GLANCE_WHEN_POLLING))),
        };
        let feed = match polling {
            Some(every) => Feed::new(every, None),
            None => Feed::new(GLANCE_WHEN_LISTENING, Some(schema.channel())),
        };
        let pool = |source, connections| {
            let places = self.queue.saturating_add(connections);
            Pool::new(source, Calls::new(schema.clone(), form), places, self.deadline)
        };
        Ok(PostgresStore(Arc::new(Inner {
            following: following.map(|source| pool(source, FOLLOWING)),
            pool: pool(source, self.connections),
            feed,
            relaxed: self.rotations == RotationDurability::Relaxed,
        })))
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_named_without_their_values() {
        let names: Vec<_> = parameters("postgres://u:p@h/d?sslmode=require&&password=x=y&bare").collect();
        assert_eq!(names, ["sslmode", "password", "bare"]);
        assert_eq!(parameters("postgres://u:p@h/d").count(), 0);
    }
}
