//! What PostgreSQL's and sqlx's errors mean to a caller. Their texts may quote SQL, a row or a host, so only codes go on.

use std::io;

use sqlx::Error;

use crate::store::error::StoreError;

/// The part of a driver's error that is passed on.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("PostgreSQL reports SQLSTATE {0}")]
    Reported(Box<str>),
    #[error("{0}")]
    Connection(io::ErrorKind),
    #[error("the connection could not be secured")]
    Tls,
    #[error("the pool of connections is exhausted")]
    Exhausted,
    #[error("the pool of connections is closed")]
    Closed,
    #[error("the server's answer was not understood")]
    Protocol,
}

/// Why a call was not even tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("too many calls are waiting")]
    TooMany,
    #[error("the database could not be reached a moment ago")]
    Down,
}

/// The error of a step on an open database.
pub(super) fn of_step(error: &Error) -> StoreError {
    match code(error).as_deref() {
        // Cancelled by our own `statement_timeout`, or by an administrator.
        Some("57014") => StoreError::Timeout,
        Some("22021" | "22P05") => StoreError::Corrupt("a text of the session cannot be kept"),
        _ if matches!(
            error,
            Error::ColumnDecode { .. } | Error::ColumnIndexOutOfBounds { .. } | Error::Decode(_)
        ) =>
        {
            StoreError::Corrupt("a column is not of its type")
        }
        _ => StoreError::unavailable(cause(error)),
    }
}

/// The error of connecting and migrating: what a person can do about it.
pub(super) fn of_opening(error: &Error) -> StoreError {
    let reason = match code(error).as_deref() {
        Some("28P01" | "28000") => "the server does not let this user in; check its name and password, and pg_hba.conf",
        Some("3D000") => "there is no such database; create it first",
        Some("42501") => "the user lacks a privilege; grant it, or migrate as another user",
        Some("25006") => READ_ONLY,
        Some("42P07" | "42710" | "42723" | "42P06") => {
            "its schema holds tables of something else; choose another schema"
        }
        Some("3F000" | "42P01" | "42703" | "42883") => "its tables are not those of this library",
        Some("53300") => "the server has no connection left; raise max_connections or lower the stores'",
        Some("57P03") => "the server is starting or stopping",
        Some("57014") => SLOW,
        // How PgBouncer refuses settings that it cannot keep apart.
        Some("08P01") => PROXIED,
        Some(_) => "PostgreSQL refused it",
        None => match error {
            Error::Configuration(_) => {
                "the address is none of PostgreSQL; write postgres://user:password@host/database"
            }
            // Which of these it is depends on what had arrived by then.
            Error::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::BrokenPipe
                ) =>
            {
                "what listens there hung up; is it PostgreSQL?"
            }
            // How rustls refuses a certificate.
            Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => INSECURE,
            Error::Io(_) => "the server cannot be reached; check the address, and that it runs",
            Error::Tls(_) => INSECURE,
            Error::PoolTimedOut => SLOW,
            _ => "what listens there does not speak PostgreSQL's protocol",
        },
    };
    StoreError::Open {
        reason,
        source: Some(cause(error).into()),
    }
}

pub(super) const READ_ONLY: &str =
    "the database is read-only: a standby, or a user whose transactions are; name the primary";
pub(super) const PROXIED: &str = "what is between here and the server does not pass on a connection's settings; behind a proxy that \
    pools transactions, such as PgBouncer, use PoolerMode::TransactionPooling";
const INSECURE: &str = "the connection cannot be secured; check the certificates, and the feature postgres-tls";
pub(super) const SLOW: &str = "the server did not answer in time";

/// A refusal to open that is not an error of the driver.
pub(super) fn refuse(reason: &'static str) -> StoreError {
    StoreError::Open { reason, source: None }
}

/// Whether a connection that met this error is as good as before.
pub(super) fn leaves_connection_sound(error: &Error) -> bool {
    // A server that has become a standby is left, because its name may lead to the new primary by now. Prepared statements
    // may call functions that were replaced since, or a proxy may have forgotten them.
    let spoilt = ["25006", "0A000", "26000", "XX000"];
    code(error)
        .is_some_and(|code| !code.starts_with("57P") && !code.starts_with("08") && !spoilt.contains(&code.as_str()))
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Database(error) => Cause::Reported(error.code().unwrap_or_default().into()),
        Error::Io(error) => Cause::Connection(error.kind()),
        Error::Tls(_) => Cause::Tls,
        Error::PoolTimedOut => Cause::Exhausted,
        Error::PoolClosed => Cause::Closed,
        _ => Cause::Protocol,
    }
}

fn code(error: &Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}
