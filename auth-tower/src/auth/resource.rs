//! The settings of a resource service.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::settings::shared_setters;
use super::start::Log;
use super::{Auth, Resource, start};
use crate::accounts::AppClaims;
use crate::clock::Clock;
use crate::config::Settings;
use crate::config::cookie::AccessTransport;
use crate::config::error::ConfigError;
use crate::events::Event;
use crate::keys::ring::KeyRing;
use crate::store::feed::RevocationFeed;
use crate::token::verified::decode_app;
use crate::wire::denial::{Denial, DenialBody};

/// The settings of a resource service. Everything has a safe default but [`audience`](Self::audience), [`keys`](Self::keys),
/// and whether it follows [revocations](Self::revocations).
#[must_use = "settings do nothing until `build` is called"]
pub struct ResourceBuilder<C> {
    settings: Settings,
    origins: Vec<String>,
    keys: Option<KeyRing>,
    log: Option<Log>,
    claims: PhantomData<fn() -> C>,
}

impl<C: AppClaims> ResourceBuilder<C> {
    pub(super) fn new(issuer: String) -> Self {
        Self {
            settings: Settings {
                issuer,
                ..Settings::default()
            },
            origins: Vec::new(),
            keys: None,
            log: None,
            claims: PhantomData,
        }
    }

    /// What a token must name in its `aud` to be accepted (RFC 7519 §4.1.3). Call it again to accept more.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.settings.audience.push(audience.into());
        self
    }

    /// The keys that verify: public ones, or the secret of an authority that signs with one. They may be swapped at run time
    /// with [`KeyRing::replace`].
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Follows this log of revocations, which every session store is. A service needs no other right at the store than to read
    /// it.
    ///
    /// Until the log has been read to its end for the first time, a request waits for it, two seconds at most. While the log
    /// cannot be read, [`on_outage`](crate::layer::AuthLayer::on_outage) decides: there is no store to ask.
    pub fn revocations(mut self, log: impl RevocationFeed) -> Self {
        self.log = Some(Log::Followed(Arc::new(log)));
        self
    }

    /// Follows no revocations: every access token is good until it expires, whatever became of its session. For services where a
    /// sign-out may take an access lifetime to be felt.
    pub fn without_revocations(mut self) -> Self {
        self.log = Some(Log::None);
        self
    }

    shared_setters!();

    /// Checks every setting against every other, probes the keys, and starts following the revocation log.
    ///
    /// # Errors
    /// [`ConfigError`], in words a person can act on.
    pub fn build(self) -> Result<Auth<C, Resource>, ConfigError> {
        let keys = self.keys.ok_or(ConfigError::Missing("keys"))?;
        let log = self
            .log
            .ok_or(ConfigError::Missing("revocations, or without_revocations,"))?;
        let engine = start::resource(self.settings, self.origins, keys, log, decode_app::<C>)?;
        Ok(Auth::new(engine, Resource(())))
    }
}

impl<C> fmt::Debug for ResourceBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceBuilder")
            .field("issuer", &self.settings.issuer)
            .finish_non_exhaustive()
    }
}
