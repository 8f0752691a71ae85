//! What the server's and the client's errors mean to a caller. Their texts may name a host, a key or a script, so only their
//! kinds are passed on.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::error::StoreError;

/// Why a server did not carry a call out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the connection was refused")]
    Refused,
    #[error("the connection was lost")]
    Lost,
    #[error("the network reports an error")]
    Network,
    #[error("the server's certificate is not trusted, or it does not speak TLS")]
    Tls,
    #[error("there is no answer")]
    Silent,
    #[error("what answers does not speak the Redis protocol")]
    Protocol,
    #[error("the server asks for a user and password, or they are wrong")]
    Denied,
    #[error("the user may not run what this library needs")]
    Forbidden,
    #[error("the server is still loading its data")]
    Loading,
    #[error("the server is a replica and may not be written to")]
    ReadOnly,
    #[error("the server has lost its primary")]
    NoPrimary,
    #[error("the server has too few replicas to be allowed to write")]
    NoReplicas,
    #[error("the cluster has a slot that no node serves")]
    Cluster,
    #[error("the cluster is moving the slot, and not all keys have arrived")]
    Moving,
    #[error("the server is out of memory")]
    Memory,
    #[error("the server cannot save its data to disk")]
    Disk,
    #[error("the server is busy with a script")]
    Busy,
    #[error("the server did not know a script that it was just given")]
    Script,
    #[error("too many calls are waiting")]
    Queue,
    #[error("the last attempt to connect failed a moment ago")]
    Down,
    #[error("too few replicas have the revocation in time")]
    Replicas,
    #[error("the server answered with an error")]
    Other,
}

impl Fault {
    pub(super) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Denied,
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported => Self::Protocol,
            ErrorKind::ClusterConnectionNotFound => Self::Cluster,
            ErrorKind::Io if error.is_connection_refusal() => Self::Refused,
            ErrorKind::Io if error.is_timeout() => Self::Silent,
            ErrorKind::Io if error.is_connection_dropped() => Self::Lost,
            ErrorKind::Io if is_tls(error) => Self::Tls,
            ErrorKind::Io => Self::Network,
            ErrorKind::Server(kind) => match kind {
                ServerErrorKind::BusyLoading => Self::Loading,
                ServerErrorKind::ReadOnly => Self::ReadOnly,
                ServerErrorKind::MasterDown => Self::NoPrimary,
                ServerErrorKind::NoPerm => Self::Forbidden,
                ServerErrorKind::NoScript => Self::Script,
                ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::CrossSlot => Self::Cluster,
                ServerErrorKind::TryAgain => Self::Moving,
                _ => Self::of_code(error),
            },
            _ => Self::of_code(error),
        }
    }

    fn of_code(error: &RedisError) -> Self {
        match error.code() {
            Some("NOAUTH" | "WRONGPASS") => Self::Denied,
            Some("NOREPLICAS") => Self::NoReplicas,
            Some("OOM") => Self::Memory,
            Some("MISCONF") => Self::Disk,
            Some("BUSY") => Self::Busy,
            _ => Self::Other,
        }
    }
}

fn is_tls(error: &RedisError) -> bool {
    // The driver passes its cause on in the form that it keeps.
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
}

/// The error of a step.
pub(super) fn of_step(error: &RedisError) -> StoreError {
    if error.code() == Some("WRONGTYPE") {
        return StoreError::Corrupt("a key of this store holds something else");
    }
    StoreError::unavailable(Fault::of(error))
}

/// A refusal to open, with a reason that a person can act on.
pub(super) fn refuse(reason: &'static str, fault: impl Into<Option<Fault>>) -> StoreError {
    StoreError::Open {
        reason,
        source: fault.into().map(Into::into),
    }
}

/// A reply that no script of this store gives.
pub(super) const UNEXPECTED_REPLY: StoreError = StoreError::Corrupt("a script gave an unexpected reply");
