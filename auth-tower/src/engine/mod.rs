//! One request: facts in, an identity out.
//!
//! The engine is compiled once for every application. What every role does (verify a token, check it against revocations)
//! stands in [`Core`]; what else a service may do is its [`Role`].

pub(crate) mod authority;
pub(crate) mod credentials;
mod exchange;
pub(crate) mod identify;
pub(crate) mod outcome;
mod revoke;
pub(crate) mod seen;
mod sign_in;
mod sign_out;
pub(crate) mod single_flight;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tokio::task::AbortHandle;

use self::authority::Authority;
use crate::clock::Timestamp;
use crate::clock::synced::SharedClock;
use crate::config::{Settings, defaults};
use crate::events::Event;
use crate::revocation::registry::Revocations;
use crate::token::verifier::Verifier;
use crate::wire::denial::{Denial, DenialCode};

/// What handles ask: verification, revocations, and one role.
pub(crate) struct Engine {
    core: Arc<Core>,
    role: Role,
    tasks: Vec<AbortHandle>,
}

/// What a service does beside verifying.
pub(crate) enum Role {
    /// It keeps sessions: signs in, exchanges, ends.
    Authority(Arc<Authority>),
    /// It only verifies.
    Resource,
}

impl Engine {
    /// The tasks are aborted when the engine is dropped.
    pub(crate) fn new(core: Arc<Core>, role: Role, tasks: Vec<AbortHandle>) -> Self {
        Self { core, role, tasks }
    }

    pub(crate) fn role(&self) -> &Role {
        &self.role
    }

    pub(crate) fn authority(&self) -> Option<&Arc<Authority>> {
        match &self.role {
            Role::Authority(authority) => Some(authority),
            Role::Resource => None,
        }
    }
}

impl Deref for Engine {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("issuer", &self.settings.issuer)
            .finish_non_exhaustive()
    }
}

/// What every role needs.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<SharedClock>,
    pub(crate) verifier: Verifier,
    pub(crate) revocations: Arc<Revocations>,
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn denial(&self, code: DenialCode) -> Denial {
        Denial::new(code).with_renderer(self.settings.renderer.clone())
    }

    pub(crate) fn unavailable(&self) -> Denial {
        self.denial(DenialCode::StoreUnavailable)
            .with_retry_after(defaults::RETRY_AFTER)
    }

    pub(crate) fn raise(&self, event: &Event) {
        event.log();
        if let Some(listener) = &self.settings.listener {
            listener(event);
        }
    }
}
