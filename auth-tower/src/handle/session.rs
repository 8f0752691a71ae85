//! The request's session: what a handler can do with it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::Handle;
use crate::accounts::PasswordCredentials;
use crate::clock::Timestamp;
use crate::config::defaults;
use crate::csrf::CookieAuthority;
use crate::engine::credentials::{Access, RefreshCookies};
use crate::engine::outcome::{ExchangeError, RefreshCookie};
use crate::events::Event;
use crate::facts::RequestFacts;
use crate::id::{SessionId, Subject};
use crate::session::{ClientInfo, EndReason, SessionRecord};
use crate::store::StoreError;
use crate::store::session::NewSession;
use crate::token::refresh::SessionSecret;
use crate::wire::bearer::user_agent;
use crate::wire::denial::{Denial, DenialCode};

/// The session of the request at hand: sign in, sign out, list, end.
///
/// What it does to the cookies reaches the client with the response, whatever the handler then answers; the last word wins.
#[derive(Clone)]
pub struct Session {
    handle: Handle,
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

/// Well within what a verifier grants another server's clock.
const CLOCKS_APART: Duration = Duration::from_secs(5);

impl Session {
    /// The session of an observed request. Shells call it; it judges nothing yet.
    pub fn observe(handle: &Handle, facts: &(impl RequestFacts + ?Sized)) -> Self {
        handle.observe(facts);
        handle.observe_cookies(facts);
        Self {
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
        let engine = self.handle.engine();
        match engine.accounted(engine.accounts.verify(login)).await? {
            Some(subject) => self.begin(subject, login.client().clone()).await,
            None => {
                engine.raise(&Event::SignInRefused);
                Err(engine.denial(DenialCode::InvalidCredentials))
            }
        }
    }

    /// Begins a session for a user whom the application has verified by its own means (a passkey, an identity provider).
    ///
    /// # Errors
    /// 401 `invalid_credentials` if the accounts have no claims for the subject, 403 for a request from another site, 503.
    pub async fn begin(&self, subject: Subject, client: ClientInfo) -> Result<TokenResponse, Denial> {
        self.forbid_cross_site()?;
        let engine = self.handle.engine();
        let Some(grant) = engine.accounted(engine.accounts.claims(&subject)).await? else {
            engine.raise(&Event::SignInRefused);
            return Err(engine.denial(DenialCode::InvalidCredentials));
        };
        let secret = SessionSecret::generate(&subject.key());
        let session = secret.session_id();
        let lifetime = engine.settings.lifetime;
        let new = NewSession {
            id: session,
            subject: subject.clone(),
            client_id: engine.settings.client_id.as_str().into(),
            lifetime,
            client,
        };
        // Before the session is kept: claims that make no token leave no session behind.
        let draft = SessionRecord::begin(
            session,
            subject.clone(),
            new.client_id.clone(),
            lifetime,
            ClientInfo::default(),
            engine.now(),
        );
        let generation = draft.rotation.current;
        let issue = |record: &SessionRecord| {
            engine
                .issue(record, &subject, generation, &grant, lifetime.absolute)
                .map_err(|error| match error {
                    ExchangeError::Unavailable(denial) => denial,
                    ExchangeError::Over(_) => engine.denial(DenialCode::Internal),
                })
        };
        let mut issued = issue(&draft)?;
        let token = engine
            .keys
            .mint_refresh(&secret, generation)
            .map_err(|_| engine.denial(DenialCode::Internal))?;
        let known = engine.revocations.log_version();
        let record = engine
            .stored(engine.store.create(new))
            .await
            .map_err(|error| match error {
                StoreError::Full => engine
                    .denial(DenialCode::StoreUnavailable)
                    .with_retry_after(Duration::from_secs(60)),
                _ => engine.unavailable(),
            })?;
        engine.revocations.confirm_live(session, known);
        // The first answer of a store whose clock is far from this machine's: the other instances go by the store's.
        if record.created_at.distance(draft.created_at) > CLOCKS_APART {
            issued = issue(&record)?;
        }
        let max_age = record.expires_at().since(record.created_at);
        self.handle.write(&issued, Some(&RefreshCookie { token, max_age }));
        engine.raise(&Event::SignedIn { subject, session });
        self.end_previous(session).await;
        Ok(TokenResponse {
            access_token: self.handle.token_in_body(&issued.token),
            token_type: "Bearer",
            expires_in: issued.expires_in,
            session_id: session,
        })
    }

    /// The browser's earlier sessions are over once it has a new one (OWASP ASVS 7.2.4).
    async fn end_previous(&self, begun: SessionId) {
        let Some(cookies) = self.handle.cookies() else { return };
        for previous in &cookies.authentic {
            if previous.session_id != begun {
                // The sign-in stands all the same; the failure has been logged.
                let _ = self
                    .handle
                    .engine()
                    .end_session(previous.session_id, EndReason::Replaced)
                    .await;
            }
        }
    }

    /// Exchanges the refresh cookie on purpose, as `POST /auth/refresh` does.
    ///
    /// # Errors
    /// 401 with the reason, 403 for a request from another site, 503.
    pub async fn refresh(&self) -> Result<TokenResponse, Denial> {
        self.forbid_cross_site()?;
        let engine = self.handle.engine();
        let Some(cookies) = self.handle.cookies().filter(|cookies| cookies.sent) else {
            return Err(engine.denial(DenialCode::MissingRefreshToken));
        };
        let mut over = None;
        for presented in &cookies.authentic {
            match engine.exchange(presented).await {
                Ok(exchanged) => {
                    self.handle.hand_out(&exchanged);
                    let issued = &exchanged.issued;
                    return Ok(TokenResponse {
                        access_token: self.handle.token_in_body(&issued.token),
                        token_type: "Bearer",
                        expires_in: issued.expires_in,
                        session_id: issued.verified.registered.session_id(),
                    });
                }
                Err(ExchangeError::Over(end)) => over = over.or(Some(end)),
                Err(ExchangeError::Unavailable(denial)) => return Err(denial),
            }
        }
        match over {
            None => Err(engine.denial(DenialCode::InvalidRefreshToken)),
            Some(end) => {
                if end.clears_cookie() {
                    self.handle.clear();
                }
                Err(engine.denial(end.code()))
            }
        }
    }

    /// Signs out: ends the session of the access token (also an expired one) and that of the refresh cookie (of whatever
    /// generation), and clears the cookies. Succeeds as well when nobody is signed in.
    ///
    /// # Errors
    /// 403 for a request from another site without a bearer token, 503.
    pub async fn log_out(&self) -> Result<(), Denial> {
        let engine = self.handle.engine();
        let by_token = match self.handle.access() {
            Access::Valid(token) => Some(token.registered.session_id()),
            Access::Expired(session) => Some(*session),
            Access::Absent | Access::Malformed | Access::UnknownKey | Access::Invalid | Access::CrossSite => None,
        };
        let authority = self
            .handle
            .cookies()
            .map_or(CookieAuthority::Absent, |cookies| cookies.authority);
        if by_token.is_none() && authority == CookieAuthority::Refused {
            return Err(engine.denial(DenialCode::CrossSiteRequest));
        }
        let mut sessions: Vec<SessionId> = by_token.into_iter().collect();
        if let (CookieAuthority::Full, Some(cookies)) = (authority, self.handle.cookies()) {
            sessions.extend(cookies.authentic.iter().map(|presented| presented.session_id));
        }
        sessions.dedup();
        for session in sessions {
            engine.end_session(session, EndReason::SignedOut).await?;
        }
        // Otherwise only the token spoke, and the cookie may be a different session's.
        if authority == CookieAuthority::Full {
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
        self.handle
            .engine()
            .end_all(user.registered.subject(), keep, EndReason::AllEnded)
            .await
    }

    /// The user's live sessions, oldest first; at most the 200 newest.
    ///
    /// # Errors
    /// As for a route that needs a user; 503.
    pub async fn list(&self) -> Result<Vec<SessionInfo>, Denial> {
        let user = self.handle.user().await?;
        let engine = self.handle.engine();
        let records = engine
            .stored(engine.store.list(user.registered.subject(), defaults::LIST_LIMIT))
            .await;
        let current = user.registered.session_id();
        let records = records.map_err(|_| engine.unavailable())?;
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
        let engine = self.handle.engine();
        let found = engine
            .stored(engine.store.find(session))
            .await
            .map_err(|_| engine.unavailable())?;
        let own = found.is_some_and(|found| {
            found.record.subject == *user.registered.subject() && found.record.status(found.now).is_none()
        });
        if !own || !engine.end_session(session, EndReason::EndedByOwner).await? {
            return Err(engine.denial(DenialCode::NotFound));
        }
        if session == user.registered.session_id() {
            self.clear_unless_others(|other| other == session);
        }
        Ok(())
    }

    /// Clears the cookies, unless they may be another session's than those that `ended`: an access token can come with
    /// somebody else's cookie, and from another site's page.
    fn clear_unless_others(&self, ended: impl Fn(SessionId) -> bool) {
        let own = |cookies: &RefreshCookies| {
            cookies.authority == CookieAuthority::Full
                && cookies.authentic.iter().all(|presented| ended(presented.session_id))
        };
        if self.handle.cookies().is_some_and(own) {
            self.handle.clear();
        }
    }

    pub(crate) fn forbid_cross_site(&self) -> Result<(), Denial> {
        match self.handle.cookies() {
            Some(cookies) if cookies.authority == CookieAuthority::Full => Ok(()),
            _ => Err(self.handle.engine().denial(DenialCode::CrossSiteRequest)),
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
