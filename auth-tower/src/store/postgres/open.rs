//! Opening a database: does it answer, is it fit, are its tables up to date?

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Error, PgPool, Row as _};
use tokio::time::timeout;

use super::connection::Opening;
use super::error::{PROXIED, READ_ONLY, SLOW, of_opening, refuse};
use super::feed::Feed;
use super::functions::{Calls, Form};
use super::migrate::{ask, is_newest, migrate, number, version};
use super::options::{Migrations, PoolerMode, PostgresOptions, RotationDurability};
use super::pool::Pool;
use super::schema::Schema;
use super::source::{Source, millis};
use super::{Inner, PostgresStore};
use crate::store::error::StoreError;

/// How long connecting and looking around may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long migrating may take, another instance's migration that is waited for included.
const MIGRATING: Duration = Duration::from_secs(60);

/// The oldest version that has all that the migrations use.
const OLDEST: u32 = 130_000;

/// How often a reader that `NOTIFY` wakes polls all the same.
const POLL_INTERVAL_WHEN_LISTENING: Duration = Duration::from_millis(500);

/// How often a reader polls that nothing wakes.
const POLL_INTERVAL_WHEN_POLLING: Duration = Duration::from_millis(100);

/// How many connections read the revocation log.
const FOLLOWING: usize = 1;

/// The parameters of an address that the driver understands.
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

impl PostgresOptions {
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
            return Err(refuse(NOT_UNDERSTOOD));
        } else {
            PgConnectOptions::from_str(url)
        };
        self.connect_with(options.map_err(|error| of_opening(&error))?).await
    }

    /// Connects with sqlx's options, for what an address cannot say.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`].
    pub async fn connect_with(self, options: PgConnectOptions) -> Result<PostgresStore, StoreError> {
        // A statement's text is of no use in a log, and formatting the line costs more than the statement.
        let mut options = options.disable_statement_logging();
        if options.get_application_name().is_none() {
            options = options.application_name("auth-tower");
        }
        options = match self.proxy {
            PoolerMode::None => options.options([
                ("default_transaction_isolation", "read committed"),
                // The functions run nothing that another role has put into another schema.
                ("search_path", "pg_catalog"),
                // The server keeps a plan that was made while the tables were small until they are analyzed: it must not be
                // one that reads whole tables.
                ("enable_seqscan", "off"),
                // Reading a whole table then looks so expensive that the server would compile every such call first: 60 ms for 0.3 ms.
                ("jit", "off"),
            ]),
            // Such a proxy refuses settings that it cannot keep apart for its clients.
            PoolerMode::TransactionPooling => options.extra_float_digits(None),
        };
        let limited = self.proxy == PoolerMode::None;
        let source = Source::own(options.clone(), limited, self.connections);
        self.open(source, Some(Source::own(options, limited, FOLLOWING))).await
    }

    /// Uses a pool of the application's. Its limits and timeouts are its own. It should set a `statement_timeout`, and need not
    /// test connections before they are used. Following revocations takes one of its connections, unless they are polled.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`].
    pub async fn connect_pool(self, pool: PgPool) -> Result<PostgresStore, StoreError> {
        self.open(Source::Shared(pool), None).await
    }

    /// `following`: the connections that read the revocation log, if not those that all calls share.
    async fn open(self, source: Source, following: Option<Source>) -> Result<PostgresStore, StoreError> {
        let schema = Schema::new(&self.schema)?;
        prepare(&source, &schema, self.migrations, self.deadline).await?;
        let (form, polling) = match self.proxy {
            PoolerMode::None => (Form::Prepared, self.polling),
            PoolerMode::TransactionPooling => (Form::Simple, Some(self.polling.unwrap_or(POLL_INTERVAL_WHEN_POLLING))),
        };
        let feed = match polling {
            Some(every) => Feed::new(every, None),
            None => Feed::new(POLL_INTERVAL_WHEN_LISTENING, Some(schema.channel())),
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

/// Checks the database and brings its tables up to date.
async fn prepare(
    source: &Source,
    schema: &Schema,
    migrations: Migrations,
    deadline: Duration,
) -> Result<(), StoreError> {
    let limit = match source {
        Source::Own { limited: true, .. } => Some(deadline),
        _ => None,
    };
    let reaching = async {
        let mut opening = Opening::begin(source, limit)
            .await
            .map_err(|error| of_opening(&error))?;
        let facts = Facts::read(opening.connection(), schema)
            .await
            .map_err(|error| of_opening(&error))?;
        facts.check(limit)?;
        Ok((opening, facts.version))
    };
    let (mut opening, present) = timeout(PATIENCE, reaching).await.map_err(|_| refuse(SLOW))??;
    if is_newest(present)? {
        opening.give_back(source);
        return Ok(());
    }
    if migrations == Migrations::ByHand {
        return Err(refuse(
            "its tables are missing or of an older version; run what is new in migrations/postgres",
        ));
    }
    timeout(MIGRATING, migrate(opening.connection(), schema))
        .await
        .map_err(|_| refuse(SLOW))??;
    opening.give_back(source);
    Ok(())
}

/// What matters about a database.
struct Facts {
    server: u32,
    encoding: String,
    read_only: bool,
    isolation: String,
    /// In milliseconds.
    statement_timeout: String,
    version: u32,
}

impl Facts {
    async fn read(connection: &mut PgConnection, schema: &Schema) -> Result<Self, Error> {
        let row = ask(
            connection,
            "SELECT current_setting('server_version_num'), current_setting('server_encoding'), \
             (pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on')::text, \
             current_setting('transaction_isolation'), \
             (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'statement_timeout')",
        )
        .await?;
        Ok(Self {
            server: number(&row, 0)?,
            encoding: row.try_get(1)?,
            read_only: row.try_get::<String, _>(2)? == "true",
            isolation: row.try_get(3)?,
            statement_timeout: row.try_get(4)?,
            version: version(connection, schema).await?,
        })
    }

    /// `limit`: the `statement_timeout` that the connection was opened with, if it was.
    fn check(&self, limit: Option<Duration>) -> Result<(), StoreError> {
        if self.server < OLDEST {
            return Err(refuse("the server is older than PostgreSQL 13; upgrade it"));
        }
        if self.encoding != "UTF8" {
            return Err(refuse(
                "the database's encoding is not UTF8; make one with ENCODING 'UTF8'",
            ));
        }
        if self.read_only {
            return Err(refuse(READ_ONLY));
        }
        if limit.is_some_and(|limit| millis(limit).to_string() != self.statement_timeout) {
            return Err(refuse(PROXIED));
        }
        // At a higher level all statements see what was committed before the first of them, and so before the locks were taken.
        if self.isolation != "read committed" {
            return Err(refuse(
                "the connections' transactions are not READ COMMITTED; set default_transaction_isolation for this user",
            ));
        }
        Ok(())
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
