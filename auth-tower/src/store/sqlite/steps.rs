//! What the writer does inside its transaction.

use rusqlite::{OptionalExtension, params};

use super::error::of_step;
use super::rows;
use super::rows::{FIND, FORMAT, NEXT_COLUMN};
use super::transaction::WriteTransaction;
use crate::clock::Timestamp;
use crate::id::{SessionId, SubjectKey};
use crate::session::{EndReason, SessionRecord};
use crate::store::error::StoreError;
use crate::store::session::{Acknowledgement, Advance, Advanced, AllEnded, Found, NewSession};

pub(super) const CREATE: &str = "INSERT INTO auth_sessions (id, format, subject, subject_key, epoch, client_id, created_at, \
    last_seen_at, generation, confirmed, rotated_at, seen, idle_expires_at, absolute_expires_at, ended, sweep_at, device, \
    ip, user_agent) VALUES (?1, ?2, ?3, ?4, \
    coalesce((SELECT max(epoch) FROM auth_epochs WHERE subject_key = ?4), 0), \
    ?5, ?6, ?6, ?7, NULL, NULL, 0, ?8, ?9, NULL, ?8, ?10, ?11, ?12)";

/// One statement, so that it is atomic without a savepoint, for which SQLite would copy every page that it changes.
pub(super) const ADVANCE: &str = "UPDATE auth_sessions SET generation = ?2, confirmed = ?3, rotated_at = ?4, seen = 0, \
    last_seen_at = ?4, idle_expires_at = ?5 WHERE id = ?1 AND generation = ?6 AND ended IS NULL";

/// The same for the rare session that a purge now has to look at earlier than its index says.
const ADVANCE_AND_HASTEN: &str = "UPDATE auth_sessions SET generation = ?2, confirmed = ?3, rotated_at = ?4, seen = 0, \
    last_seen_at = ?4, idle_expires_at = ?5, sweep_at = ?5 WHERE id = ?1 AND generation = ?6 AND ended IS NULL";

pub(super) const ACKNOWLEDGE: &str = "UPDATE auth_sessions AS s SET seen = 1, last_seen_at = ?3 WHERE id = ?1 AND generation = ?2 \
    AND seen = 0 AND ended IS NULL AND idle_expires_at > ?3 AND absolute_expires_at > ?3 AND format = 1 AND NOT EXISTS \
    (SELECT 1 FROM auth_epochs e WHERE e.subject_key = s.subject_key AND e.epoch > s.epoch)";

/// The sessions that are live by the index alone, and those whose rows have to be read.
pub(super) const COUNT_LIVE: &str = "SELECT \
    (SELECT count(*) FROM auth_sessions INDEXED BY auth_sessions_by_subject \
     WHERE subject_key = ?1 AND ended IS NULL AND epoch >= ?2 AND sweep_at > ?3) + \
    (SELECT count(*) FROM auth_sessions INDEXED BY auth_sessions_by_subject \
     WHERE subject_key = ?1 AND ended IS NULL AND epoch >= ?2 AND sweep_at <= ?3 \
       AND idle_expires_at > ?3 AND absolute_expires_at > ?3)";

struct Row {
    record: SessionRecord,
    sweep_at: Timestamp,
    subject: SubjectKey,
}

/// `None` if there is no such row; the inner error if what it says makes no sense.
fn row(work: &WriteTransaction<'_>, id: &SessionId) -> Result<Option<Result<Row, StoreError>>, StoreError> {
    let mut statement = work.prepare(FIND)?;
    let mut rows = statement.query([id.as_bytes()]).map_err(of_step)?;
    Ok(rows.next().map_err(of_step)?.map(|row| {
        Ok(Row {
            record: rows::session(row)?,
            sweep_at: Timestamp::from_millis(rows::integer(row, NEXT_COLUMN)?),
            subject: SubjectKey::from_bytes(rows::bytes(row, NEXT_COLUMN + 1)?),
        })
    }))
}

pub(super) fn create(work: &WriteTransaction<'_>, session: &NewSession) -> Result<SessionRecord, StoreError> {
    let record = SessionRecord::begin(
        session.id,
        session.subject.clone(),
        session.client_id.clone(),
        session.lifetime,
        session.client.clone(),
        work.now(),
    );
    let key = session.subject.key();
    let inserted = work.prepare(CREATE)?.execute(params![
        record.id.as_bytes(),
        FORMAT,
        record.subject.as_str(),
        key.as_bytes(),
        &*record.client_id,
        record.created_at.as_millis(),
        record.rotation.current,
        record.idle_expires_at.as_millis(),
        record.absolute_expires_at.as_millis(),
        record.client.device.as_deref(),
        record.client.ip.map(|ip| ip.to_string()),
        record.client.user_agent.as_deref(),
    ]);
    match inserted {
        Ok(_) => Ok(record),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
            Err(StoreError::Corrupt("the session id is already in use"))
        }
        Err(error) => Err(of_step(error)),
    }
}

pub(super) fn advance(
    work: &WriteTransaction<'_>,
    id: &SessionId,
    step: &Advance,
) -> Result<Option<Advanced>, StoreError> {
    let Some(row) = row(work, id)?.transpose()? else {
        return Ok(None);
    };
    let now = work.now();
    let taken = step.allowed(&row.record, now);
    if taken {
        // The transaction holds the write lock since before the row was read, so what was judged is what is changed.
        let rotation = &row.record.rotation;
        let idle_expires_at = (now + step.idle).min(row.record.absolute_expires_at);
        let sql = if idle_expires_at < row.sweep_at {
            ADVANCE_AND_HASTEN
        } else {
            ADVANCE
        };
        let changed = work
            .prepare(sql)?
            .execute(params![
                id.as_bytes(),
                step.current,
                step.confirmed,
                now.as_millis(),
                idle_expires_at.as_millis(),
                rotation.current,
            ])
            .map_err(of_step)?;
        if changed != 1 {
            return Err(StoreError::Corrupt("a row changed under its lock"));
        }
    }
    Ok(Some(Advanced {
        before: row.record,
        taken,
        now,
    }))
}

pub(super) fn acknowledge(work: &WriteTransaction<'_>, acknowledgements: &[Acknowledgement]) -> Result<(), StoreError> {
    let mut statement = work.prepare(ACKNOWLEDGE)?;
    let now = work.now().as_millis();
    for one in acknowledgements {
        statement
            .execute(params![one.id.as_bytes(), one.generation, now])
            .map_err(of_step)?;
    }
    Ok(())
}

/// The inner error is that of a damaged row, which was ended all the same, because its access tokens may still be valid.
pub(super) fn end(
    work: &WriteTransaction<'_>,
    id: &SessionId,
    reason: EndReason,
) -> Result<Result<Option<Found>, StoreError>, StoreError> {
    let now = work.now();
    let (answer, live) = match row(work, id)? {
        None => return Ok(Ok(None)),
        Some(Ok(row)) => {
            let live = row.record.status(now).is_none();
            let record = row.record;
            (Ok(Some(Found { record, now })), live)
        }
        Some(Err(damage)) => (Err(damage), true),
    };
    if live {
        let changed = work
            .prepare("UPDATE auth_sessions SET ended = ?2, sweep_at = ?3 WHERE id = ?1 AND ended IS NULL")?
            .execute(params![id.as_bytes(), reason.code(), now.as_millis()])
            .map_err(of_step)?;
        if changed == 1 {
            work.prepare("INSERT INTO auth_revocations (session, reason, at) VALUES (?1, ?2, ?3)")?
                .execute(params![id.as_bytes(), reason.code(), now.as_millis()])
                .map_err(of_step)?;
            work.append();
        }
    }
    Ok(answer)
}

pub(super) fn end_all(
    work: &WriteTransaction<'_>,
    subject: &SubjectKey,
    keep: Option<&SessionId>,
    reason: EndReason,
) -> Result<AllEnded, StoreError> {
    let now = work.now();
    let keep = match keep {
        None => None,
        // A damaged session is not kept: nothing of it is believed.
        Some(id) => row(work, id)?
            .and_then(Result::ok)
            .filter(|row| row.subject == *subject && row.record.status(now).is_none())
            .map(|_| id),
    };
    let epoch: i64 = work
        .prepare("SELECT coalesce(max(epoch), 0) FROM auth_epochs WHERE subject_key = ?1")?
        .query_row([subject.as_bytes()], |row| row.get(0))
        .map_err(of_step)?;
    let live: i64 = work
        .prepare(COUNT_LIVE)?
        .query_row(params![subject.as_bytes(), epoch, now.as_millis()], |row| row.get(0))
        .map_err(of_step)?;
    let next: i64 = work
        .prepare("INSERT INTO auth_revocations (subject, keep, reason, at) VALUES (?1, ?2, ?3, ?4) RETURNING seq")?
        .query_row(
            params![
                subject.as_bytes(),
                keep.map(SessionId::as_bytes),
                reason.code(),
                now.as_millis()
            ],
            |row| row.get(0),
        )
        .map_err(of_step)?;
    work.append();
    let anything: Option<i64> = work
        .prepare("SELECT 1 FROM auth_sessions WHERE subject_key = ?1 AND ended IS NULL LIMIT 1")?
        .query_row([subject.as_bytes()], |row| row.get(0))
        .optional()
        .map_err(of_step)?;
    if anything.is_some() {
        work.prepare("INSERT INTO auth_epochs (subject_key, epoch, ended_at) VALUES (?1, ?2, ?3)")?
            .execute(params![subject.as_bytes(), next, now.as_millis()])
            .map_err(of_step)?;
    }
    if let Some(id) = keep {
        work.prepare("UPDATE auth_sessions SET epoch = ?2 WHERE id = ?1")?
            .execute(params![id.as_bytes(), next])
            .map_err(of_step)?;
    }
    let ended = live - i64::from(keep.is_some());
    Ok(AllEnded {
        ended: u64::try_from(ended).unwrap_or(0),
        at: now,
    })
}
