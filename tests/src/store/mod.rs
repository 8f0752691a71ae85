//! The only places that know the app's tables and keys, one file per store, and how bytes are searched for what must not be
//! in them.

mod postgres;
mod redis;
mod sqlite;

use crate::app::Settings;
use crate::target::Store;

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

/// What the store of an app with these settings holds of the session with this public id; reads only.
///
/// # Panics
/// If nobody can look into this store, or there is no such session.
pub fn session(settings: &Settings, id: &str) -> Row {
    match settings.store() {
        Store::Memory => panic!("nobody can look into another process's memory"),
        Store::Sqlite => sqlite::session(&sqlite::file(settings), id),
        Store::Postgres => postgres::session(settings.store_url(), id),
        Store::Redis | Store::RedisCluster => redis::session(settings.store_url(), id),
    }
}

/// Makes a session one that a newer version wrote.
///
/// # Panics
/// If nobody can look into this store.
pub fn make_newer(settings: &Settings, id: &str) {
    match settings.store() {
        Store::Memory => panic!("nobody can look into another process's memory"),
        Store::Sqlite => sqlite::make_newer(&sqlite::file(settings), id),
        Store::Postgres => postgres::make_newer(settings.store_url(), id),
        Store::Redis | Store::RedisCluster => redis::make_newer(settings.store_url(), id),
    }
}

/// How many sessions the store holds.
///
/// # Panics
/// If nobody can look into this store.
pub fn sessions(settings: &Settings) -> u64 {
    match settings.store() {
        Store::Memory => panic!("nobody can look into another process's memory"),
        Store::Sqlite => sqlite::sessions(&sqlite::file(settings)),
        Store::Postgres => postgres::sessions(settings.store_url()),
        Store::Redis | Store::RedisCluster => redis::sessions(settings.store_url()),
    }
}

/// All that the store holds, as bytes to search: the files, or, of a server, everything that it tells about its contents.
///
/// # Panics
/// If nobody can look into this store.
pub fn bytes(settings: &Settings) -> Vec<u8> {
    match settings.store() {
        Store::Memory => panic!("nobody can look into another process's memory"),
        Store::Sqlite => sqlite::bytes(&sqlite::file(settings)),
        Store::Postgres => postgres::bytes(settings.store_url()),
        Store::Redis | Store::RedisCluster => redis::bytes(settings.store_url()),
    }
}

/// To the app, a store that does not answer, for as long as the value lives.
#[derive(Debug)]
pub struct Outage(Hold);

#[derive(Debug)]
enum Hold {
    Sqlite(sqlite::Outage),
    Postgres(postgres::Outage),
    Redis(redis::Outage),
}

impl Outage {
    /// Begins the outage of one app's store; others are not touched.
    ///
    /// # Panics
    /// If nothing can keep this store from answering.
    pub fn begin(settings: &Settings) -> Self {
        Self(match settings.store() {
            Store::Memory => panic!("nothing comes between an app and its own memory"),
            Store::Sqlite => Hold::Sqlite(sqlite::Outage::begin(&sqlite::file(settings))),
            Store::Postgres => Hold::Postgres(postgres::Outage::begin(settings.store_url())),
            Store::Redis | Store::RedisCluster => Hold::Redis(redis::Outage::begin(settings.store_url())),
        })
    }

    /// Ends it.
    pub fn end(self) {
        match self.0 {
            Hold::Sqlite(outage) => outage.end(),
            Hold::Postgres(outage) => outage.end(),
            Hold::Redis(outage) => outage.end(),
        }
    }
}

/// A store as it was, while no app had it open.
#[derive(Debug)]
pub struct Snapshot(Kept);

#[derive(Debug)]
enum Kept {
    Sqlite(sqlite::Snapshot),
    Postgres(postgres::Snapshot),
    Redis(redis::Snapshot),
}

impl Snapshot {
    /// Takes a copy of the store of the stopped app with these settings.
    ///
    /// # Panics
    /// If nobody can look into this store.
    pub fn of(settings: &Settings) -> Self {
        Self(match settings.store() {
            Store::Memory => panic!("nobody can look into another process's memory"),
            Store::Sqlite => Kept::Sqlite(sqlite::Snapshot::of(settings)),
            Store::Postgres => Kept::Postgres(postgres::Snapshot::of(settings.store_url())),
            Store::Redis | Store::RedisCluster => Kept::Redis(redis::Snapshot::of(settings.store_url())),
        })
    }

    /// Puts the copy back in the place of what the store holds now.
    ///
    /// # Panics
    /// If it cannot be put back.
    pub fn restore(self) {
        match self.0 {
            Kept::Sqlite(snapshot) => snapshot.restore(),
            Kept::Postgres(snapshot) => snapshot.restore(),
            Kept::Redis(snapshot) => snapshot.restore(),
        }
    }
}

/// Whether the bytes of `needle` occur in `hay`.
pub fn occurs(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|window| window == needle)
}
