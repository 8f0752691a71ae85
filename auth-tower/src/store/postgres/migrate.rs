//! Bringing the tables up to date.
//!
//! By hand, because sqlx's `Migrator` could not do what the tests ask:
//!
//! * It locks with `pg_advisory_lock`, which belongs to a session of the server. Behind a proxy that pools transactions, the
//!   lock is taken on one server connection and released on another, so the next instance waits for ever. The lock here
//!   belongs to the one transaction of all migrations. Test: `instances_that_start_behind_a_proxy_make_the_tables_once`.
//! * It prepares its statements, which such a proxy does not keep. The same test.
//! * Its table holds checksums, which a file that a person runs with `psql` cannot note, so tables that were made by hand
//!   would be made again. Test: `tables_that_were_made_by_hand_are_taken_as_they_are`.
//! * Its texts are fixed, and ours name a schema that the application chooses. Test:
//!   `tables_of_something_else_are_refused_and_left_alone`.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Error, Row as _};

use super::error::{of_opening, refuse};
use super::schema::{MIGRATIONS, Schema};
use crate::store::error::StoreError;

/// The version of the tables; 0 if there are none.
pub(super) async fn version(connection: &mut PgConnection, schema: &Schema) -> Result<u32, Error> {
    let table = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = '{}' AND c.relname = 'migrations')::text",
        schema.name()
    );
    // Not by a cast of the name to a table, which answers from the connection's cache.
    if ask(connection, &table).await?.try_get::<String, _>(0)? != "true" {
        return Ok(0);
    }
    let newest = schema.sql("SELECT coalesce(max(version), 0)::text FROM auth.migrations");
    number(&ask(connection, &newest).await?, 0)
}

pub(super) fn is_newest(version: u32) -> Result<bool, StoreError> {
    if version as usize > MIGRATIONS.len() {
        return Err(refuse(
            "its tables were made by a newer version of this library; upgrade, or choose another schema",
        ));
    }
    Ok(version as usize == MIGRATIONS.len())
}

/// Runs what is new, in one transaction.
pub(super) async fn migrate(connection: &mut PgConnection, schema: &Schema) -> Result<(), StoreError> {
    let failed = |error: Error| of_opening(&error);
    let mut transaction = connection.begin().await.map_err(failed)?;
    // One instance at a time; the others find the tables made. The lock's numbers are beyond those of any subject.
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
    // Asked first, because IF NOT EXISTS needs the privilege to create a schema even where there is one.
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

pub(super) async fn ask(connection: &mut PgConnection, sql: &str) -> Result<PgRow, Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await
}

pub(super) fn number(row: &PgRow, column: usize) -> Result<u32, Error> {
    row.try_get::<String, _>(column)?
        .parse()
        .map_err(|_| Error::Protocol("a version is no number".into()))
}
