//! The replies of the scripts.

use redis::Value;

use super::error::UNEXPECTED_REPLY;
use super::records;
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::session::SessionRecord;
use crate::store::error::StoreError;
use crate::store::session::{AllEnded, Found};

/// A session as a script saw it, the moment, and the rest of the reply.
pub(super) struct Seen {
    pub(super) record: SessionRecord,
    pub(super) now: Timestamp,
    pub(super) taken: bool,
    pub(super) left: Left,
}

impl Seen {
    pub(super) fn found(self) -> Found {
        Found {
            record: self.record,
            now: self.now,
        }
    }
}

/// Whether a session was left behind, as `LEFT` in `prelude.lua` encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    No,
    Remembered,
    Forgotten,
}

/// The length of the successor's head, which precedes the record in the reply to a step that was taken.
const MOVED: usize = 35;

/// `None` if there is no such session.
pub(super) fn seen(id: SessionId, answer: &Value) -> Result<Option<Seen>, StoreError> {
    let parts = match answer {
        Value::Nil => return Ok(None),
        Value::Array(parts) => parts,
        Value::BulkString(both) => {
            let (moved, packed) = both.split_at_checked(MOVED).ok_or(UNEXPECTED_REPLY)?;
            return Ok(Some(Seen {
                record: records::record(id, packed, false)?,
                now: records::rotated_at(moved)?,
                taken: true,
                left: Left::No,
            }));
        }
        _ => return Err(UNEXPECTED_REPLY),
    };
    let [now, left, Value::BulkString(packed)] = &parts[..] else {
        return Err(UNEXPECTED_REPLY);
    };
    let left = match number(left)? {
        0 => Left::No,
        1 => Left::Remembered,
        2 => Left::Forgotten,
        _ => return Err(UNEXPECTED_REPLY),
    };
    Ok(Some(Seen {
        record: records::record(id, packed, left != Left::No)?,
        now: moment(now)?,
        taken: false,
        left,
    }))
}

pub(super) fn all_ended(answer: &Value) -> Result<AllEnded, StoreError> {
    let Value::Array(parts) = answer else {
        return Err(UNEXPECTED_REPLY);
    };
    let [at, ended] = &parts[..] else {
        return Err(UNEXPECTED_REPLY);
    };
    Ok(AllEnded {
        ended: u64::try_from(number(ended)?).unwrap_or(0),
        at: moment(at)?,
    })
}

/// When the list was made, and the sessions in it that could be read; `None` if there were too many to be sorted there.
pub(super) fn list(answer: &Value) -> Result<(Timestamp, Option<Vec<SessionRecord>>), StoreError> {
    let Value::Array(parts) = answer else {
        return Err(UNEXPECTED_REPLY);
    };
    match &parts[..] {
        [now] => Ok((moment(now)?, None)),
        [now, Value::Array(pairs)] => {
            let mut records = Vec::with_capacity(pairs.len() / 2);
            for pair in pairs.chunks_exact(2) {
                let [Value::BulkString(id), Value::BulkString(packed)] = pair else {
                    return Err(UNEXPECTED_REPLY);
                };
                let id = <[u8; 18]>::try_from(&id[..]).map_err(|_| UNEXPECTED_REPLY)?;
                match records::record(SessionId::from_bytes(id), packed, false) {
                    Ok(record) => records.push(record),
                    // The subject's other sessions are sound.
                    Err(_) => left_out(),
                }
            }
            Ok((moment(now)?, Some(records)))
        }
        _ => Err(UNEXPECTED_REPLY),
    }
}

pub(super) fn left_out() {
    tracing::error!(target: "auth_tower::store", "a damaged session was left out of a list");
}

pub(super) fn moment(value: &Value) -> Result<Timestamp, StoreError> {
    number(value).map(Timestamp::from_millis)
}

pub(super) fn number(value: &Value) -> Result<i64, StoreError> {
    match value {
        Value::Int(number) => Ok(*number),
        _ => Err(UNEXPECTED_REPLY),
    }
}
