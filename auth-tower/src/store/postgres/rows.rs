//! Rows as records. What a row says is believed only if all of it makes sense.

use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Decode, Row as _, Type};

use super::error;
use crate::clock::Timestamp;
use crate::id::{SessionId, Subject, SubjectKey};
use crate::session::rotation::Rotation;
use crate::session::{ClientInfo, EndReason, SessionRecord};
use crate::store::error::StoreError;
use crate::store::feed::{RevocationEvent, Revoked};

/// The form in which the migrations write rows. A row of a later form is refused, not guessed at.
const FORMAT: i16 = 1;

/// The columns of `auth.found` behind the record.
const SUBJECT_KEY: usize = 17;
const NOW: usize = 18;
const TAKEN: usize = 19;

/// A row of `auth.found`.
pub(super) struct Row {
    pub(super) record: SessionRecord,
    pub(super) now: Timestamp,
    pub(super) taken: bool,
}

/// The row of a function that always answers with one.
pub(super) fn only(rows: &[PgRow]) -> Result<&PgRow, StoreError> {
    rows.first()
        .ok_or(StoreError::Corrupt("a function of the schema is not of this library"))
}

/// `None` if there is no such session.
pub(super) fn row(row: &PgRow) -> Result<Option<Row>, StoreError> {
    if column::<Option<Vec<u8>>>(row, 0)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Row {
        record: session(row)?,
        now: Timestamp::from_millis(column(row, NOW)?),
        taken: column(row, TAKEN)?,
    }))
}

fn session(row: &PgRow) -> Result<SessionRecord, StoreError> {
    if column::<i16>(row, 1)? != FORMAT {
        return Err(StoreError::Corrupt("it is of a format that this version does not know"));
    }
    let ended = match column::<Option<i16>>(row, 12)? {
        Some(code) => Some(
            u8::try_from(code)
                .ok()
                .and_then(EndReason::from_code)
                .ok_or(StoreError::Corrupt("its revocation has no known reason"))?,
        ),
        None if column(row, 13)? => Some(EndReason::AllEnded),
        None => None,
    };
    let ip = match column::<Option<String>>(row, 15)? {
        Some(ip) => Some(ip.parse().map_err(|_| StoreError::Corrupt("its address is none"))?),
        None => None,
    };
    let id = SessionId::from_bytes(bytes(column(row, 0)?)?);
    let subject = Subject::new(column::<String>(row, 2)?).map_err(|_| StoreError::Corrupt("its subject is none"))?;
    // A subject that was overwritten must not make one person's session another's.
    if *subject.key().as_bytes() != bytes(column(row, SUBJECT_KEY)?)? {
        return Err(StoreError::Corrupt("its subject is not the one that it was made for"));
    }
    Ok(SessionRecord {
        id,
        subject,
        client_id: column::<String>(row, 3)?.into(),
        created_at: moment(row, 4)?,
        last_seen_at: moment(row, 5)?,
        rotation: Rotation {
            current: generation(column(row, 6)?)?,
            confirmed: column::<Option<i64>>(row, 7)?.map(generation).transpose()?,
            rotated_at: column::<Option<i64>>(row, 8)?.map(Timestamp::from_millis),
            seen: column(row, 9)?,
        },
        idle_expires_at: moment(row, 10)?,
        absolute_expires_at: moment(row, 11)?,
        ended,
        client: ClientInfo {
            device: column::<Option<String>>(row, 14)?.map(Into::into),
            ip,
            user_agent: column::<Option<String>>(row, 16)?.map(Into::into),
        },
    })
}

/// The entry of a row of `auth.revocations_after`, and its number; `None` where the log holds nothing new.
pub(super) fn revocation(row: &PgRow) -> Result<Option<(i64, RevocationEvent)>, StoreError> {
    let Some(number) = column::<Option<i64>>(row, 2)? else {
        return Ok(None);
    };
    let what = match (column::<Option<Vec<u8>>>(row, 3)?, column::<Option<Vec<u8>>>(row, 4)?) {
        (Some(session), None) => Revoked::Session(SessionId::from_bytes(bytes(session)?)),
        (None, Some(subject)) => Revoked::Subject {
            subject: SubjectKey::from_bytes(bytes(subject)?),
            keep: column::<Option<Vec<u8>>>(row, 5)?
                .map(|keep| bytes(keep).map(SessionId::from_bytes))
                .transpose()?,
        },
        _ => return Err(StoreError::Corrupt("an entry of the log ends nothing")),
    };
    let at = moment(row, 6)?;
    Ok(Some((number, RevocationEvent { what, at })))
}

pub(super) fn moment(row: &PgRow, place: usize) -> Result<Timestamp, StoreError> {
    column(row, place).map(Timestamp::from_millis)
}

pub(super) fn column<'row, T>(row: &'row PgRow, place: usize) -> Result<T, StoreError>
where
    T: Decode<'row, Postgres> + Type<Postgres>,
{
    row.try_get(place).map_err(|error| error::of_step(&error))
}

fn bytes<const N: usize>(bytes: Vec<u8>) -> Result<[u8; N], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt("an identifier is not of its length"))
}

fn generation(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Corrupt("a generation is out of range"))
}
