//! What a request works with: a transaction that reads, or one that writes.

use std::cell::Cell;

use rusqlite::{CachedStatement, Connection};

use super::error::of_step;
use super::file::Incarnation;
use crate::clock::{Clock, Timestamp};
use crate::store::error::StoreError;

/// What a request reads with.
pub(super) struct ReadTransaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) clock: &'a Clock,
    pub(super) incarnation: &'a Incarnation,
}

impl ReadTransaction<'_> {
    pub(super) fn prepare(&self, sql: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection.prepare_cached(sql).map_err(of_step)
    }
}

/// What a request writes with.
pub(super) struct WriteTransaction<'a> {
    pub(super) connection: &'a Connection,
    clock: &'a Clock,
    appended: Cell<bool>,
}

impl<'a> WriteTransaction<'a> {
    pub(super) fn new(connection: &'a Connection, clock: &'a Clock) -> Self {
        Self {
            connection,
            clock,
            appended: Cell::new(false),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn prepare(&self, sql: &'static str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection.prepare_cached(sql).map_err(of_step)
    }

    pub(super) fn execute(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.raw_execute().map(drop)
    }

    /// Notes that the revocation log grew, so that its readers are woken after the commit.
    pub(super) fn append(&self) {
        self.appended.set(true);
    }

    /// Whether the revocation log grew.
    pub(super) fn appended(&self) -> bool {
        self.appended.get()
    }

    /// Forgets that the revocation log grew since it was `before`, because the request was undone.
    pub(super) fn restore_appended(&self, before: bool) {
        self.appended.set(before);
    }
}
