//! The thread that reads, on a connection that cannot write.
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

use std::sync::mpsc::Receiver;
use std::time::Instant;

use rusqlite::params;

use super::error::of_step;
use super::follower::Follower;
use super::requests::Read;
use super::rows::{FIND, session_columns};
use super::transaction::ReadTransaction;
use super::{open, rows};
use crate::clock::Clock;
use crate::id::{SessionId, Subject};
use crate::session::SessionRecord;
use crate::store::error::StoreError;
use crate::store::session::Found;

pub(super) const LIST: &str = concat!(
    "SELECT ",
    session_columns!(),
    " FROM auth_sessions s INDEXED BY auth_sessions_by_subject WHERE s.subject_key = ?1 AND s.ended IS NULL \
     AND s.idle_expires_at > ?2 AND s.absolute_expires_at > ?2 AND NOT EXISTS \
     (SELECT 1 FROM auth_epochs e WHERE e.subject_key = s.subject_key AND e.epoch > s.epoch) \
     ORDER BY s.created_at DESC LIMIT ?3"
);

impl ReadTransaction<'_> {
    pub(super) fn find(&self, id: &SessionId) -> Result<Option<Found>, StoreError> {
        let mut statement = self.prepare(FIND)?;
        let mut rows = statement.query([id.as_bytes()]).map_err(of_step)?;
        let Some(row) = rows.next().map_err(of_step)? else {
            return Ok(None);
        };
        Ok(Some(Found {
            record: rows::session(row)?,
            now: self.clock.now(),
        }))
    }

    pub(super) fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        let mut statement = self.prepare(LIST)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement
            .query(params![subject.key().as_bytes(), self.clock.now().as_millis(), limit])
            .map_err(of_step)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(of_step)? {
            match rows::session(row) {
                Ok(record) if record.subject == *subject => records.push(record),
                // The subject's other sessions are sound.
                Ok(_) | Err(_) => {
                    tracing::error!(target: "auth_tower::store", "a damaged session was left out of a list");
                }
            }
        }
        records.reverse();
        Ok(records)
    }
}

/// Serves until the last handle is gone and the queue is empty.
pub(super) fn serve(mut file: Follower, clock: Clock, requests: &Receiver<Box<dyn Read>>) {
    while let Ok(request) = requests.recv() {
        let left = request.deadline().saturating_duration_since(Instant::now());
        let opened = file
            .take()
            .and_then(|opened| open::wait_for_locks(&opened.connection, left).map(|()| opened));
        match opened {
            Ok(opened) => {
                let spoiled = request.run(Ok(&ReadTransaction {
                    connection: &opened.connection,
                    clock: &clock,
                    incarnation: &opened.incarnation,
                }));
                if !spoiled {
                    file.keep(opened);
                }
            }
            Err(error) => {
                request.run(Err(&error));
            }
        }
    }
}
