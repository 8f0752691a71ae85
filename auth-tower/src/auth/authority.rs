//! The settings of an authority.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::erased::ErasedAccounts;
use crate::accounts::{Accounts, AppClaims};
use crate::auth::Auth;
use crate::clock::Clock;
use crate::clock::synced::SharedClock;
use crate::config::cookie::{AccessTransport, CookieConfig};
use crate::config::error::ConfigError;
use crate::config::{Listener, Settings, defaults};
use crate::csrf::Origin;
use crate::engine::seen::Acknowledgements;
use crate::engine::single_flight::SingleFlight;
use crate::engine::{Engine, seen};
use crate::events::Event;
use crate::keys::ring::KeyRing;
use crate::revocation::poller::Keeper;
use crate::revocation::registry::Revocations;
use crate::revocation::{feed, poller};
use crate::session::rotation::Reuse;
use crate::store::erased::ErasedStore;
use crate::store::guard::StoreGuard;
use crate::store::purge;
use crate::store::session::{Retention, SessionStore};
use crate::token::issuer::Issuer;
use crate::token::verified::{Rules, decode_app};
use crate::token::verifier::Verifier;
use crate::wire::denial::{Denial, DenialBody};

/// The settings of an authority. Everything has a safe default but [`issuer`](Self::issuer), [`audience`](Self::audience),
/// [`sessions`](Self::sessions) and [`accounts`](Self::accounts).
#[must_use = "settings do nothing until `build` is called"]
pub struct AuthorityBuilder<C> {
    keys: KeyRing,
    settings: Settings,
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
        self.settings.client_id = client_id.into();
        self
    }

    /// How long an access token lives. Default: 15 minutes. At least one second.
    pub fn access_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.access_lifetime = lifetime;
        self
    }

    /// How long a session lives without a refresh. Default: 7 days. At least one second, at most the absolute lifetime.
    pub fn idle_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.lifetime.idle = lifetime;
        self
    }

    /// How long a session lives in all; no refresh extends it. Default: 30 days. At most 400 days.
    pub fn absolute_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.lifetime.absolute = lifetime;
        self
    }

    /// For how long after a rotation the predecessor is tolerated. Default: 30 seconds.
    ///
    /// A third of it is the longest that a request or a response may be under way without harm. Zero gives up the promises
    /// for parallel and lost requests: every refresh rotates.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.policy.grace = grace;
        self
    }

    /// What a predecessor means after the grace when its successor was never seen. Default: [`Reuse::Recover`].
    pub fn reuse(mut self, reuse: Reuse) -> Self {
        self.settings.policy.reuse = reuse;
        self
    }

    /// How long a token is accepted after its `exp`. Default: zero. At most 10 seconds.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = leeway;
        self
    }

    /// Puts the time of the sign-in into every token as `auth_time` (RFC 9068 §2.2.1).
    pub fn with_auth_time(mut self) -> Self {
        self.settings.auth_time = true;
        self
    }

    /// The refresh cookie. Default: `__Host-refresh; HttpOnly; Secure; SameSite=Strict; Path=/`.
    pub fn refresh_cookie(mut self, cookie: CookieConfig) -> Self {
        self.settings.cookie = cookie;
        self
    }

    /// How access tokens reach the client. Default: [`AccessTransport::Header`].
    pub fn access_transport(mut self, transport: AccessTransport) -> Self {
        self.settings.transport = transport;
        self
    }

    /// Lets pages of another origin (`https://app.example.com`) act with the user's cookies. Call it once per origin.
    pub fn trusted_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Refuses unsafe requests on a cookie's word that carry neither `Sec-Fetch-Site` nor `Origin`. Every current browser
    /// sends one of them; other programs that keep cookies would be locked out.
    pub fn with_strict_origin(mut self) -> Self {
        self.settings.csrf.strict = true;
        self
    }

    /// Asks for this (lower-case) header on every unsafe request on a cookie's word. A page of another origin cannot send
    /// it without a preflight that the application would have to allow.
    pub fn required_header(mut self, name: &'static str) -> Self {
        self.settings.csrf.required_header = Some(name);
        self
    }

    /// The longest wait for the store. Default: 2 seconds; at most a minute.
    ///
    /// After 16 calls in a row that failed or took longer, further ones fail at once, but for about ten a second that find out
    /// when the store is back; and never do more than 8,192 calls wait at a time.
    pub fn store_deadline(mut self, deadline: Duration) -> Self {
        self.settings.store_deadline = deadline;
        self
    }

    /// How old the revocation feed may be before tokens are checked against the store. Default: 5 seconds; at least half a
    /// second.
    pub fn max_staleness(mut self, staleness: Duration) -> Self {
        self.settings.max_staleness = staleness;
        self
    }

    /// The bound on the memory of the verified-token cache, in bytes. Default: 32 MiB. Zero keeps nothing.
    pub fn token_cache_bytes(mut self, bytes: u64) -> Self {
        self.settings.token_cache_bytes = bytes;
        self
    }

    /// Renders the bodies of denials in the application's own way. Status, challenge and headers stay as they are.
    pub fn render_denials(mut self, render: impl Fn(&Denial) -> DenialBody + Send + Sync + 'static) -> Self {
        self.settings.renderer = Some(Arc::new(render));
        self
    }

    /// Hears of everything that happens to sessions. Called on the request's task: hand over anything slow.
    pub fn on_event(mut self, listen: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        let listener: Listener = Arc::new(listen);
        self.settings.listener = Some(listener);
        self
    }

    /// Another clock of this machine, for tests. Embedded stores have their own.
    ///
    /// Whatever it says, sessions and access tokens are dated by the store's clock, which every answer of the store tells; so
    /// instances whose clocks are minutes apart agree. [`Health::clock_offset_millis`] is the difference.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Checks every setting against every other, probes the keys, and starts following the store's endings.
    ///
    /// # Errors
    /// [`ConfigError`], in words a person can act on.
    pub fn build(mut self) -> Result<Auth<C>, ConfigError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| ConfigError::NoRuntime)?;
        for origin in &self.origins {
            let origin = Origin::parse(origin).ok_or(ConfigError::invalid(
                "trusted_origin",
                "must be an origin such as `https://app.example.com`, without a path",
            ))?;
            self.settings.csrf.trusted_origins.push(origin);
        }
        let settings = self.settings;
        settings.check()?;
        if !self.keys.has_signing_key() {
            return Err(ConfigError::Missing("signing key of the key ring"));
        }
        if !self.keys.has_refresh_key() {
            return Err(ConfigError::Missing("refresh key of the key ring"));
        }
        let store = self.store.ok_or(ConfigError::Missing("sessions"))?;
        let accounts = self.accounts.ok_or(ConfigError::Missing("accounts"))?;
        let mut settings = settings;
        settings.csrf.plain_http = !settings.cookie.secure;

        // Longer than any token lives that an instance with these settings issued, clocks apart included. Shortening the access
        // lifetime by more than half takes effect for the tokens issued before only once they have expired.
        let memory = (settings.access_lifetime * 2).max(Duration::from_secs(300));
        let rules = Rules {
            issuer: settings.issuer.as_str().into(),
            audience: settings
                .audience
                .iter()
                .map(|audience| audience.as_str().into())
                .collect(),
            leeway: settings.leeway,
        };
        let issuer = Issuer::new(self.keys.clone(), &rules, decode_app::<C>);
        let verifier = Verifier::new(self.keys.clone(), rules, decode_app::<C>, settings.token_cache_bytes);
        let revocations = Arc::new(Revocations::new(memory, settings.max_staleness));
        let marks = Arc::new(Acknowledgements::default());
        let retention = Retention {
            sessions: defaults::SESSION_RETENTION,
            revocations: memory,
        };
        let deadline = settings.store_deadline;
        let clock = Arc::new(SharedClock::new(settings.clock.clone()));
        let calls = Arc::new(StoreGuard::new(deadline, clock.clone()));
        let tasks = [
            runtime.spawn(feed::follow(
                store.clone(),
                calls.clone(),
                revocations.clone(),
                clock.clone(),
                settings.max_staleness,
                deadline,
            )),
            runtime.spawn(seen::write(store.clone(), calls.clone(), marks.clone(), deadline)),
            runtime.spawn(purge::purge(store.clone(), calls.clone(), retention, deadline)),
            runtime.spawn(poller::keep(Keeper {
                store: store.clone(),
                calls: calls.clone(),
                revocations: revocations.clone(),
                clock: clock.clone(),
                access_lifetime: settings.access_lifetime,
            })),
        ];
        let engine = Engine {
            settings,
            clock,
            calls,
            keys: self.keys,
            verifier,
            issuer,
            store,
            accounts,
            revocations,
            marks,
            flights: SingleFlight::new(),
            tasks: tasks.iter().map(tokio::task::JoinHandle::abort_handle).collect(),
        };
        Ok(Auth {
            engine: Arc::new(engine),
            claims: PhantomData,
        })
    }
}

impl<C> fmt::Debug for AuthorityBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityBuilder")
            .field("issuer", &self.settings.issuer)
            .finish_non_exhaustive()
    }
}
