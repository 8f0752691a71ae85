//! The only places that know the app's tables and keys, one file per store, and how bytes are searched for what must not be
//! in them.

pub(crate) mod memory;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod redis_cluster;
pub(crate) mod sqlite;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use crate::app::Settings;

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

/// What a suite must know of one store. Whatever nobody can do to a store panics, unless it says otherwise.
pub(crate) trait Backend {
    /// The value of `STORE` for a fresh store of an app whose files live in `folder`.
    fn url(&self, folder: &Path) -> OsString;

    /// The row of the session with this public id; reads only.
    fn session(&self, settings: &Settings, _id: &str) -> Row {
        out_of_reach(settings)
    }

    /// Makes a session one that a newer version wrote.
    fn make_newer(&self, settings: &Settings, _id: &str) {
        out_of_reach(settings)
    }

    /// How many sessions there are.
    fn sessions(&self, settings: &Settings) -> u64 {
        out_of_reach(settings)
    }

    /// All that is held, as bytes to search.
    fn bytes(&self, settings: &Settings) -> Vec<u8> {
        out_of_reach(settings)
    }

    /// Keeps the store from answering this app until it is undone.
    fn break_down(&self, settings: &Settings) -> Box<dyn Undo> {
        out_of_reach(settings)
    }

    /// What is held now, to be put in the place of what is held later.
    fn copy(&self, settings: &Settings) -> Box<dyn Undo> {
        out_of_reach(settings)
    }
}

fn out_of_reach(settings: &Settings) -> ! {
    panic!("nobody can reach into {:?} from outside", settings.store())
}

/// Something done to a store that can be undone.
pub(crate) trait Undo: fmt::Debug + Send {
    /// Undoes it.
    fn undo(self: Box<Self>);
}

/// What the store of an app with these settings holds of the session with this public id; reads only.
///
/// # Panics
/// If nobody can look into this store, or there is no such session.
pub fn session(settings: &Settings, id: &str) -> Row {
    settings.store().backend().session(settings, id)
}

/// Makes a session one that a newer version wrote.
///
/// # Panics
/// If nobody can look into this store.
pub fn make_newer(settings: &Settings, id: &str) {
    settings.store().backend().make_newer(settings, id);
}

/// How many sessions the store holds.
///
/// # Panics
/// If nobody can look into this store.
pub fn sessions(settings: &Settings) -> u64 {
    settings.store().backend().sessions(settings)
}

/// All that the store holds, as bytes to search: the files, or, of a server, everything that it tells about its contents.
///
/// # Panics
/// If nobody can look into this store.
pub fn bytes(settings: &Settings) -> Vec<u8> {
    settings.store().backend().bytes(settings)
}

/// To the app, a store that does not answer, for as long as the value lives.
#[derive(Debug)]
pub struct Outage(Box<dyn Undo>);

impl Outage {
    /// Begins the outage of one app's store; others are not touched.
    ///
    /// # Panics
    /// If nothing can keep this store from answering.
    pub fn begin(settings: &Settings) -> Self {
        Self(settings.store().backend().break_down(settings))
    }

    /// Ends it.
    pub fn end(self) {
        self.0.undo();
    }
}

/// A store as it was, while no app had it open.
#[derive(Debug)]
pub struct Snapshot(Box<dyn Undo>);

impl Snapshot {
    /// Takes a copy of the store of the stopped app with these settings.
    ///
    /// # Panics
    /// If nobody can look into this store.
    pub fn of(settings: &Settings) -> Self {
        Self(settings.store().backend().copy(settings))
    }

    /// Puts the copy back in the place of what the store holds now.
    ///
    /// # Panics
    /// If it cannot be put back.
    pub fn restore(self) {
        self.0.undo();
    }
}

/// Whether the bytes of `needle` occur in `hay`.
pub fn occurs(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|window| window == needle)
}
