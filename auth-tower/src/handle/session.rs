//! The request's session: what a handler can do with it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::Handle;
use crate::accounts::PasswordCredentials;
use crate::clock::Timestamp;
use crate::config::defaults;
use crate::csrf::CookieAuthority;
use crate::engine::authority::Authority;
use crate::engine::outcome::ExchangeError;
use crate::facts::RequestFacts;
use crate::id::{SessionId, Subject};
use crate::session::{ClientInfo, EndReason, SessionRecord};
use crate::token::issuer::Issued;
use crate::wire::bearer::user_agent;
use crate::wire::denial::{Denial, DenialCode};

/// The session of the request at hand: sign in, sign out, list, end.
///
/// What it does to the cookies reaches the client with the response, whatever the handler then answers; the last word wins.
#[derive(Clone)]
pub struct Session {
    handle: Handle,
    authority: Arc<Authority>,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
}

/// What a sign-in gives to the client, beside the cookie.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The access token; absent where it travels in a cookie of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// Always `Bearer` (RFC 6750).
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// The session.
    pub session_id: SessionId,
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

/// One row of a session list.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The session.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When its client was last noticed.
    pub last_seen_at: Timestamp,
    /// When it lapses unless it is used.
    pub expires_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
    /// The device's name, as its user gave it.
    pub device: Option<Box<str>>,
    /// Where the sign-in came from.
    pub ip: Option<IpAddr>,
    /// The browser, as it told.
    pub user_agent: Option<Box<str>>,
}

impl SessionInfo {
    fn of(record: SessionRecord, current: SessionId) -> Self {
        Self {
            id: record.id,
            created_at: record.created_at,
            last_seen_at: record.last_seen_at,
            expires_at: record.expires_at(),
            current: record.id == current,
            device: record.client.device,
            ip: record.client.ip,
            user_agent: record.client.user_agent,
        }
    }
}

impl Session {
    /// The session of a request, which is observed by this. Nothing is judged yet.
    pub(crate) fn of(handle: &Handle, facts: &(impl RequestFacts + ?Sized)) -> Result<Self, Denial> {
        let Some(authority) = handle.engine().authority() else {
            return Err(Denial::missing_layer(
                "the layer of an authority: a service that only verifies has no sessions",
            ));
        };
        Ok(Self::of_authority(handle, authority, facts))
    }

    pub(crate) fn of_authority(
        handle: &Handle,
        authority: &Arc<Authority>,
        facts: &(impl RequestFacts + ?Sized),
    ) -> Self {
        handle.observe(facts);
        handle.observe_cookies(facts);
        Self {
            authority: authority.clone(),
            handle: handle.clone(),
            ip: facts.client_ip(),
            user_agent: user_agent(facts),
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What a session list will show of this request's client.
    pub fn client(&self, device: Option<&str>) -> ClientInfo {
        ClientInfo::new(device, self.ip, self.user_agent.as_deref())
    }

    /// Verifies the credentials and begins a session. A live session of this browser is ended.
    ///
    /// # Errors
    /// 401 `invalid_credentials`, 403 for a request from another site, 429, 503.
    pub async fn log_in(&self, login: &PasswordCredentials) -> Result<TokenResponse, Denial> {
        self.forbid_cross_site()?;
        let subject = self.authority.verify_password(login).await?;
        self.begin(subject, login.client().clone()).await
    }

    /// Begins a session for a user whom the application has verified by its own means (a passkey, an identity provider).
    ///
    /// # Errors
    /// 401 `invalid_credentials` if the accounts have no claims for the subject, 403 for a request from another site, 503.
    pub async fn begin(&self, subject: Subject, client: ClientInfo) -> Result<TokenResponse, Denial> {
        self.forbid_cross_site()?;
        let begun = self.authority.sign_in(subject, client).await?;
        self.handle.hand_out_new(&begun.issued, &begun.refresh);
        self.authority
            .replace(&self.handle.cookies().authentic, begun.session)
            .await;
        Ok(self.token_response(&begun.issued))
    }

    /// Exchanges the refresh cookie on purpose, as `POST /auth/refresh` does.
    ///
    /// # Errors
    /// 401 with the reason, 403 for a request from another site, 503.
    pub async fn refresh(&self) -> Result<TokenResponse, Denial> {
        self.forbid_cross_site()?;
        let cookies = self.handle.cookies();
        if !cookies.sent {
            return Err(self.authority.denial(DenialCode::MissingRefreshToken));
        }
        match self.authority.exchange_first(cookies, None).await {
            Ok(Some(exchanged)) => {
                self.handle.hand_out(&exchanged);
                Ok(self.token_response(&exchanged.issued))
            }
            Ok(None) => Err(self.authority.denial(DenialCode::InvalidRefreshToken)),
            Err(ExchangeError::Over(end)) => {
                self.handle.drop_cookie_of(end);
                Err(self.authority.denial(end.code()))
            }
            Err(ExchangeError::Unavailable(denial)) => Err(denial),
        }
    }

    fn token_response(&self, issued: &Issued) -> TokenResponse {
        TokenResponse {
            access_token: self.handle.token_in_body(&issued.token),
            token_type: "Bearer",
            expires_in: issued.expires_in,
            session_id: issued.verified.registered.session_id(),
        }
    }

    /// Signs out: ends the session of the access token (also an expired one) and that of the refresh cookie (of whatever
    /// generation), and clears the cookies. Succeeds as well when nobody is signed in.
    ///
    /// # Errors
    /// 403 for a request from another site without a bearer token, 503.
    pub async fn log_out(&self) -> Result<(), Denial> {
        if self
            .authority
            .sign_out(self.handle.access(), self.handle.cookies())
            .await?
        {
            self.handle.clear();
        }
        Ok(())
    }

    /// Ends every session of the user, this one included, and clears the cookies. Returns how many were live.
    ///
    /// # Errors
    /// As for a route that needs a user; 503.
    pub async fn end_all(&self) -> Result<u64, Denial> {
        let user = self.handle.user().await?;
        let ended = self.end_all_but(None).await?;
        // All of a subject's sessions, and hardly any other's, share their routing bytes.
        let routing = user.registered.subject().key().routing();
        self.clear_unless_others(|session| session.routing() == routing);
        Ok(ended)
    }

    /// Ends every other session of the user and keeps this one. Returns how many were live.
    ///
    /// # Errors
    /// As for a route that needs a user; 503.
    pub async fn end_others(&self) -> Result<u64, Denial> {
        let user = self.handle.user().await?;
        self.end_all_but(Some(user.registered.session_id())).await
    }

    async fn end_all_but(&self, keep: Option<SessionId>) -> Result<u64, Denial> {
        let user = self.handle.user().await?;
        self.authority
            .end_all(user.registered.subject(), keep, EndReason::AllEnded)
            .await
    }

    /// The user's live sessions, oldest first; at most the 200 newest.
    ///
    /// # Errors
    /// As for a route that needs a user; 503.
    pub async fn list(&self) -> Result<Vec<SessionInfo>, Denial> {
        let user = self.handle.user().await?;
        let authority = &self.authority;
        let records = authority
            .stored(authority.store.list(user.registered.subject(), defaults::LIST_LIMIT))
            .await;
        let current = user.registered.session_id();
        let records = records.map_err(|_| authority.unavailable())?;
        Ok(records
            .into_iter()
            .map(|record| SessionInfo::of(record, current))
            .collect())
    }

    /// Ends one of the user's sessions.
    ///
    /// # Errors
    /// As for a route that needs a user; 404 if there is no such live session of the user's; 503.
    pub async fn end(&self, session: SessionId) -> Result<(), Denial> {
        let user = self.handle.user().await?;
        let authority = &self.authority;
        let found = authority
            .stored(authority.store.find(session))
            .await
            .map_err(|_| authority.unavailable())?;
        let own = found.is_some_and(|found| {
            found.record.subject == *user.registered.subject() && found.record.status(found.now).is_none()
        });
        if !own || !authority.end_session(session, EndReason::EndedByOwner).await? {
            return Err(authority.denial(DenialCode::NotFound));
        }
        if session == user.registered.session_id() {
            self.clear_unless_others(|other| other == session);
        }
        Ok(())
    }

    /// Clears the cookies, unless they may be another session's than those that `ended`: an access token can come with
    /// somebody else's cookie, and from another site's page.
    fn clear_unless_others(&self, ended: impl Fn(SessionId) -> bool) {
        let cookies = self.handle.cookies();
        let own = cookies.authority == CookieAuthority::Full
            && cookies.authentic.iter().all(|presented| ended(presented.session_id));
        if own {
            self.handle.clear();
        }
    }

    pub(crate) fn forbid_cross_site(&self) -> Result<(), Denial> {
        match self.handle.cookies().authority {
            CookieAuthority::Full => Ok(()),
            CookieAuthority::Absent | CookieAuthority::Refused => {
                Err(self.authority.denial(DenialCode::CrossSiteRequest))
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}
