//! What happened, for logs and for the application.

pub(crate) mod metrics;

use crate::id::{SessionId, Subject};
use crate::session::EndReason;

/// Something worth knowing about a session. Carries identifiers, never a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody signed in.
    SignedIn {
        /// Who.
        subject: Subject,
        /// The new session.
        session: SessionId,
    },
    /// A sign-in was refused for its credentials.
    SignInRefused,
    /// A refresh token was exchanged and its session rotated.
    Rotated {
        /// The session.
        session: SessionId,
        /// Its new generation.
        generation: u32,
    },
    /// A predecessor was presented within the grace and answered.
    ReplayServed {
        /// The session.
        session: SessionId,
        /// The generation that was presented.
        generation: u32,
    },
    /// A predecessor was presented after the grace while its successor had never been seen: a lost response, or a thief
    /// whom the lost successor will give away.
    Recovered {
        /// The session.
        session: SessionId,
        /// Its new generation.
        generation: u32,
    },
    /// The store had lost an acknowledged rotation (a failover, a backup restored) and was healed forward.
    SessionRepaired {
        /// The session.
        session: SessionId,
        /// The generation that was presented.
        presented: u32,
        /// The generation that the store believed to be the newest.
        stored: u32,
    },
    /// A superseded refresh token was presented: two parties held this session, and it was ended.
    RefreshTokenReused {
        /// Whose session.
        subject: Subject,
        /// The session.
        session: SessionId,
        /// The generation that was presented.
        presented: u32,
        /// The newest generation.
        current: u32,
    },
    /// The store holds a session that it cannot read: it was damaged, or written by a newer version of this library. Its tokens
    /// are refused, and nothing else is touched.
    SessionUnreadable {
        /// The session.
        session: SessionId,
    },
    /// A session was ended.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// Why.
        reason: EndReason,
    },
    /// Every session of a subject was ended, but perhaps one.
    AllSessionsEnded {
        /// Whose.
        subject: Subject,
        /// How many.
        ended: u64,
    },
}

impl Event {
    pub(crate) fn log(&self) {
        match self {
            Self::RefreshTokenReused { .. } | Self::SessionRepaired { .. } => {
                tracing::warn!(target: "auth", event = ?self);
            }
            Self::SessionUnreadable { .. } => tracing::error!(target: "auth", event = ?self),
            Self::Rotated { .. } | Self::ReplayServed { .. } => tracing::debug!(target: "auth", event = ?self),
            _ => tracing::info!(target: "auth", event = ?self),
        }
    }
}
