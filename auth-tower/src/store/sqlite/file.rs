//! Which files lie at the path.
//!
//! A database is three files, and an open connection keeps those that it opened, whatever happens to their names. Once a name
//! leads elsewhere, two processes can work on two stores behind one path, or on one database through two logs. So a
//! connection is used only while the names lead to what it has open. The writer alone changes over; the others follow it.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::address;
use super::error::{Moved, busy, is_moved, moved, of_step};
use super::open::{self, Tables};
use crate::store::error::StoreError;

/// What tells a file from every other while either of them is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    number: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(about: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: about.dev(),
            number: about.ino(),
        }
    }

    /// Other systems do not let an open file be removed or replaced.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self { device: 0, number: 0 }
    }

    fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::of)
    }
}

/// The files at a path at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Files {
    database: Option<FileId>,
    log: Option<FileId>,
    index: Option<FileId>,
}

impl Files {
    /// Whether a connection of this process has the same database open with another log or index.
    pub(super) fn are_mixed_up(&self) -> bool {
        let other = |files: &Files| files.database == self.database && files != self;
        cfg!(unix) && CONNECTED.lock().iter().any(other)
    }

    pub(super) fn are_without_database(&self) -> bool {
        self.database.is_none()
    }
}

/// The names of a database's files. SQLite names two of them after the file that a link leads to.
#[derive(Debug)]
struct Names {
    database: PathBuf,
    real: PathBuf,
    log: PathBuf,
    index: PathBuf,
}

impl Names {
    fn of(path: &Path) -> Self {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let beside = |suffix: &str| {
            let mut name = real.as_os_str().to_owned();
            name.push(suffix);
            name.into()
        };
        Self {
            database: path.to_owned(),
            log: beside("-wal"),
            index: beside("-shm"),
            real,
        }
    }

    fn look(&self) -> Files {
        Files {
            database: FileId::at(&self.database),
            log: FileId::at(&self.log),
            index: FileId::at(&self.index),
        }
    }

    /// The same where a link has been turned elsewhere: the log is still beside the file that the link led to.
    fn look_beside_log(&self) -> Files {
        Files {
            database: FileId::at(&self.real),
            ..self.look()
        }
    }
}

/// The files that the store works on from one opening by the writer to the next.
#[derive(Debug)]
pub(super) struct Incarnation {
    number: u64,
    names: Names,
    files: Files,
    log_id: String,
    feed: String,
}

impl Incarnation {
    /// Counts the openings by this process.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What cursors call the log of this incarnation. A backup has the name and the numbers of the log that it was copied
    /// from, and goes on differently: so the file and the opening belong to the name.
    pub(super) fn feed(&self) -> &str {
        &self.feed
    }

    pub(super) fn is_same_database(&self, other: &Self) -> bool {
        self.files.database == other.files.database
    }

    /// Whether the names still lead to these files.
    pub(super) fn is_in_place(&self) -> bool {
        self.look() == self.files
    }

    pub(super) fn look(&self) -> Files {
        self.names.look()
    }

    pub(super) fn log_size(&self) -> u64 {
        fs::metadata(&self.names.log).map_or(0, |about| about.len())
    }
}

/// A connection, and the files that it is connected to.
pub(super) struct Opened {
    // Closed before it is counted out.
    pub(super) connection: Connection,
    pub(super) incarnation: Arc<Incarnation>,
    _counted: Counted,
}

/// The files of every connection of this process. All those to one database share one index in SQLite, whatever has become of
/// its name: one that is opened beside an older one would read one log by the index of another.
static CONNECTED: Mutex<Vec<Files>> = Mutex::new(Vec::new());

struct Counted(Files);

impl Counted {
    fn new(files: Files) -> Self {
        CONNECTED.lock().push(files);
        Self(files)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut connected = CONNECTED.lock();
        if let Some(at) = connected.iter().position(|files| *files == self.0) {
            connected.swap_remove(at);
        }
    }
}

impl Opened {
    /// Opens what lies at `path` by `open`, which also says the name of the log in it.
    fn by(
        path: &Path,
        number: u64,
        open: impl FnOnce() -> Result<(Connection, String), StoreError>,
    ) -> Result<Self, StoreError> {
        let names = Names::of(path);
        let before = names.look().database;
        let (connection, log_id) = open()?;
        let files = names.look();
        if files.database != before || before.is_none() || files.log.is_none() || files.index.is_none() {
            return Err(StoreError::unavailable(Moved));
        }
        let inode = files.database.map_or(0, |file| file.number);
        let feed = format!("{log_id}-{inode:x}-{number}");
        let incarnation = Incarnation {
            number,
            names,
            files,
            log_id,
            feed,
        };
        Ok(Self {
            connection,
            incarnation: incarnation.into(),
            _counted: Counted::new(files),
        })
    }

    /// Goes on with files that have their names again.
    pub(super) fn stay(&self) -> rusqlite::Result<()> {
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
            .map(drop)
    }

    /// Prepares the files that are connected, of which at least one has lost its name, to be closed for others.
    pub(super) fn part_from(&self) -> rusqlite::Result<()> {
        let (names, ours) = (&self.incarnation.names, &self.incarnation.files);
        let seen = names.look_beside_log();
        // Closing may not write to a database that is used through another log by now.
        self.connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        if seen.database == ours.database {
            // The log alone was taken away, and nobody has begun another: what is only in it can still be saved.
            let another = fs::metadata(&names.log).is_ok_and(|about| about.is_file());
            return if another { Ok(()) } else { self.empty_log() };
        }
        if seen.log == ours.log || seen.index == ours.index {
            self.take_along()?;
        }
        Ok(())
    }

    /// SQLite would take a log that was left behind for that of the database that came, and mix the two. So what is in it goes
    /// into the database that it belongs to, wherever that is now, and it is removed.
    fn take_along(&self) -> rusqlite::Result<()> {
        self.empty_log()?;
        // Each process that has these files open comes here. The lock is in the files themselves, so one comes after the
        // other, and none removes what another has made after it.
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let (names, ours) = (&self.incarnation.names, &self.incarnation.files);
        let seen = names.look_beside_log();
        let mut left = Ok(());
        if seen.database != ours.database {
            if seen.log == ours.log {
                left = fs::remove_file(&names.log);
            }
            if seen.index == ours.index {
                left = left.and(fs::remove_file(&names.index));
            }
        }
        self.connection.execute_batch("ROLLBACK")?;
        left.map_err(|_| moved())
    }

    fn empty_log(&self) -> rusqlite::Result<()> {
        let in_use: i64 = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if in_use == 0 { Ok(()) } else { Err(busy()) }
    }
}

/// The database at a path, as all threads of a store know it.
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// `None` while what lies at the path is not to be used.
    current: Mutex<Option<Arc<Incarnation>>>,
    /// Connections that are kept for their next use.
    kept: Mutex<Vec<Slot>>,
}

/// A connection that is kept for its next use.
pub(super) type Slot = Arc<Mutex<Option<Opened>>>;

impl DatabaseFile {
    /// Opens the database for the first time, making it if there is none.
    pub(super) fn open(path: PathBuf, patience: Duration) -> Result<(Arc<Self>, Opened), StoreError> {
        address::claim(&path)?;
        let first = || Opened::by(&path, 0, || open::prepare(&path, patience, Tables::MayBeMade));
        // A file of a container's image becomes another when it is opened for writing for the first time.
        let opened = first().or_else(|error| if is_moved(&error) { first() } else { Err(error) })?;
        let file = Self {
            path,
            current: Mutex::new(Some(Arc::clone(&opened.incarnation))),
            kept: Mutex::new(Vec::new()),
        };
        Ok((file.into(), opened))
    }

    /// Opens what lies at the path after `last`, if it is a sound database of this library. Nothing is made.
    pub(super) fn reopen(&self, last: &Incarnation, patience: Duration) -> Result<Opened, StoreError> {
        let number = last.number.wrapping_add(1);
        Opened::by(&self.path, number, || {
            let same = FileId::at(&self.path) == last.files.database;
            if same {
                // Only the connection was at fault, or the log. The file was looked through when it came.
                let connection = open::writer(&self.path).map_err(of_step)?;
                if open::log_id(&connection).is_ok_and(|log_id| log_id == last.log_id) {
                    return Ok((connection, last.log_id.clone()));
                }
            }
            address::inspect(&self.path)?;
            open::prepare(&self.path, patience, Tables::MustBeThere)
        })
    }

    pub(super) fn look(&self) -> Files {
        Names::of(&self.path).look()
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.current.lock().is_some()
    }

    /// From here on, everybody uses `incarnation`.
    pub(super) fn enter(&self, incarnation: &Arc<Incarnation>) {
        *self.current.lock() = Some(Arc::clone(incarnation));
    }

    /// From here on, nobody uses what lies at the path, and no follower keeps what it has open.
    pub(super) fn leave(&self) {
        let mut current = self.current.lock();
        *current = None;
        for slot in self.kept.lock().iter() {
            drop(slot.lock().take());
        }
    }

    /// A place for a connection that is kept for its next use.
    pub(super) fn slot(&self) -> Slot {
        let slot = Slot::default();
        self.kept.lock().push(Arc::clone(&slot));
        slot
    }

    /// Keeps a connection, unless the writer has left its files meanwhile.
    pub(super) fn keep(&self, opened: Opened, slot: &Slot) {
        let current = self.current.lock();
        if current
            .as_ref()
            .is_some_and(|current| current.number == opened.incarnation.number)
        {
            *slot.lock() = Some(opened);
        }
    }

    /// A connection that only reads what the writer writes to: the one that was kept, or a new one.
    pub(super) fn follow(&self, kept: Option<Opened>) -> rusqlite::Result<Opened> {
        let current = self.current.lock().clone().ok_or_else(moved)?;
        let opened = match kept {
            Some(kept) if kept.incarnation.number == current.number => kept,
            _ => {
                let connection = open::reader(&self.path)?;
                // The first query also opens the log: only then is it known which files are connected.
                if open::log_id(&connection)? != current.log_id {
                    return Err(moved());
                }
                Opened {
                    connection,
                    _counted: Counted::new(current.files),
                    incarnation: current,
                }
            }
        };
        if opened.incarnation.is_in_place() {
            Ok(opened)
        } else {
            Err(moved())
        }
    }
}
