//! Opening a database: does it answer, is it fit, are its tables up to date?

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Error, Row as _};
use tokio::time::timeout;

use super::connection;
use super::error::{PROXIED, READ_ONLY, SLOW, of_opening, refuse};
use super::options::Migrations;
use super::pool::Source;
use super::schema::Schema;
use crate::store::error::StoreError;

/// Append only: a migration that was released is never changed. Each notes itself in the table of migrations.
pub(super) const MIGRATIONS: [(u32, &str); 1] = [(1, include_str!("../../../migrations/postgres/0001_sessions.sql"))];

/// How long connecting and looking around may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long migrating may take, another instance's migration that is waited for included.
const MIGRATING: Duration = Duration::from_secs(60);

/// The oldest version that has all that the migrations use.
const OLDEST: u32 = 130_000;

/// Checks the database and brings its tables up to date.
pub(super) async fn prepare(
    source: &Source,
    schema: &Schema,
    migrations: Migrations,
    limit: Option<Duration>,
) -> Result<(), StoreError> {
    let reaching = async {
        let mut opening = connection::connect(source).await.map_err(|error| of_opening(&error))?;
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

    /// `limit`: what a statement was given, if the connection is our own.
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
        if limit.is_some_and(|limit| limit.as_millis().to_string() != self.statement_timeout) {
            return Err(refuse(PROXIED));
        }
        // A later level sees in all its statements what was there at the first, before it had its locks.
        if self.isolation != "read committed" {
            return Err(refuse(
                "the connections' transactions are not READ COMMITTED; set default_transaction_isolation for this user",
            ));
        }
        Ok(())
    }
}

/// The version of the tables; 0 if there are none.
async fn version(connection: &mut PgConnection, schema: &Schema) -> Result<u32, Error> {
    let table = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = '{}' AND c.relname = 'migrations')::text",
        schema.name()
    );
    // Not by its name's cast to a table, which goes by what the connection remembers of a moment ago.
    if ask(connection, &table).await?.try_get::<String, _>(0)? != "true" {
        return Ok(0);
    }
    let newest = schema.sql("SELECT coalesce(max(version), 0)::text FROM auth.migrations");
    number(&ask(connection, &newest).await?, 0)
}

fn is_newest(version: u32) -> Result<bool, StoreError> {
    if version as usize > MIGRATIONS.len() {
        return Err(refuse(
            "its tables were made by a newer version of this library; upgrade, or choose another schema",
        ));
    }
    Ok(version as usize == MIGRATIONS.len())
}

async fn migrate(connection: &mut PgConnection, schema: &Schema) -> Result<(), StoreError> {
    let failed = |error: Error| of_opening(&error);
    let mut transaction = connection.begin().await.map_err(failed)?;
    // One instance at a time; the others find it done. The lock's numbers are beyond those of any subject.
    run(&mut transaction, "SET LOCAL statement_timeout = 0".to_owned())
        .await
        .map_err(failed)?;
    run(
        &mut transaction,
        "SELECT pg_advisory_xact_lock(1635087464, -1)".to_owned(),
    )
    .await
    .map_err(failed)?;
    let present = version(&mut transaction, schema).await.map_err(failed)?;
    if is_newest(present)? {
        return transaction.commit().await.map_err(failed);
    }
    // Asked first, because IF NOT EXISTS alone needs the privilege to make one.
    let there = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '{}')::text",
        schema.name()
    );
    let there = ask(&mut transaction, &there)
        .await
        .and_then(|row| row.try_get::<String, _>(0))
        .map_err(failed)?;
    if there != "true" {
        run(&mut transaction, format!("CREATE SCHEMA \"{}\"", schema.name()))
            .await
            .map_err(failed)?;
    }
    for (_, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > present) {
        run(&mut transaction, schema.sql(sql)).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// By the simple protocol, so that it works through any proxy, and several statements can be in one text.
async fn run(connection: &mut PgConnection, sql: String) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

async fn ask(connection: &mut PgConnection, sql: &str) -> Result<PgRow, Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await
}

fn number(row: &PgRow, column: usize) -> Result<u32, Error> {
    row.try_get::<String, _>(column)?
        .parse()
        .map_err(|_| Error::Protocol("a version is no number".into()))
}
