//! What all clones of a store share, and the calls that most steps begin with.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::keys::{Keys, own};
use super::replicas::Replicas;
use super::replies;
use super::replies::{Left, Seen};
use super::scripts::{Call, Step};
use super::time::{ClockOffset, Remembered};
use super::waiters::Waiters;
use crate::id::SessionId;
use crate::store::error::StoreError;

/// What all clones of a store share.
pub(super) struct Inner {
    pub(super) connection: Connection,
    /// The replicas that must have a revocation before it is answered, if any.
    pub(super) replicas: Option<Arc<Replicas>>,
    pub(super) keys: Keys,
    pub(super) remembered: Remembered,
    pub(super) clock_offset: ClockOffset,
    pub(super) waiters: Waiters,
}

impl Inner {
    /// A call that begins with the clock's offset and the retention, as nearly all do.
    pub(super) fn call(&self, step: &'static Step, keys: &[&str]) -> Call {
        step.on(keys)
            .arg(self.clock_offset.millis())
            .arg(self.remembered.millis())
    }

    /// A call on one session.
    pub(super) fn call_on(&self, step: &'static Step, id: &SessionId, more_keys: &[&str]) -> Call {
        let session = self.keys.session(id);
        let mut keys = vec![&*session];
        keys.extend_from_slice(more_keys);
        self.call(step, &keys).arg(self.keys.base(id.routing())).arg(own(id))
    }

    /// Asks for a session; `call` is given the keys to add to those of the step.
    ///
    /// The absence of a session from its subject's index is believed only of a script that was given the index as a key. For
    /// other keys, a cluster does not report that they have left with their slot, or are yet to arrive.
    pub(super) async fn seen(&self, id: SessionId, call: impl Fn(&[&str]) -> Call) -> Result<Option<Seen>, StoreError> {
        let ask = async |call: Call| replies::seen(id, &self.connection.call(&call).await?);
        let asked = async {
            let seen = ask(call(&[])).await?;
            let Some(doubtful) = seen.as_ref().filter(|seen| seen.left != Left::No) else {
                return Ok(seen);
            };
            if !self.connection.opener().is_cluster() {
                return Ok(seen);
            }
            let subject = &doubtful.record.subject;
            ask(call(&[&self.keys.index(subject), &self.keys.epochs(subject)])).await
        };
        let seen = timeout(self.connection.deadline(), asked).await;
        let seen = seen.unwrap_or(Err(StoreError::Timeout))?;
        Ok(seen.filter(|seen| seen.left != Left::Forgotten))
    }

    /// Waits for the replicas, if the options ask for that. The revocation is in force whatever the outcome.
    pub(super) async fn replicated(&self, routing: [u8; 2], until: Instant) -> Result<(), StoreError> {
        match &self.replicas {
            Some(replicas) => replicas.have_all(routing, until).await,
            None => Ok(()),
        }
    }
}
