//! Opening a file: is it sound, is it ours, are its tables up to date?
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::error::{DAMAGED, READ_ONLY, of_opening, refuse};
use crate::store::error::StoreError;

/// Append only: a migration that was released is never changed.
const MIGRATIONS: [(u32, &str, &str); 1] = [(
    1,
    "sessions",
    include_str!("../../../migrations/sqlite/0001_sessions.sql"),
)];

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS auth_migrations (
    version    INTEGER NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    applied_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT";

/// A file up to this many bytes is checked page by page when it is opened: well under a second.
const CHECKED_WHOLE: u64 = 64 << 20;

/// The write-ahead log is cut back to this many bytes whenever it starts anew.
pub(super) const WAL_LIMIT: u64 = 8 << 20;

const CACHED_STATEMENTS: usize = 64;

/// How long a connection waits for locks while no caller waits for it.
pub(super) const BRIEFLY: Duration = Duration::from_millis(250);

/// What is done about a database without tables of this library.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tables {
    /// They are made.
    MayBeMade,
    /// It is refused: it is somebody else's, or not ready yet.
    MustBeThere,
}

/// Opens the file, checks it, and brings its tables up to date. Returns the connection to write through and the name of the
/// file's log.
pub(super) fn prepare(path: &Path, patience: Duration, tables: Tables) -> Result<(Connection, String), StoreError> {
    let until = Instant::now() + patience;
    let mut connection = open(path, true).map_err(of_opening)?;
    // Nothing is written to a file that is not known to be sound, not even what its log holds.
    let sound = guard(&connection, true)
        .map_err(of_opening)
        .and_then(|()| check(&connection, path, tables));
    sound?;
    guard(&connection, false).map_err(of_opening)?;
    connection.busy_timeout(patience).map_err(of_opening)?;
    use_wal(&connection, until)?;
    migrate(&mut connection)?;
    tune_writer(&connection).map_err(of_opening)?;
    let log_id = log_id(&connection).map_err(of_opening)?;
    Ok((connection, log_id))
}

/// The name of the file's log.
pub(super) fn log_id(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT id FROM auth_log", [], |row| row.get(0))
}

/// Opens an existing file again for writing, after its connection broke.
pub(super) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path, true)?;
    tune_writer(&connection)?;
    Ok(connection)
}

/// Opens an existing file for reading only.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path, false)?;
    connection.pragma_update(None, "cache_size", -4_096)?;
    Ok(connection)
}

/// Lets the connection wait for locks while a caller has `left`: a little less, so that the caller gets the answer in time.
pub(super) fn wait_for_locks(connection: &Connection, left: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(left - left / 10)
}

fn open(path: &Path, write: bool) -> rusqlite::Result<Connection> {
    // Without SQLITE_OPEN_URI and SQLITE_OPEN_CREATE: a path is a path, and only `address::claim` makes a file.
    let access = if write {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.busy_timeout(BRIEFLY)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

fn tune_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Where a plain sync leaves data in the drive's cache (macOS), a revocation needs the full one. No effect elsewhere.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "journal_size_limit", i64::try_from(WAL_LIMIT).unwrap_or(0))?;
    Ok(())
}

fn guard(connection: &Connection, on: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on)?;
    connection.pragma_update(None, "query_only", on)
}

fn check(connection: &Connection, path: &Path, required: Tables) -> Result<(), StoreError> {
    if connection.is_readonly("main").map_err(of_opening)? {
        return Err(refuse(READ_ONLY));
    }
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(of_opening)?;
    let ours = table_exists(connection, "auth_migrations")?;
    if !ours && required == Tables::MustBeThere {
        return Err(refuse(
            "the database that lies there now holds no tables of this library",
        ));
    }
    if tables == 0 {
        return Ok(());
    }
    let size = std::fs::metadata(path).map_or(u64::MAX, |about| about.len());
    let query = match (size <= CHECKED_WHOLE, ours) {
        (true, _) => "PRAGMA quick_check(1)",
        (false, true) => "PRAGMA quick_check('auth_epochs')",
        (false, false) => return Ok(()),
    };
    let verdict: String = connection.query_row(query, [], |row| row.get(0)).map_err(of_opening)?;
    if verdict != "ok" {
        return Err(refuse(DAMAGED));
    }
    if ours {
        refuse_newer(version(connection)?)?;
    }
    Ok(())
}

fn use_wal(connection: &Connection, until: Instant) -> Result<(), StoreError> {
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(_) => {
                return Err(refuse(
                    "the folder does not support SQLite's write-ahead log; use a local disk",
                ));
            }
            // SQLite refuses this one change at once, instead of waiting for other processes that open the file too.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(of_opening(error)),
        }
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let newest = MIGRATIONS.len();
    if table_exists(connection, "auth_migrations")? && version(connection)? as usize == newest {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(of_opening)?;
    transaction.execute_batch(HISTORY).map_err(of_opening)?;
    // Read again: another process may have migrated while this one waited for the lock.
    let present = version(&transaction)?;
    refuse_newer(present)?;
    for (version, name, sql) in MIGRATIONS.iter().filter(|(version, ..)| *version > present) {
        transaction.execute_batch(sql).map_err(of_opening)?;
        transaction
            .execute(
                "INSERT INTO auth_migrations (version, name) VALUES (?1, ?2)",
                (version, name),
            )
            .map_err(of_opening)?;
    }
    transaction.commit().map_err(of_opening)
}

fn table_exists(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    connection.table_exists(None, name).map_err(of_opening)
}

fn version(connection: &Connection) -> Result<u32, StoreError> {
    connection
        .query_row("SELECT coalesce(max(version), 0) FROM auth_migrations", [], |row| {
            row.get(0)
        })
        .map_err(of_opening)
}

fn refuse_newer(present: u32) -> Result<(), StoreError> {
    if present as usize > MIGRATIONS.len() {
        return Err(refuse(
            "its tables were made by a newer version of this library; upgrade, or name another file",
        ));
    }
    Ok(())
}
