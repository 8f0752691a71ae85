//! Signing out: which sessions a request may end by what it brought.

use super::authority::Authority;
use super::credentials::{Access, RefreshCookies};
use crate::csrf::CookieAuthority;
use crate::id::SessionId;
use crate::session::EndReason;
use crate::wire::denial::{Denial, DenialCode};

impl Authority {
    /// Ends the session of the access token (also an expired one) and those of the refresh cookies (of whatever generation).
    /// Returns whether the cookies are to be cleared.
    ///
    /// # Errors
    /// 403 for a request from another site without a bearer token, 503.
    pub(crate) async fn sign_out(&self, access: &Access, cookies: &RefreshCookies) -> Result<bool, Denial> {
        let by_token = match access {
            Access::Valid(token) => Some(token.registered.session_id()),
            Access::Expired(session) => Some(*session),
            Access::Absent | Access::Malformed | Access::UnknownKey | Access::Invalid | Access::CrossSite => None,
        };
        if by_token.is_none() && cookies.authority == CookieAuthority::Refused {
            return Err(self.denial(DenialCode::CrossSiteRequest));
        }
        let by_cookie = cookies.authority == CookieAuthority::Full;
        let mut sessions: Vec<SessionId> = by_token.into_iter().collect();
        if by_cookie {
            sessions.extend(cookies.authentic.iter().map(|presented| presented.session_id));
        }
        sessions.dedup();
        for session in sessions {
            self.end_session(session, EndReason::SignedOut).await?;
        }
        // Otherwise only the token spoke, and the cookie may be a different session's.
        Ok(by_cookie)
    }
}
