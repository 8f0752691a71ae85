//! Waiting until replicas have what was written.
//!
//! `WAIT` blocks all later commands on its connection, so it has a connection of its own. There a write of no consequence
//! precedes it: a replica that has this write has all earlier writes of the server. Calls that arrive while another waits share
//! the next such pair, so the commands that wait at the server do not grow in number while the replicas are away.

#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::error::Fault;
use super::keys::{Keys, PARTS};
use crate::store::deadline::with_deadline;
use crate::store::error::StoreError;

pub(super) struct Replicas {
    connection: Connection,
    wanted: u32,
    keys: Keys,
    /// One for a server, one for each part of a cluster.
    queues: Box<[Queue]>,
}

#[derive(Default)]
struct Queue {
    asked: AtomicU64,
    /// The last of them that the replicas are known to have satisfied. Locked by the call that waits at the server.
    satisfied: Arc<Mutex<u64>>,
}

impl Replicas {
    pub(super) fn new(connection: Connection, wanted: u32, keys: Keys) -> Self {
        let queues = if connection.opener().is_cluster() { PARTS } else { 1 };
        Self {
            connection,
            wanted,
            keys,
            queues: (0..queues).map(|_| Queue::default()).collect(),
        }
    }

    /// Returns when enough replicas have what was written to the part of `routing` before.
    pub(super) async fn have_all(self: &Arc<Self>, routing: [u8; 2], until: Instant) -> Result<(), StoreError> {
        let _room = self.connection.room().map_err(|_| StoreError::Timeout)?;
        let part = Keys::part(routing);
        let queue = self
            .queues
            .get(part)
            .or(self.queues.first())
            .ok_or(StoreError::Timeout)?;
        let number = queue.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let satisfied = async {
            let satisfied = queue.satisfied.clone().lock_owned().await;
            if *satisfied >= number {
                return Ok(());
            }
            // Calls that have arrived by now are satisfied too. In a task, because the turn goes on when its caller gives up. The
            // task takes the caller's deadline along.
            let turn = self
                .clone()
                .turn(satisfied, queue.asked.load(Ordering::SeqCst), routing, until);
            tokio::spawn(with_deadline(self.connection.deadline(), turn))
                .await
                .unwrap_or(Err(StoreError::Timeout))
        };
        timeout_at(until, satisfied).await.unwrap_or(Err(StoreError::Timeout))
    }

    async fn turn(
        self: Arc<Self>,
        mut satisfied: OwnedMutexGuard<u64>,
        asked: u64,
        routing: [u8; 2],
        until: Instant,
    ) -> Result<(), StoreError> {
        let (marker, slot) = (self.keys.marker(routing), self.keys.slot(routing));
        let queues = u32::try_from(self.queues.len()).unwrap_or(u32::MAX);
        let mut count = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left < self.connection.deadline() / 10 {
                break;
            }
            // The server gives up first, also if all queues are waited for on one connection.
            let patience = left.mul_f32(0.8) / queues;
            match self
                .connection
                .write_and_wait(&marker, slot, self.wanted, patience)
                .await
            {
                Ok(had) if had >= self.wanted => {
                    *satisfied = asked;
                    return Ok(());
                }
                Ok(had) => count = had,
                Err(error) => {
                    tracing::warn!(target: "auth_tower::store", %error, "replicas cannot be waited for");
                    return Err(StoreError::Timeout);
                }
            }
        }
        tracing::warn!(target: "auth_tower::store", count, wanted = self.wanted, "{}", Fault::Replicas);
        Err(StoreError::Timeout)
    }
}
