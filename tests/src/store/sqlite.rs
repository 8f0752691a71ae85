//! An SQLite file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{Row, Undo};
use crate::app::Settings;

pub(crate) struct Backend;

impl super::Backend for Backend {
    fn url(&self, folder: &Path) -> OsString {
        let mut url = OsString::from("sqlite://");
        url.push(folder.join("auth.db"));
        url
    }

    fn session(&self, settings: &Settings, id: &str) -> Row {
        session(&file(settings), id)
    }

    fn make_newer(&self, settings: &Settings, id: &str) {
        make_newer(&file(settings), id);
    }

    fn sessions(&self, settings: &Settings) -> u64 {
        sessions(&file(settings))
    }

    fn bytes(&self, settings: &Settings) -> Vec<u8> {
        bytes(&file(settings))
    }

    fn break_down(&self, settings: &Settings) -> Box<dyn Undo> {
        Box::new(Outage::begin(&file(settings)))
    }

    fn copy(&self, settings: &Settings) -> Box<dyn Undo> {
        Box::new(Snapshot::of(settings))
    }
}

pub(super) fn file(settings: &Settings) -> PathBuf {
    settings.file("auth.db")
}

/// The row of the session with this public id; reads only.
pub(super) fn session(database: &Path, id: &str) -> Row {
    let id = crate::forge::from_base64url(id);
    open(database)
        .query_row(
            "SELECT generation, confirmed, seen FROM auth_sessions WHERE id = ?1",
            [id],
            |row| {
                Ok(Row {
                    current: row.get(0)?,
                    confirmed: row.get(1)?,
                    seen: row.get(2)?,
                })
            },
        )
        .expect("a row of this session")
}

pub(super) fn make_newer(database: &Path, id: &str) {
    let database = Connection::open(database).expect("a database");
    database.busy_timeout(crate::wait::PATIENCE).expect("a timeout");
    database
        .pragma_update(None, "ignore_check_constraints", true)
        .expect("a setting");
    let id = crate::forge::from_base64url(id);
    let changed = database.execute("UPDATE auth_sessions SET format = 2 WHERE id = ?1", [id]);
    assert_eq!(changed.expect("an update"), 1);
}

/// How many sessions the table holds.
pub(super) fn sessions(database: &Path) -> u64 {
    let count: i64 = open(database)
        .query_row("SELECT count(*) FROM auth_sessions", [], |row| row.get(0))
        .expect("a session table");
    u64::try_from(count).expect("a count")
}

fn open(database: &Path) -> Connection {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    database.busy_timeout(crate::wait::PATIENCE).expect("a timeout");
    database
}

/// Keeps every writer out of the database for as long as the value lives: to the app, a store that does not answer.
#[derive(Debug)]
pub(super) struct Outage(Connection);

impl Outage {
    /// Begins the outage.
    pub(super) fn begin(database: &Path) -> Self {
        let connection = Connection::open(database).expect("a database");
        connection.busy_timeout(crate::wait::PATIENCE).expect("a timeout");
        connection.execute_batch("BEGIN EXCLUSIVE").expect("the write lock");
        Self(connection)
    }
}

impl Undo for Outage {
    fn undo(self: Box<Self>) {
        self.0.execute_batch("ROLLBACK").expect("the lock back");
    }
}

/// The bytes of a database: the file, its write-ahead log and its shared memory.
pub(super) fn bytes(database: &Path) -> Vec<u8> {
    let mut all = std::fs::read(database).expect("a database");
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        if let Ok(more) = std::fs::read(name) {
            all.extend(more);
        }
    }
    all
}

/// The files, as they were.
#[derive(Debug)]
pub(super) struct Snapshot(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Snapshot {
    pub(super) fn of(settings: &Settings) -> Self {
        let names = ["auth.db", "auth.db-wal", "auth.db-shm"];
        Self(
            names
                .map(|name| (settings.file(name), std::fs::read(settings.file(name)).ok()))
                .into(),
        )
    }
}

impl Undo for Snapshot {
    fn undo(self: Box<Self>) {
        for (path, bytes) in self.0 {
            match bytes {
                Some(bytes) => std::fs::write(path, bytes).expect("the older file"),
                None => drop(std::fs::remove_file(path)),
            }
        }
    }
}
