//! Connections to a single server that wait for revocations and do nothing else.

use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};
use tokio::time::timeout;

use super::connection::Connection;
use super::error::of_step;
use crate::store::error::StoreError;

/// As many connections are kept while no reader waits.
const IDLE: usize = 2;

/// Connections for the next readers. Each belongs to the common connection of its time: when that is lost, the server may be
/// another one, and these would wait for the old.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Vec<(u64, MultiplexedConnection)>>);

impl Waiters {
    /// Sends a command that the server answers within `patience`, with news or without.
    pub(super) async fn wait(&self, common: &Connection, command: &Cmd, patience: Duration) -> Result<(), StoreError> {
        let number = common.number();
        let idle = {
            let mut idle = self.0.lock();
            idle.retain(|(of, _)| *of == number);
            idle.pop()
        };
        let mut waiter = match idle {
            Some((_, waiter)) => waiter,
            None => common.opener().open_apart().await?,
        };
        // A waiter that is dropped here, because its caller is gone, closes a connection that the server still serves.
        timeout(patience + common.deadline(), command.query_async::<Value>(&mut waiter))
            .await
            .map_err(|_| StoreError::Timeout)?
            .map_err(|error| of_step(&error))?;
        let mut idle = self.0.lock();
        if idle.len() < IDLE {
            idle.push((number, waiter));
        }
        Ok(())
    }
}
