//! The connections that only read, and change over after the writer.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use super::file::{DatabaseFile, Opened, Slot};
use super::requests::{Look, Write};

/// A connection that only reads, and changes over after the writer.
pub(super) struct Follower {
    file: Arc<DatabaseFile>,
    writer: SyncSender<Box<dyn Write>>,
    slot: Slot,
}

impl Follower {
    pub(super) fn new(file: Arc<DatabaseFile>, writer: SyncSender<Box<dyn Write>>) -> Self {
        Self {
            slot: file.slot(),
            file,
            writer,
        }
    }

    /// The connection that was kept, or a new one, to what lies at the path now.
    pub(super) fn take(&mut self) -> rusqlite::Result<Opened> {
        let taken = self.try_take();
        if taken.is_err() {
            // The writer looks what lies there. Full means that it is about to look anyway.
            let _ = self.writer.try_send(Box::new(Look));
        }
        taken
    }

    /// Keeps it for its next use.
    pub(super) fn keep(&mut self, opened: Opened) {
        self.file.keep(opened, &self.slot);
    }

    fn try_take(&mut self) -> rusqlite::Result<Opened> {
        let kept = self.slot.lock().take();
        self.file.follow(kept)
    }
}

impl Drop for Follower {
    /// The writer closes last: only it can put the log into the database.
    fn drop(&mut self) {
        drop(self.slot.lock().take());
    }
}
