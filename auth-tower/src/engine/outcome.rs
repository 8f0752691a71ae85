//! What an exchange came to, whoever was asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::revocation::registry::Revocations;
use crate::session::{EndReason, Terminated};
use crate::token::issuer::Issued;
use crate::token::refresh::RefreshToken;
use crate::wire::denial::{Denial, DenialCode};

/// What became of a refresh cookie, for the response.
#[derive(Debug)]
pub(crate) enum CookieOutcome {
    Exchanged(Arc<Exchanged>),
    /// Its session is over.
    Over(End),
}

/// Why an exchange gave nothing.
#[derive(Debug, Clone)]
pub(crate) enum ExchangeError {
    /// The session is over.
    Over(End),
    /// It cannot be told now.
    Unavailable(Denial),
}

/// How a session came to be over, as far as the store can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Known(Terminated),
    /// The store no longer remembers it.
    Forgotten,
    /// The store holds it, and cannot read it.
    Unreadable,
}

impl End {
    /// The code by which a client learns of it.
    pub(crate) fn code(self) -> DenialCode {
        match self {
            Self::Known(Terminated::Expired) => DenialCode::RefreshTokenExpired,
            Self::Known(Terminated::Ended(EndReason::Reused)) => DenialCode::RefreshTokenReused,
            Self::Known(Terminated::Ended(_)) | Self::Forgotten | Self::Unreadable => DenialCode::SessionEnded,
        }
    }

    /// Whether it may clear its cookie.
    ///
    /// A session is replaced by a later sign-in of the same browser, whose jar then holds a newer cookie of the same name; a
    /// straggler's answer must not clear that one. What cannot be read here may be read by a newer instance, or once it was mended.
    pub(crate) fn clears_cookie(self) -> bool {
        !matches!(
            self,
            Self::Known(Terminated::Ended(EndReason::Replaced)) | Self::Unreadable
        )
    }
}

/// A refresh token for a `Set-Cookie`, with how long it may live.
pub(crate) struct RefreshCookie {
    pub(crate) token: RefreshToken,
    pub(crate) max_age: Duration,
}

impl fmt::Debug for RefreshCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshCookie")
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

/// What an exchange gave.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) issued: Issued,
    /// The successor, where one may leave.
    pub(crate) refresh: Option<RefreshCookie>,
    /// Whether this was a request that was already under way: on the silent path it gets its answer and no token at all.
    pub(crate) late: bool,
}

impl Exchanged {
    pub(crate) fn is_known_live(&self, revocations: &Revocations) -> bool {
        let token = &self.issued.verified;
        revocations.knows_live(token.registered.session_id(), &token.subject_key)
    }
}

pub(crate) type Outcome = Result<Arc<Exchanged>, ExchangeError>;
