//! Who is asking: the table of decisions over an access token and refresh cookies.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::config::OnOutage;
use crate::csrf::CookieAuthority;
use crate::engine::Engine;
use crate::engine::credentials::{Access, RefreshCookies};
use crate::engine::outcome::{CookieOutcome, ExchangeError};
use crate::revocation::registry::Liveness;
use crate::revocation::watchers::SessionStatus;
use crate::token::verified::VerifiedToken;
use crate::wire::denial::{Denial, DenialCode};

/// Who is asking. `Anonymous` carries what a route that needs a user answers.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    User(Arc<VerifiedToken>),
    Anonymous(Denial),
    Refused(Denial),
}

impl Engine {
    /// The answer for a valid access token, if memory can give it.
    pub(crate) fn recall(&self, token: &Arc<VerifiedToken>, now: Timestamp) -> Option<Identity> {
        match self.revocations.check(token, now) {
            Liveness::Live => Some(self.admit(token)),
            Liveness::Revoked => Some(Identity::Refused(self.denial(DenialCode::TokenRevoked).presented(true))),
            Liveness::Stale | Liveness::Unclear => None,
        }
    }

    fn admit(&self, token: &Arc<VerifiedToken>) -> Identity {
        use std::sync::atomic::Ordering::Relaxed;
        if !token.marked.load(Relaxed)
            && !token.marked.swap(true, Relaxed)
            && let Some(generation) = token.registered.generation()
        {
            self.saw(token.registered.session_id(), generation);
        }
        Identity::User(token.clone())
    }

    /// Asks the store about a valid token's session, because memory cannot tell.
    pub(crate) async fn look_up(&self, token: &Arc<VerifiedToken>, on_outage: OnOutage) -> Identity {
        let session = token.registered.session_id();
        let unclear = self.revocations.check(token, self.now()) == Liveness::Unclear;
        match self.revocations.ask(&self.calls, &*self.store, session).await {
            SessionStatus::Revoked => Identity::Refused(self.denial(DenialCode::TokenRevoked).presented(true)),
            // A token may outlive its session's lapse, but not its ending.
            SessionStatus::Live { .. } | SessionStatus::Lapsed => self.admit(token),
            // An ending is known that may well cover this session, so an outage does not open it again.
            SessionStatus::Unknown | SessionStatus::Unreachable if unclear => Identity::Refused(self.unavailable()),
            SessionStatus::Unknown | SessionStatus::Unreachable => match on_outage {
                OnOutage::Accept => self.admit(token),
                OnOutage::Refuse => Identity::Refused(self.unavailable()),
            },
        }
    }

    /// The whole table: who is asking, given what the access token and the cookies came to.
    ///
    /// `exchanged` receives what an exchange wants written onto the response, and `over` the end of a session whose cookie
    /// is to be cleared.
    pub(crate) async fn identify(
        self: &Arc<Self>,
        access: &Access,
        cookies: &RefreshCookies,
        on_outage: OnOutage,
        outcome: &mut (dyn FnMut(CookieOutcome) + Send),
    ) -> Identity {
        let wanted = match access {
            Access::Malformed => return Identity::Refused(self.denial(DenialCode::InvalidRequest).presented(true)),
            Access::Invalid => return Identity::Refused(self.denial(DenialCode::InvalidToken).presented(true)),
            Access::CrossSite => return Identity::Refused(self.denial(DenialCode::CrossSiteRequest)),
            Access::Valid(token) => {
                return match self.recall(token, self.now()) {
                    Some(identity) => identity,
                    None => self.look_up(token, on_outage).await,
                };
            }
            Access::Expired(session) => Some(*session),
            Access::Absent | Access::UnknownKey => None,
        };
        let presented = !matches!(access, Access::Absent);
        let refuse_or_anonymous = |denial: Denial| match access {
            Access::Absent => Identity::Anonymous(denial),
            _ => Identity::Refused(denial.presented(true)),
        };
        let without_cookie = || match access {
            Access::Expired(_) => Identity::Refused(self.denial(DenialCode::TokenExpired).presented(true)),
            Access::Absent => Identity::Anonymous(self.denial(DenialCode::MissingToken)),
            _ => Identity::Refused(self.denial(DenialCode::InvalidToken).presented(true)),
        };
        match cookies.authority {
            CookieAuthority::Absent => return without_cookie(),
            CookieAuthority::Refused if !cookies.authentic.is_empty() => {
                return Identity::Refused(self.denial(DenialCode::CrossSiteRequest));
            }
            CookieAuthority::Refused | CookieAuthority::Full => {}
        }
        if cookies.authentic.is_empty() {
            return match access {
                Access::Absent if cookies.sent => Identity::Anonymous(self.denial(DenialCode::InvalidRefreshToken)),
                _ => without_cookie(),
            };
        }
        let mut over = None;
        for refresh in &cookies.authentic {
            if wanted.is_some_and(|session| session != refresh.session_id) {
                continue;
            }
            match self.exchange(refresh).await {
                Ok(exchanged) => {
                    let token = exchanged.issued.verified.clone();
                    outcome(CookieOutcome::Exchanged(exchanged));
                    return Identity::User(token);
                }
                Err(ExchangeError::Over(end)) => over = over.or(Some(end)),
                Err(ExchangeError::Unavailable(denial)) => return Identity::Refused(denial.presented(presented)),
            }
        }
        // Either there was none of the wanted session, or each that there was came to an end.
        let Some(end) = over else {
            return Identity::Refused(self.denial(DenialCode::InvalidToken).presented(true));
        };
        if end.clears_cookie() {
            outcome(CookieOutcome::Over);
        }
        refuse_or_anonymous(self.denial(end.code()))
    }
}
