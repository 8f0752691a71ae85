//! Noting that a generation arrived: off the request's path, coalesced, at most one write per generation.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::id::SessionId;
use crate::store::erased::ErasedStore;
use crate::store::guard::StoreGuard;
use crate::store::session::Acknowledgement;

/// Acknowledgements that wait to be written. Losing one only delays the detection of a theft, so the queue is bounded and drops.
#[derive(Debug, Default)]
pub(crate) struct Acknowledgements {
    waiting: Mutex<HashMap<SessionId, u32>>,
    arrived: Notify,
}

const CAPACITY: usize = 100_000;
const BATCH: usize = 1_000;

/// How long acknowledgements gather before they are written together; well within the promised second.
const GATHER: Duration = Duration::from_millis(200);

impl Acknowledgements {
    pub(crate) fn add(&self, session: SessionId, generation: u32) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= CAPACITY && !waiting.contains_key(&session) {
            return;
        }
        let newest = waiting.entry(session).or_insert(generation);
        *newest = generation.max(*newest);
        drop(waiting);
        self.arrived.notify_one();
    }

    fn take(&self) -> Vec<Acknowledgement> {
        let mut waiting = self.waiting.lock();
        let batch: Vec<Acknowledgement> = waiting
            .iter()
            .take(BATCH)
            .map(|(id, generation)| Acknowledgement {
                id: *id,
                generation: *generation,
            })
            .collect();
        for acknowledgement in &batch {
            waiting.remove(&acknowledgement.id);
        }
        batch
    }
}

/// Writes acknowledgements until the task is aborted.
pub(crate) async fn write(
    store: Arc<dyn ErasedStore>,
    guard: Arc<StoreGuard>,
    acknowledgements: Arc<Acknowledgements>,
    deadline: Duration,
) {
    loop {
        acknowledgements.arrived.notified().await;
        tokio::time::sleep(GATHER).await;
        loop {
            let batch = acknowledgements.take();
            if batch.is_empty() {
                break;
            }
            let written = guard.within(deadline, store.acknowledge(batch.clone())).await;
            if let Err(error) = written {
                tracing::warn!(target: "auth", %error, "arrived generations could not be noted yet");
                for acknowledgement in batch {
                    acknowledgements.add(acknowledgement.id, acknowledgement.generation);
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
                break;
            }
        }
    }
}
