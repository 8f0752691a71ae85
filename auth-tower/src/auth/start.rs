//! The one place that wires: from checked settings to a running engine.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle as Runtime;
use tokio::task::JoinHandle;

use crate::accounts::erased::ErasedAccounts;
use crate::clock::synced::SharedClock;
use crate::config::error::ConfigError;
use crate::config::{SessionSettings, Settings, defaults};
use crate::csrf::Origin;
use crate::engine::authority::Authority;
use crate::engine::seen::Acknowledgements;
use crate::engine::single_flight::SingleFlight;
use crate::engine::{Core, Engine, Role, seen};
use crate::keys::ring::KeyRing;
use crate::keys::source::KeySource;
use crate::revocation::feed;
use crate::revocation::feed::Follower;
use crate::revocation::poller::LivenessPoller;
use crate::revocation::registry::Revocations;
use crate::store::erased::{ErasedFeed, ErasedStore};
use crate::store::guard::StoreGuard;
use crate::store::purge;
use crate::store::session::Retention;
use crate::token::issuer::Issuer;
use crate::token::verified::{DecodeApp, Rules};
use crate::token::verifier::Verifier;

/// What an authority is made of.
pub(super) struct Parts {
    pub(super) keys: KeyRing,
    pub(super) settings: Settings,
    pub(super) origins: Vec<String>,
    pub(super) sessions: SessionSettings,
    pub(super) store: Arc<dyn ErasedStore>,
    pub(super) accounts: Arc<dyn ErasedAccounts>,
    pub(super) decode: DecodeApp,
}

/// Where a service hears of revocations.
pub(super) enum Log {
    Followed(Arc<dyn ErasedFeed>),
    None,
}

/// Starts an authority.
pub(super) fn authority(parts: Parts) -> Result<(Engine, Arc<Authority>), ConfigError> {
    let runtime = runtime()?;
    let Parts {
        keys,
        mut settings,
        origins,
        sessions,
        store,
        accounts,
        decode,
    } = parts;
    trust(&mut settings, &origins)?;
    settings.check()?;
    sessions.check(&settings)?;
    if !keys.has_signing_key() {
        return Err(ConfigError::Missing("signing key of the key ring"));
    }
    if !keys.has_refresh_key() {
        return Err(ConfigError::Missing("refresh key of the key ring"));
    }
    settings.csrf.plain_http = !sessions.cookie.secure;

    // Longer than any token lives that an instance with these settings issued, clocks apart included. Shortening the access
    // lifetime by more than half takes effect for the tokens issued before only once they have expired.
    let memory = (sessions.access_lifetime * 2).max(Duration::from_secs(300));
    let retention = Retention {
        sessions: defaults::SESSION_RETENTION,
        revocations: memory,
    };
    let deadline = sessions.store_deadline;
    let rules = rules(&settings);
    let issuer = Issuer::new(keys.clone(), &rules, decode);
    let core = core(settings, KeySource::from(keys.clone()), rules, decode, Some(memory));
    let guard = Arc::new(StoreGuard::new(deadline, core.clock.clone()));
    let acknowledgements = Arc::new(Acknowledgements::default());
    let log: Arc<dyn ErasedFeed> = store.clone();
    let tasks = [
        runtime.spawn(feed::follow(follower(&core, log, &guard, deadline))),
        runtime.spawn(seen::write(
            store.clone(),
            guard.clone(),
            acknowledgements.clone(),
            deadline,
        )),
        runtime.spawn(purge::purge(store.clone(), guard.clone(), retention, deadline)),
        runtime.spawn(
            LivenessPoller {
                store: Some((guard.clone(), store.clone())),
                revocations: core.revocations.clone(),
                clock: core.clock.clone(),
                access_lifetime: sessions.access_lifetime,
            }
            .run(),
        ),
    ];
    let authority = Arc::new(Authority {
        core: core.clone(),
        sessions,
        keys,
        issuer,
        guard,
        store,
        accounts,
        acknowledgements,
        exchanges: SingleFlight::new(),
    });
    let tasks = tasks.iter().map(JoinHandle::abort_handle).collect();
    let engine = Engine::new(core, Role::Authority(authority.clone()), tasks);
    Ok((engine, authority))
}

/// Starts a service that only verifies.
pub(super) fn resource(
    mut settings: Settings,
    origins: Vec<String>,
    keys: KeyRing,
    log: Log,
    decode: DecodeApp,
) -> Result<Engine, ConfigError> {
    let runtime = runtime()?;
    trust(&mut settings, &origins)?;
    settings.check()?;
    let rules = rules(&settings);
    let memory = match log {
        Log::Followed(_) => Some(defaults::RESOURCE_MEMORY),
        Log::None => None,
    };
    let core = core(settings, KeySource::from(keys), rules, decode, memory);
    let mut tasks = Vec::new();
    if let Log::Followed(log) = log {
        let deadline = defaults::STORE_DEADLINE;
        let guard = Arc::new(StoreGuard::new(deadline, core.clock.clone()));
        tasks.push(runtime.spawn(feed::follow(follower(&core, log, &guard, deadline))));
        tasks.push(
            runtime.spawn(
                LivenessPoller {
                    store: None,
                    revocations: core.revocations.clone(),
                    clock: core.clock.clone(),
                    access_lifetime: defaults::ACCESS_LIFETIME,
                }
                .run(),
            ),
        );
    }
    let tasks = tasks.iter().map(JoinHandle::abort_handle).collect();
    Ok(Engine::new(core, Role::Resource, tasks))
}

fn runtime() -> Result<Runtime, ConfigError> {
    Runtime::try_current().map_err(|_| ConfigError::NoRuntime)
}

fn trust(settings: &mut Settings, origins: &[String]) -> Result<(), ConfigError> {
    for origin in origins {
        let origin = Origin::parse(origin).ok_or(ConfigError::invalid(
            "trusted_origin",
            "must be an origin such as `https://app.example.com`, without a path",
        ))?;
        settings.csrf.trusted_origins.push(origin);
    }
    Ok(())
}

fn rules(settings: &Settings) -> Rules {
    Rules {
        issuer: settings.issuer.as_str().into(),
        audience: settings.audience.iter().map(|name| name.as_str().into()).collect(),
        leeway: settings.leeway,
    }
}

/// `memory` is how long revocations are remembered, or `None` where none are followed.
fn core(settings: Settings, keys: KeySource, rules: Rules, decode: DecodeApp, memory: Option<Duration>) -> Arc<Core> {
    let verifier = Verifier::new(keys, rules, decode, settings.token_cache_bytes);
    let revocations = match memory {
        Some(memory) => Revocations::new(memory, settings.max_staleness),
        None => Revocations::none(settings.max_staleness),
    };
    Arc::new(Core {
        clock: Arc::new(SharedClock::new(settings.clock.clone())),
        settings,
        verifier,
        revocations: Arc::new(revocations),
    })
}

fn follower(core: &Core, log: Arc<dyn ErasedFeed>, guard: &Arc<StoreGuard>, deadline: Duration) -> Follower {
    Follower {
        log,
        guard: guard.clone(),
        revocations: core.revocations.clone(),
        clock: core.clock.clone(),
        max_staleness: core.settings.max_staleness,
        deadline,
    }
}
