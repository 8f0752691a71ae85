//! Rows as records. What a row says is believed only if all of it makes sense.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::clock::Timestamp;
use crate::id::{SessionId, Subject, SubjectKey};
use crate::session::rotation::Rotation;
use crate::session::{ClientInfo, EndReason, SessionRecord};
use crate::store::error::StoreError;
use crate::store::feed::{RevocationEvent, Revoked};

/// The form in which this version writes rows. A row of a later form is refused, not guessed at.
pub(super) const FORMAT: i64 = 1;

/// The columns that [`session`] reads, of a table called `s`.
macro_rules! session_columns {
    () => {
        "s.id, s.format, s.subject, s.client_id, s.created_at, s.last_seen_at, s.generation, s.confirmed, s.rotated_at, \
         s.seen, s.idle_expires_at, s.absolute_expires_at, s.ended, s.device, s.ip, s.user_agent, \
         EXISTS (SELECT 1 FROM auth_epochs e WHERE e.subject_key = s.subject_key AND e.epoch > s.epoch)"
    };
}
pub(super) use session_columns;

/// One session by its id, followed by what its row says beside the record.
pub(super) const FIND: &str = concat!(
    "SELECT ",
    session_columns!(),
    ", s.sweep_at, s.subject_key FROM auth_sessions s WHERE s.id = ?1"
);

/// The first column after [`session_columns!`].
pub(super) const NEXT_COLUMN: usize = 17;

/// The record of a row of [`session_columns!`].
pub(super) fn session(row: &Row<'_>) -> Result<SessionRecord, StoreError> {
    if integer(row, 1)? != FORMAT {
        return Err(StoreError::Corrupt("it is of a format that this version does not know"));
    }
    let ended = match optional(row, 12)? {
        Some(code) => Some(
            u8::try_from(code)
                .ok()
                .and_then(EndReason::from_code)
                .ok_or(StoreError::Corrupt("its revocation has no known reason"))?,
        ),
        None if integer(row, 16)? != 0 => Some(EndReason::AllEnded),
        None => None,
    };
    let ip = match text(row, 14)? {
        Some(ip) => Some(ip.parse().map_err(|_| StoreError::Corrupt("its address is none"))?),
        None => None,
    };
    let client = ClientInfo {
        device: text(row, 13)?.map(Into::into),
        ip,
        user_agent: text(row, 15)?.map(Into::into),
    };
    Ok(SessionRecord {
        id: SessionId::from_bytes(bytes(row, 0)?),
        subject: text(row, 2)?
            .and_then(|subject| Subject::new(subject).ok())
            .ok_or(StoreError::Corrupt("its subject is none"))?,
        client_id: text(row, 3)?.ok_or(StoreError::Corrupt("it has no client"))?.into(),
        created_at: Timestamp::from_millis(integer(row, 4)?),
        last_seen_at: Timestamp::from_millis(integer(row, 5)?),
        rotation: Rotation {
            current: generation(integer(row, 6)?)?,
            confirmed: optional(row, 7)?.map(generation).transpose()?,
            rotated_at: optional(row, 8)?.map(Timestamp::from_millis),
            seen: match integer(row, 9)? {
                0 => false,
                1 => true,
                _ => return Err(StoreError::Corrupt("it is neither seen nor unseen")),
            },
        },
        idle_expires_at: Timestamp::from_millis(integer(row, 10)?),
        absolute_expires_at: Timestamp::from_millis(integer(row, 11)?),
        ended,
        client,
    })
}

/// The entry of a row `(seq, session, subject, keep, at)`, and its number.
pub(super) fn revocation(row: &Row<'_>) -> Result<(i64, RevocationEvent), StoreError> {
    let what = match (value(row, 1)?, value(row, 2)?) {
        (ValueRef::Blob(_), ValueRef::Null) => Revoked::Session(SessionId::from_bytes(bytes(row, 1)?)),
        (ValueRef::Null, ValueRef::Blob(_)) => Revoked::Subject {
            subject: SubjectKey::from_bytes(bytes(row, 2)?),
            keep: match value(row, 3)? {
                ValueRef::Null => None,
                _ => Some(SessionId::from_bytes(bytes(row, 3)?)),
            },
        },
        _ => return Err(StoreError::Corrupt("an entry of the log ends nothing")),
    };
    let at = Timestamp::from_millis(integer(row, 4)?);
    Ok((integer(row, 0)?, RevocationEvent { what, at }))
}

pub(super) fn integer(row: &Row<'_>, column: usize) -> Result<i64, StoreError> {
    optional(row, column)?.ok_or(StoreError::Corrupt("a number is missing"))
}

pub(super) fn optional(row: &Row<'_>, column: usize) -> Result<Option<i64>, StoreError> {
    match value(row, column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number)),
        _ => Err(StoreError::Corrupt("a column is not of its type")),
    }
}

pub(super) fn bytes<const N: usize>(row: &Row<'_>, column: usize) -> Result<[u8; N], StoreError> {
    match value(row, column)? {
        ValueRef::Blob(blob) => blob
            .try_into()
            .map_err(|_| StoreError::Corrupt("an identifier is not of its length")),
        _ => Err(StoreError::Corrupt("a column is not of its type")),
    }
}

fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<Option<&'row str>, StoreError> {
    match value(row, column)? {
        ValueRef::Null => Ok(None),
        ValueRef::Text(text) => std::str::from_utf8(text)
            .map(Some)
            .map_err(|_| StoreError::Corrupt("a text is not UTF-8")),
        _ => Err(StoreError::Corrupt("a column is not of its type")),
    }
}

fn value<'row>(row: &'row Row<'_>, column: usize) -> Result<ValueRef<'row>, StoreError> {
    row.get_ref(column).map_err(super::error::of_step)
}

fn generation(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Corrupt("a generation is out of range"))
}
