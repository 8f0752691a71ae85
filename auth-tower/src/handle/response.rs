//! What the response of a request says about credentials: the one place where a cookie is written or cleared.

use std::sync::atomic::Ordering;

use crate::config::cookie::AccessTransport;
use crate::engine::identify::Identity;
use crate::engine::outcome::{Exchanged, RefreshCookie};
use crate::handle::Handle;
use crate::id::{SessionId, SubjectKey};
use crate::token::issuer::Issued;
use crate::wire::denial::DenialCode;

#[derive(Default)]
pub(crate) struct Pending {
    /// The session whose exchange is handed out. Not that of a sign-in: it is new, and an ending of earlier sessions that
    /// becomes known just now is not its.
    exchanged: Option<(SessionId, SubjectKey)>,
    refresh: Option<RefreshWrite>,
    access: Option<AccessWrite>,
}

pub(crate) enum RefreshWrite {
    Set(String),
    Clear,
}

pub(crate) enum AccessWrite {
    Set { token: String, expires_in: u64 },
    Clear,
}

impl Handle {
    /// An access cookie that is refused for good would be sent again and again, and no script can remove it.
    pub(crate) fn drop_refused_cookie(&self, identity: &Identity) {
        if let (Some((_, true)), Identity::Refused(denial)) = (self.0.access.get(), identity)
            && matches!(denial.code(), DenialCode::InvalidToken | DenialCode::TokenRevoked)
        {
            self.0.pending.lock().access = Some(AccessWrite::Clear);
            self.0.dirty.store(true, Ordering::Release);
        }
    }

    /// What the response must carry: `set-cookie` lines are to be appended, all others to replace what is there.
    ///
    /// Empty for nearly every request.
    pub fn response_headers(&self) -> Vec<(&'static str, String)> {
        if !self.0.dirty.load(Ordering::Acquire) {
            return Vec::new();
        }
        let settings = &self.0.engine.settings;
        let pending = self.0.pending.lock();
        let mut headers = Vec::with_capacity(4);
        // A session that was ended while this answer was made hands out nothing: its cookies could only overwrite newer ones.
        let ended = pending
            .exchanged
            .is_some_and(|(session, subject)| !self.0.engine.revocations.knows_live(session, &subject));
        match &pending.refresh {
            None => {}
            Some(RefreshWrite::Clear) => headers.push(("set-cookie", settings.cookie.clear())),
            Some(RefreshWrite::Set(_)) if ended => {}
            Some(RefreshWrite::Set(cookie)) => headers.push(("set-cookie", cookie.clone())),
        }
        let access = pending
            .access
            .as_ref()
            .filter(|access| !ended || matches!(access, AccessWrite::Clear));
        match (access, &settings.transport) {
            (None, _) | (Some(AccessWrite::Clear), AccessTransport::Header) => {}
            (Some(AccessWrite::Clear), AccessTransport::Cookie(config)) => {
                headers.push(("set-cookie", config.clear()));
            }
            (Some(AccessWrite::Set { token, expires_in }), AccessTransport::Header) => {
                headers.push(("x-access-token", token.clone()));
                headers.push(("x-access-token-expires-in", expires_in.to_string()));
            }
            (Some(AccessWrite::Set { token, expires_in }), AccessTransport::Cookie(config)) => {
                headers.push((
                    "set-cookie",
                    config.set(token, std::time::Duration::from_secs(*expires_in)),
                ));
            }
        }
        if !headers.is_empty() {
            headers.push(("cache-control", "no-store".to_owned()));
        }
        headers
    }

    /// An exchange on the silent path: a request that was already under way gets its answer and no token.
    pub(crate) fn exchanged(&self, exchanged: &Exchanged) {
        if !exchanged.late {
            self.hand_out(exchanged);
        }
    }

    pub(crate) fn hand_out(&self, exchanged: &Exchanged) {
        let token = &exchanged.issued.verified;
        self.write(&exchanged.issued, exchanged.refresh.as_ref());
        self.0.pending.lock().exchanged = Some((token.registered.session_id(), token.subject_key));
    }

    pub(crate) fn write(&self, issued: &Issued, refresh: Option<&RefreshCookie>) {
        let config = &self.0.engine.settings.cookie;
        let mut pending = self.0.pending.lock();
        pending.exchanged = None;
        if let Some(refresh) = refresh {
            let cookie = config.set(refresh.token.expose_secret(), refresh.max_age);
            pending.refresh = Some(RefreshWrite::Set(cookie));
        }
        pending.access = Some(AccessWrite::Set {
            token: issued.token.clone(),
            expires_in: issued.expires_in,
        });
        self.0.dirty.store(true, Ordering::Release);
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

    pub(crate) fn clear(&self) {
        let mut pending = self.0.pending.lock();
        pending.refresh = Some(RefreshWrite::Clear);
        pending.access = Some(AccessWrite::Clear);
        self.0.dirty.store(true, Ordering::Release);
    }
}
