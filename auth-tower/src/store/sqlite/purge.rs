//! Removing what has been over for long enough, a portion at a time.

use rusqlite::params;

use super::error::of_step;
use super::rows;
use super::transaction::WriteTransaction;
use crate::clock::Timestamp;
use crate::store::error::StoreError;
use crate::store::session::Retention;

/// Rows looked at in one transaction: a few milliseconds that a rotation may have to wait.
const PORTION: i64 = 250;

/// What one portion did.
pub(super) struct Swept {
    pub(super) removed: u64,
    pub(super) more: bool,
}

pub(super) fn sweep(work: &WriteTransaction<'_>, retention: Retention) -> Result<Swept, StoreError> {
    let now = work.now();
    let sessions_before = now - retention.sessions;
    let (mut removed, looked_at) = expired_or_ended(work, sessions_before)?;
    let mut more = looked_at == PORTION;
    let (gone, left) = left_behind(work, sessions_before)?;
    removed += u64::try_from(gone).unwrap_or(0);
    more |= left;
    let forgotten = work
        .prepare(
            "DELETE FROM auth_revocations WHERE at < ?1 AND seq IN \
             (SELECT seq FROM auth_revocations ORDER BY seq LIMIT ?2)",
        )?
        .execute(params![(now - retention.revocations).as_millis(), PORTION])
        .map_err(of_step)?;
    removed += u64::try_from(forgotten).unwrap_or(0);
    Ok(Swept { removed, more })
}

/// Also puts back what was refreshed since it was queued. Returns how many rows went and how many were looked at.
fn expired_or_ended(work: &WriteTransaction<'_>, before: Timestamp) -> Result<(u64, i64), StoreError> {
    let mut select = work.prepare(
        "SELECT id, ended, sweep_at, min(idle_expires_at, absolute_expires_at) FROM auth_sessions \
         WHERE sweep_at < ?1 ORDER BY sweep_at LIMIT ?2",
    )?;
    let mut rows = select.query(params![before.as_millis(), PORTION]).map_err(of_step)?;
    let mut due = Vec::new();
    while let Some(row) = rows.next().map_err(of_step)? {
        // Read as it is: a row with an id of a wrong length has to go like any other.
        let id: Vec<u8> = row.get(0).map_err(of_step)?;
        let ended = rows::optional(row, 1)?.is_some();
        let sweep_at = rows::integer(row, 2)?;
        let over_at = if ended { sweep_at } else { rows::integer(row, 3)? };
        due.push((id, over_at));
    }
    drop(rows);
    let mut delete = work.prepare("DELETE FROM auth_sessions WHERE id = ?1")?;
    let mut requeue = work.prepare("UPDATE auth_sessions SET sweep_at = ?2 WHERE id = ?1")?;
    let mut removed = 0;
    let mut looked_at = 0;
    for (id, over_at) in due {
        looked_at += 1;
        if over_at < before.as_millis() {
            delete.execute([id]).map_err(of_step)?;
            removed += 1;
        } else {
            requeue.execute(params![id, over_at]).map_err(of_step)?;
        }
    }
    Ok((removed, looked_at))
}

/// Sessions of epochs that were left. An epoch is forgotten only when none of its sessions is remembered.
fn left_behind(work: &WriteTransaction<'_>, before: Timestamp) -> Result<(i64, bool), StoreError> {
    let mut removed = 0;
    let mut oldest =
        work.prepare("SELECT subject_key, epoch FROM auth_epochs WHERE ended_at < ?1 ORDER BY ended_at LIMIT 1")?;
    let mut delete = work.prepare(
        "DELETE FROM auth_sessions WHERE id IN (SELECT id FROM auth_sessions INDEXED BY auth_sessions_by_subject \
         WHERE subject_key = ?1 AND ended IS NULL AND epoch < ?2 LIMIT ?3)",
    )?;
    let mut forget = work.prepare("DELETE FROM auth_epochs WHERE subject_key = ?1 AND epoch = ?2")?;
    for _ in 0..PORTION {
        let mut rows = oldest.query([before.as_millis()]).map_err(of_step)?;
        let Some(row) = rows.next().map_err(of_step)? else {
            return Ok((removed, false));
        };
        let subject: Vec<u8> = row.get(0).map_err(of_step)?;
        let epoch = rows::integer(row, 1)?;
        drop(rows);
        let room = PORTION - removed;
        let gone = delete.execute(params![subject, epoch, room]).map_err(of_step)?;
        let gone = i64::try_from(gone).unwrap_or(i64::MAX);
        removed += gone;
        if gone == room {
            return Ok((removed, true));
        }
        forget.execute(params![subject, epoch]).map_err(of_step)?;
    }
    Ok((removed, true))
}
