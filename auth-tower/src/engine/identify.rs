//! Who is asking: the table of decisions over an access token and refresh cookies.

use std::sync::Arc;

use super::{Engine, Role};
use crate::clock::Timestamp;
use crate::config::{OnOutage, defaults};
use crate::csrf::CookieAuthority;
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
        if !token.acknowledged.load(Relaxed)
            && !token.acknowledged.swap(true, Relaxed)
            && let Some(authority) = self.authority()
            && let Some(generation) = token.registered.generation()
        {
            authority.acknowledge(token.registered.session_id(), generation);
        }
        Identity::User(token.clone())
    }

    /// What a valid token's session comes to, because memory alone cannot tell.
    pub(crate) async fn look_up(&self, token: &Arc<VerifiedToken>, on_outage: OnOutage) -> Identity {
        let status = match self.role() {
            Role::Authority(authority) => authority.ask(token.registered.session_id()).await,
            // There is no store to ask. Until the log was read for the first time, a service does not know what it has missed.
            Role::Resource => {
                self.revocations.first_read(defaults::FIRST_READ).await;
                let now = self.now();
                match self.revocations.check(token, now) {
                    Liveness::Live => return self.admit(token),
                    Liveness::Revoked => SessionStatus::Revoked,
                    Liveness::Unclear if !self.revocations.was_issued_since(token) => SessionStatus::Revoked,
                    Liveness::Unclear if self.revocations.is_fresh(now) => return self.admit(token),
                    // A later token of a subject whose sessions were ended is one like any other, and so is its outage.
                    Liveness::Unclear | Liveness::Stale => match on_outage {
                        OnOutage::Accept => return self.admit(token),
                        OnOutage::Refuse => return Identity::Refused(self.unavailable()),
                    },
                }
            }
        };
        let unclear = self.revocations.check(token, self.now()) == Liveness::Unclear;
        match status {
            SessionStatus::Revoked => Identity::Refused(self.denial(DenialCode::TokenRevoked).presented(true)),
            // A token may outlive its session's expiry, but not its revocation.
            SessionStatus::Live { .. } | SessionStatus::Expired => self.admit(token),
            // A revocation is known that may well cover this session, so an outage does not open it again.
            SessionStatus::Unknown | SessionStatus::Unreachable if unclear => Identity::Refused(self.unavailable()),
            SessionStatus::Unknown | SessionStatus::Unreachable => match on_outage {
                OnOutage::Accept => self.admit(token),
                OnOutage::Refuse => Identity::Refused(self.unavailable()),
            },
        }
    }

    /// The whole table: who is asking, given what the access token and the cookies came to.
    ///
    /// `outcome` receives what an exchange wants written onto the response, or that a cookie is to be cleared.
    pub(crate) async fn identify(
        &self,
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
        let Some(authority) = self.authority() else {
            return without_cookie();
        };
        match authority.exchange_first(cookies, wanted).await {
            Ok(Some(exchanged)) => {
                let token = exchanged.issued.verified.clone();
                outcome(CookieOutcome::Exchanged(exchanged));
                Identity::User(token)
            }
            // No cookie is of the session that the access token names.
            Ok(None) => Identity::Refused(self.denial(DenialCode::InvalidToken).presented(true)),
            Err(ExchangeError::Over(end)) => {
                outcome(CookieOutcome::Over(end));
                refuse_or_anonymous(self.denial(end.code()))
            }
            Err(ExchangeError::Unavailable(denial)) => Identity::Refused(denial.presented(presented)),
        }
    }
}
