//! The revocation log, in memory.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::store::FEED_PAGE;
use crate::store::error::StoreError;
use crate::store::feed::{Cursor, RevocationEvent, RevocationPage, Revoked};

/// Revocations in the order they were made, and readers waiting for the next one.
pub(super) struct Log {
    entries: Mutex<VecDeque<(u64, RevocationEvent)>>,
    /// The number of the last entry ever appended.
    last: watch::Sender<u64>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            last: watch::Sender::new(0),
        }
    }
}

impl Log {
    /// Appends an entry, wakes the readers that wait, and returns the entry's number; numbers only grow.
    pub(super) fn append(&self, what: Revoked, at: Timestamp) -> u64 {
        let mut entries = self.entries.lock();
        let number = *self.last.borrow() + 1;
        entries.push_back((number, RevocationEvent { what, at }));
        self.last.send_replace(number);
        number
    }

    pub(super) async fn read(
        &self,
        cursor: &Cursor,
        wait: Duration,
        clock: &Clock,
    ) -> Result<RevocationPage, StoreError> {
        let mut after = match cursor.place() {
            None => 0,
            Some(place) => place
                .parse()
                .map_err(|_| StoreError::Corrupt("the cursor is not of this store"))?,
        };
        if after > *self.last.borrow() {
            // A cursor from before a restart: everything is news.
            after = 0;
        }
        let page = self.page(after, clock);
        if !page.entries.is_empty() || wait.is_zero() {
            return Ok(page);
        }
        let mut last = self.last.subscribe();
        // Whether the wait ended by an entry or by the clock, the page says.
        let _ = tokio::time::timeout(wait, last.wait_for(|last| *last > after)).await;
        Ok(self.page(after, clock))
    }

    fn page(&self, after: u64, clock: &Clock) -> RevocationPage {
        let entries = self.entries.lock();
        let now = clock.now();
        let from = entries.partition_point(|(number, _)| *number <= after);
        let mut reached = after;
        let page: Vec<RevocationEvent> = entries
            .range(from..)
            .take(FEED_PAGE)
            .map(|(number, revocation)| {
                reached = *number;
                *revocation
            })
            .collect();
        RevocationPage {
            complete: from + page.len() == entries.len(),
            entries: page,
            cursor: Cursor::at(reached.to_string()),
            now,
        }
    }

    /// Forgets at most `budget` entries made before `cutoff`.
    pub(super) fn purge(&self, cutoff: Timestamp, budget: usize) -> usize {
        let mut entries = self.entries.lock();
        let old = entries
            .iter()
            .take(budget)
            .take_while(|(_, revocation)| revocation.at < cutoff)
            .count();
        entries.drain(..old);
        if entries.len() < entries.capacity() / 4 {
            entries.shrink_to_fit();
        }
        old
    }
}
