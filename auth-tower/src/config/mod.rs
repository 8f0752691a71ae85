//! Settings and their cross-checks.

pub(crate) mod cookie;
pub(crate) mod defaults;
pub(crate) mod error;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::cookie::{AccessTransport, CookieConfig};
use crate::config::error::ConfigError;
use crate::csrf::CsrfPolicy;
use crate::events::Event;
use crate::session::Lifetime;
use crate::session::rotation::{Policy, Reuse};
use crate::wire::denial::Renderer;

/// What happens to a valid access token when neither the revocation feed nor the store can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "a token is accepted or it is not")]
pub enum OnOutage {
    /// It is accepted until it expires: no single point of failure, and what an attacker can gain is bounded by the access
    /// lifetime.
    #[default]
    Accept,
    /// It is refused with 503.
    Refuse,
}

/// A listener for [`Event`]s.
pub(crate) type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// What every role is told, not yet checked.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) issuer: String,
    pub(crate) audience: Vec<String>,
    pub(crate) leeway: Duration,
    pub(crate) transport: AccessTransport,
    pub(crate) csrf: CsrfPolicy,
    pub(crate) max_staleness: Duration,
    pub(crate) token_cache_bytes: u64,
    pub(crate) renderer: Option<Renderer>,
    pub(crate) listener: Option<Listener>,
    pub(crate) clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: Vec::new(),
            leeway: Duration::ZERO,
            transport: AccessTransport::Header,
            csrf: CsrfPolicy::default(),
            max_staleness: defaults::MAX_STALENESS,
            token_cache_bytes: defaults::TOKEN_CACHE_BYTES,
            renderer: None,
            listener: None,
            clock: Clock::system(),
        }
    }
}

/// What an authority is told beside, not yet checked.
#[derive(Clone)]
pub(crate) struct SessionSettings {
    pub(crate) client_id: String,
    pub(crate) access_lifetime: Duration,
    pub(crate) auth_time: bool,
    pub(crate) lifetime: Lifetime,
    pub(crate) policy: Policy,
    pub(crate) cookie: CookieConfig,
    pub(crate) store_deadline: Duration,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            client_id: defaults::CLIENT_ID.to_owned(),
            access_lifetime: defaults::ACCESS_LIFETIME,
            auth_time: false,
            lifetime: Lifetime {
                idle: defaults::IDLE_LIFETIME,
                absolute: defaults::ABSOLUTE_LIFETIME,
            },
            policy: Policy {
                grace: defaults::GRACE,
                reuse: Reuse::Recover,
            },
            cookie: CookieConfig::new("__Host-refresh"),
            store_deadline: defaults::STORE_DEADLINE,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.issuer.is_empty() {
            return Err(ConfigError::Missing("issuer"));
        }
        if self.audience.is_empty() {
            return Err(ConfigError::Missing("audience"));
        }
        if !is_text(&self.issuer) {
            return invalid("issuer", "must be text without control characters");
        }
        if !self.audience.iter().all(|audience| is_text(audience)) {
            return invalid("audience", "must be text without control characters, and not empty");
        }
        if self.leeway > defaults::MAX_LEEWAY {
            return invalid("leeway", "must be at most 10 seconds");
        }
        if self.max_staleness > defaults::MAX_MAX_STALENESS {
            return invalid("max_staleness", "must be at most one hour");
        }
        if self.max_staleness < Duration::from_millis(500) {
            return invalid(
                "max_staleness",
                "must be at least half a second, or the feed could never be fresh",
            );
        }
        if self.token_cache_bytes > 64 * 1024 * 1024 * 1024 {
            return invalid("token_cache_bytes", "must be at most 64 GiB");
        }
        let header = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        if !self.csrf.required_header.is_none_or(header) {
            return invalid("required_header", "must be a header's name in lower case");
        }
        if let AccessTransport::Cookie(access) = &self.transport {
            access.check()?;
        }
        Ok(())
    }
}

/// Whether a name in a token is one that can be compared and printed.
fn is_text(value: &str) -> bool {
    !value.is_empty() && !value.chars().any(char::is_control)
}

fn invalid(setting: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError::invalid(setting, problem))
}

impl SessionSettings {
    pub(crate) fn check(&self, settings: &Settings) -> Result<(), ConfigError> {
        if !is_text(&self.client_id) {
            return invalid("client_id", "must be text without control characters, and not empty");
        }
        if self.access_lifetime < Duration::from_secs(1) {
            return invalid("access_lifetime", "must be at least one second");
        }
        if self.access_lifetime > defaults::MAX_COOKIE_AGE {
            return invalid("access_lifetime", "must be at most 400 days");
        }
        if self.lifetime.idle < Duration::from_secs(1) {
            return invalid("idle_lifetime", "must be at least one second");
        }
        if self.lifetime.absolute > defaults::MAX_COOKIE_AGE {
            return invalid(
                "absolute_lifetime",
                "must be at most 400 days: browsers cut a cookie's age to that",
            );
        }
        if self.lifetime.idle > self.lifetime.absolute {
            return Err(ConfigError::Contradiction {
                first: "idle_lifetime",
                second: "absolute_lifetime",
                problem: "a session cannot be idle for longer than it lives",
            });
        }
        if self.store_deadline.is_zero() || self.store_deadline > defaults::MAX_DEADLINE {
            return invalid("store_deadline", "must be longer than zero and at most one minute");
        }
        self.cookie.check()?;
        if let AccessTransport::Cookie(access) = &settings.transport
            && access.name == self.cookie.name
        {
            return Err(ConfigError::Contradiction {
                first: "refresh_cookie",
                second: "access_transport",
                problem: "the two cookies need different names",
            });
        }
        Ok(())
    }
}
