//! What a request brought: its access token and its refresh cookies. No I/O.

use std::sync::Arc;

use super::Core;
use crate::clock::Timestamp;
use crate::config::cookie::AccessTransport;
use crate::csrf::CookieAuthority;
use crate::facts::RequestFacts;
use crate::id::SessionId;
use crate::token::refresh::PresentedRefresh;
use crate::token::verified::VerifiedToken;
use crate::token::verifier::Verdict;
use crate::wire::bearer::{Bearer, bearer, is_readable};
use crate::wire::cookies;

/// What a request's access token came to.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    Absent,
    /// Unreadable, repeated, or sent in two ways.
    Malformed,
    Valid(Arc<VerifiedToken>),
    Expired(SessionId),
    UnknownKey,
    Invalid,
    /// An authentic one, in a cookie that another site's page made the browser send with an unsafe method.
    CrossSite,
}

impl Access {
    /// Which of several access cookies counts.
    fn rank(&self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Invalid | Self::Malformed => 1,
            Self::UnknownKey => 2,
            Self::Expired(_) => 3,
            Self::Valid(_) | Self::CrossSite => 4,
        }
    }
}

/// What a request's refresh cookies came to.
#[derive(Debug)]
pub(crate) struct RefreshCookies {
    pub(crate) authority: CookieAuthority,
    /// Whether any cookie of the name was sent.
    pub(crate) sent: bool,
    /// The authentic ones, one per session and of it the highest generation, in the order they were sent.
    pub(crate) authentic: Vec<PresentedRefresh>,
}

impl RefreshCookies {
    /// Those of a request that sent none, or whose service keeps no sessions.
    pub(crate) const fn none() -> Self {
        Self {
            authority: CookieAuthority::Absent,
            sent: false,
            authentic: Vec::new(),
        }
    }
}

/// How many sessions' cookies one request may have tried against the store.
pub(crate) const MAX_SESSIONS_TRIED: usize = 4;

impl Core {
    /// Reads the access token off a request, and whether it came in a cookie. No I/O.
    pub(crate) fn access(&self, facts: &(impl RequestFacts + ?Sized), now: Timestamp) -> (Access, bool) {
        let verify = |token: &[u8]| match self.verifier.verify(token, now) {
            Verdict::Invalid(_) if !is_readable(token) => Access::Malformed,
            Verdict::Valid(token) => Access::Valid(token),
            Verdict::Expired { session_id } => Access::Expired(session_id),
            Verdict::UnknownKey => Access::UnknownKey,
            Verdict::Invalid(reason) => {
                tracing::debug!(target: "auth", reason, "access token refused");
                Access::Invalid
            }
        };
        match bearer(facts, verify) {
            Bearer::Malformed => return (Access::Malformed, false),
            Bearer::Token(access) => return (access, false),
            Bearer::Absent => {}
        }
        let mut found = Access::Absent;
        if let AccessTransport::Cookie(config) = &self.settings.transport {
            cookies::values(facts, &config.name, &mut |value| {
                let access = match verify(value) {
                    Access::Malformed => Access::Invalid,
                    access => access,
                };
                if access.rank() > found.rank() {
                    found = access;
                }
            });
            if !matches!(found, Access::Absent) && !self.settings.csrf.may_speak(facts) {
                let refused = self.settings.csrf.judge(facts) == CookieAuthority::Refused;
                found = match found {
                    Access::Valid(_) | Access::Expired(_) if refused => Access::CrossSite,
                    _ => Access::Absent,
                };
            }
        }
        (found, true)
    }
}
