//! The settings of an authority.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::settings::shared_setters;
use super::start::Parts;
use super::{Auth, Authority, start};
use crate::accounts::erased::ErasedAccounts;
use crate::accounts::{Accounts, AppClaims};
use crate::clock::Clock;
use crate::config::cookie::{AccessTransport, CookieConfig};
use crate::config::error::ConfigError;
use crate::config::{SessionSettings, Settings};
use crate::events::Event;
use crate::keys::ring::KeyRing;
use crate::session::rotation::Reuse;
use crate::store::erased::ErasedStore;
use crate::store::session::SessionStore;
use crate::token::verified::decode_app;
use crate::wire::denial::{Denial, DenialBody};

/// The settings of an authority. Everything has a safe default but [`issuer`](Self::issuer), [`audience`](Self::audience),
/// [`sessions`](Self::sessions) and [`accounts`](Self::accounts).
#[must_use = "settings do nothing until `build` is called"]
pub struct AuthorityBuilder<C> {
    keys: KeyRing,
    settings: Settings,
    sessions: SessionSettings,
    origins: Vec<String>,
    store: Option<Arc<dyn ErasedStore>>,
    accounts: Option<Arc<dyn ErasedAccounts>>,
    claims: PhantomData<fn() -> C>,
}

impl<C: AppClaims> AuthorityBuilder<C> {
    pub(super) fn new(keys: KeyRing) -> Self {
        Self {
            keys,
            settings: Settings::default(),
            sessions: SessionSettings::default(),
            origins: Vec::new(),
            store: None,
            accounts: None,
            claims: PhantomData,
        }
    }

    /// The `iss` of every token, compared exactly (RFC 7519 §4.1.1). Usually the authority's URL.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.settings.issuer = issuer.into();
        self
    }

    /// The `aud` of every token, and what a token must name to be accepted (RFC 7519 §4.1.3). Call it again to accept more;
    /// tokens are issued for all of them.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.settings.audience.push(audience.into());
        self
    }

    /// Where sessions live.
    pub fn sessions(mut self, store: impl SessionStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Who may sign in, and with what claims.
    pub fn accounts(mut self, accounts: impl Accounts<Claims = C>) -> Self {
        self.accounts = Some(Arc::new(accounts));
        self
    }

    /// The `client_id` of every token (RFC 9068 §2.2). Default: `web`.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.sessions.client_id = client_id.into();
        self
    }

    /// How long an access token lives. Default: 15 minutes. At least one second.
    pub fn access_lifetime(mut self, lifetime: Duration) -> Self {
        self.sessions.access_lifetime = lifetime;
        self
    }

    /// How long a session lives without a refresh. Default: 7 days. At least one second, at most the absolute lifetime.
    pub fn idle_lifetime(mut self, lifetime: Duration) -> Self {
        self.sessions.lifetime.idle = lifetime;
        self
    }

    /// How long a session lives in all; no refresh extends it. Default: 30 days. At most 400 days.
    pub fn absolute_lifetime(mut self, lifetime: Duration) -> Self {
        self.sessions.lifetime.absolute = lifetime;
        self
    }

    /// For how long after a rotation the predecessor is tolerated. Default: 30 seconds.
    ///
    /// A third of it is the longest that a request or a response may be under way without harm. Zero gives up the promises
    /// for parallel and lost requests: every refresh rotates.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.sessions.policy.grace = grace;
        self
    }

    /// What a predecessor means after the grace when its successor was never seen. Default: [`Reuse::Recover`].
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.sessions.policy.reuse = reuse;
        self
    }

    /// Puts the time of the sign-in into every token as `auth_time` (RFC 9068 §2.2.1).
    pub fn with_auth_time(mut self) -> Self {
        self.sessions.auth_time = true;
        self
    }

    /// The refresh cookie. Default: `__Host-refresh; HttpOnly; Secure; SameSite=Strict; Path=/`.
    pub fn refresh_cookie(mut self, cookie: CookieConfig) -> Self {
        self.sessions.cookie = cookie;
        self
    }

    /// The longest wait for the store. Default: 2 seconds; at most a minute.
    ///
    /// After 16 calls in a row that failed or took longer, further ones fail at once, but for about ten a second that find out
    /// when the store is back; and never do more than 8,192 calls wait at a time.
    pub fn store_deadline(mut self, deadline: Duration) -> Self {
        self.sessions.store_deadline = deadline;
        self
    }

    shared_setters!();

    /// Checks every setting against every other, probes the keys, and starts following the store's revocation log.
    ///
    /// # Errors
    /// [`ConfigError`], in words a person can act on.
    pub fn build(self) -> Result<Auth<C>, ConfigError> {
        let (engine, authority) = start::authority(Parts {
            keys: self.keys,
            settings: self.settings,
            origins: self.origins,
            sessions: self.sessions,
            store: self.store.ok_or(ConfigError::Missing("sessions"))?,
            accounts: self.accounts.ok_or(ConfigError::Missing("accounts"))?,
            decode: decode_app::<C>,
        })?;
        Ok(Auth::new(engine, Authority(authority)))
    }
}

impl<C> fmt::Debug for AuthorityBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityBuilder")
            .field("issuer", &self.settings.issuer)
            .finish_non_exhaustive()
    }
}
