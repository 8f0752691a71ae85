//! What the response of a request says about credentials: the one place where a cookie is set or cleared.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Handle;
use crate::config::cookie::{AccessTransport, CookieConfig};
use crate::engine::identify::Identity;
use crate::engine::outcome::{CookieOutcome, End, Exchanged, RefreshCookie};
use crate::id::{SessionId, SubjectKey};
use crate::token::issuer::Issued;
use crate::wire::denial::DenialCode;
use crate::wire::reply::ReplyHeader;

/// What is to be written, until the response leaves: the last word wins.
#[derive(Default)]
pub(crate) struct Pending {
    /// The session whose exchange is handed out. Not that of a sign-in: it is new, and a revocation of earlier sessions that
    /// becomes known just now is not its.
    exchanged: Option<(SessionId, SubjectKey)>,
    refresh: Option<RefreshWrite>,
    access: Option<AccessWrite>,
}

enum RefreshWrite {
    Set(String),
    Clear,
}

enum AccessWrite {
    Set { token: String, expires_in: u64 },
    Clear,
}

impl Handle {
    /// What the response must carry. Empty for nearly every request.
    pub(crate) fn response_headers(&self) -> Vec<ReplyHeader> {
        if !self.0.dirty.load(Ordering::Acquire) {
            return Vec::new();
        }
        let pending = self.0.pending.lock();
        let mut headers = Vec::with_capacity(4);
        // A session that was ended while this answer was made hands out nothing: its cookies could only overwrite newer ones.
        let ended = pending
            .exchanged
            .is_some_and(|(session, subject)| !self.0.engine.revocations.knows_live(session, &subject));
        match (&pending.refresh, self.refresh_cookie()) {
            (Some(RefreshWrite::Clear), Some(config)) => headers.push(ReplyHeader::set_cookie(config.clear())),
            (Some(RefreshWrite::Set(cookie)), _) if !ended => headers.push(ReplyHeader::set_cookie(cookie.clone())),
            _ => {}
        }
        let access = pending
            .access
            .as_ref()
            .filter(|access| !ended || matches!(access, AccessWrite::Clear));
        match (access, &self.0.engine.settings.transport) {
            (None, _) | (Some(AccessWrite::Clear), AccessTransport::Header) => {}
            (Some(AccessWrite::Clear), AccessTransport::Cookie(config)) => {
                headers.push(ReplyHeader::set_cookie(config.clear()));
            }
            (Some(AccessWrite::Set { token, expires_in }), AccessTransport::Header) => {
                headers.push(ReplyHeader::secret("x-access-token", token.clone()));
                headers.push(ReplyHeader::plain("x-access-token-expires-in", expires_in.to_string()));
            }
            (Some(AccessWrite::Set { token, expires_in }), AccessTransport::Cookie(config)) => {
                headers.push(ReplyHeader::set_cookie(
                    config.set(token, Duration::from_secs(*expires_in)),
                ));
            }
        }
        if !headers.is_empty() {
            headers.push(ReplyHeader::plain("cache-control", "no-store".to_owned()));
        }
        headers
    }

    /// What the silent path came to. A request that was already under way gets its answer and no token.
    pub(crate) fn apply(&self, outcome: CookieOutcome) {
        match outcome {
            CookieOutcome::Exchanged(exchanged) if exchanged.late => {}
            CookieOutcome::Exchanged(exchanged) => self.hand_out(&exchanged),
            CookieOutcome::Over(end) => self.drop_cookie_of(end),
        }
    }

    /// Hands out what an exchange gave, unless its session turns out to have ended by the time the response leaves.
    pub(crate) fn hand_out(&self, exchanged: &Exchanged) {
        let token = &exchanged.issued.verified;
        self.write(&exchanged.issued, exchanged.refresh.as_ref());
        self.0.pending.lock().exchanged = Some((token.registered.session_id(), token.subject_key));
    }

    /// Hands out the first pair of a session that has just begun.
    pub(crate) fn hand_out_new(&self, issued: &Issued, refresh: &RefreshCookie) {
        self.write(issued, Some(refresh));
    }

    /// Clears the refresh cookie of a session that is over, where that can hit no newer one.
    pub(crate) fn drop_cookie_of(&self, end: End) {
        if end.clears_cookie() {
            self.clear();
        }
    }

    /// An access cookie that is refused for good would be sent again and again, and no script can remove it.
    pub(crate) fn drop_refused_cookie(&self, identity: &Identity) {
        if let (Some((_, true)), Identity::Refused(denial)) = (self.0.access.get(), identity)
            && matches!(denial.code(), DenialCode::InvalidToken | DenialCode::TokenRevoked)
        {
            self.0.pending.lock().access = Some(AccessWrite::Clear);
            self.0.dirty.store(true, Ordering::Release);
        }
    }

    /// The access token for a body that carries it, which then replaces the header. With cookie transport it stays out of
    /// the body, where a script could read it.
    pub(crate) fn token_in_body(&self, token: &str) -> Option<String> {
        if self.0.engine.settings.transport != AccessTransport::Header {
            return None;
        }
        self.0.pending.lock().access = None;
        Some(token.to_owned())
    }

    /// Clears every credential cookie.
    pub(crate) fn clear(&self) {
        let mut pending = self.0.pending.lock();
        pending.refresh = Some(RefreshWrite::Clear);
        pending.access = Some(AccessWrite::Clear);
        self.0.dirty.store(true, Ordering::Release);
    }

    fn write(&self, issued: &Issued, refresh: Option<&RefreshCookie>) {
        let mut pending = self.0.pending.lock();
        pending.exchanged = None;
        if let (Some(refresh), Some(config)) = (refresh, self.refresh_cookie()) {
            let cookie = config.set(refresh.token.expose_secret(), refresh.max_age);
            pending.refresh = Some(RefreshWrite::Set(cookie));
        }
        pending.access = Some(AccessWrite::Set {
            token: issued.token.clone(),
            expires_in: issued.expires_in,
        });
        self.0.dirty.store(true, Ordering::Release);
    }

    fn refresh_cookie(&self) -> Option<&CookieConfig> {
        let authority = self.0.engine.authority()?;
        Some(&authority.sessions.cookie)
    }
}
