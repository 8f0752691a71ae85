//! The only place that knows the app's SQLite tables, and how files are searched for what must not be in them.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// One row of the session table, as far as a test asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The newest generation.
    pub current: u32,
    /// The generation whose presentation led to it.
    pub confirmed: Option<u32>,
    /// Whether `current` was proven to be in the client's hands.
    pub seen: bool,
}

/// The row of the session with this public id; reads only.
pub fn session(database: &Path, id: &str) -> Row {
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

/// How many sessions the table holds.
pub fn sessions(database: &Path) -> u64 {
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
pub struct Outage(Connection);

impl Outage {
    /// Begins the outage.
    pub fn begin(database: &Path) -> Self {
        let connection = Connection::open(database).expect("a database");
        connection.busy_timeout(crate::wait::PATIENCE).expect("a timeout");
        connection.execute_batch("BEGIN EXCLUSIVE").expect("the write lock");
        Self(connection)
    }

    /// Ends it.
    pub fn end(self) {
        self.0.execute_batch("ROLLBACK").expect("the lock back");
    }
}

/// Whether the bytes of `needle` occur in `hay`.
pub fn occurs(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|window| window == needle)
}

/// The bytes of a database: the file, its write-ahead log and its shared memory.
pub fn bytes(database: &Path) -> Vec<u8> {
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
