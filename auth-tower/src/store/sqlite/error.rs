//! What SQLite's errors mean to a caller. Their texts may quote SQL or a path, so only their codes go on.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::error::StoreError;

/// The error of a step on an open database.
pub(super) fn of_step(error: Error) -> StoreError {
    of_batch(&error)
}

/// The same, for each of those whom one error has hit.
pub(super) fn of_batch(error: &Error) -> StoreError {
    match code(error) {
        Some(cause) if cause.extended_code == ffi::SQLITE_READONLY_DBMOVED => StoreError::unavailable(Moved),
        // Also where the file is damaged: that is no fault of one session, and nothing was carried out.
        Some(cause) => StoreError::unavailable(cause),
        None => StoreError::Corrupt("a column is not of its type"),
    }
}

/// The names of the files lead elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("its file was removed or replaced")]
pub(super) struct Moved;

pub(super) fn is_moved(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(cause) if cause.is::<Moved>())
}

/// What SQLite itself says where it notices the same.
pub(super) fn moved() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), None)
}

/// Somebody else uses what is needed alone.
pub(super) fn busy() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)
}

/// The error of opening a database: what a person can do about it.
pub(super) fn of_opening(error: Error) -> StoreError {
    let Some(cause) = code(&error) else {
        return refuse("its tables are not those of this library");
    };
    let reason = match cause.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => return StoreError::unavailable(cause),
        ErrorCode::NotADatabase => "the file is not an SQLite database; name another file, or move this one away",
        ErrorCode::DatabaseCorrupt => DAMAGED,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => READ_ONLY,
        ErrorCode::CannotOpen => "the file cannot be opened; check that it and its folder may be read and written",
        ErrorCode::DiskFull => "the disk is full",
        ErrorCode::SystemIoFailure => "the disk reports an error, or the folder does not support SQLite's locks",
        _ => "SQLite refused it",
    };
    StoreError::Open {
        reason,
        source: Some(cause.into()),
    }
}

pub(super) const DAMAGED: &str = "the database is damaged; restore it from a backup, or move it away to begin anew";
pub(super) const READ_ONLY: &str = "the file or its folder may not be written to";

/// A refusal to open that SQLite has nothing to say about.
pub(super) fn refuse(reason: &'static str) -> StoreError {
    StoreError::Open { reason, source: None }
}

fn code(error: &Error) -> Option<ffi::Error> {
    match error {
        Error::SqliteFailure(cause, _) | Error::SqlInputError { error: cause, .. } => Some(*cause),
        _ => None,
    }
}

/// What a caller is told whose step met the error of opening a file again.
pub(super) fn spoiled_by(error: StoreError) -> Error {
    match error {
        StoreError::Unavailable(cause) => match cause.downcast::<ffi::Error>() {
            Ok(cause) => Error::SqliteFailure(*cause, None),
            Err(_) => moved(),
        },
        StoreError::Corrupt(_) | StoreError::Timeout | StoreError::Full | StoreError::Open { .. } => moved(),
    }
}

/// Whether the connection itself may be at fault, so that a new one is worth a try.
pub(super) fn spoils_connection(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable(cause) => cause
            .downcast_ref::<ffi::Error>()
            .is_none_or(|cause| !matches!(cause.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)),
        StoreError::Corrupt(_) | StoreError::Timeout | StoreError::Full | StoreError::Open { .. } => false,
    }
}
