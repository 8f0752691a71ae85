//! One request: facts in, an identity out.

pub(crate) mod credentials;
pub(crate) mod exchange;
pub(crate) mod identify;
pub(crate) mod outcome;
mod revoke;
pub(crate) mod seen;
pub(crate) mod single_flight;

use std::sync::Arc;

use tokio::task::AbortHandle;

use self::single_flight::SingleFlight;
use crate::accounts::AccountsError;
use crate::accounts::erased::ErasedAccounts;
use crate::clock::Timestamp;
use crate::clock::synced::SharedClock;
use crate::config::{Settings, defaults};
use crate::engine::seen::Acknowledgements;
use crate::events::Event;
use crate::id::SessionId;
use crate::keys::ring::KeyRing;
use crate::revocation::registry::Revocations;
use crate::store::StoreError;
use crate::store::erased::ErasedStore;
use crate::store::guard::{Answer, StoreGuard};
use crate::token::issuer::Issuer;
use crate::token::verifier::Verifier;
use crate::wire::denial::{Denial, DenialCode};

/// Everything an authority needs, compiled once for every application.
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<SharedClock>,
    pub(crate) calls: Arc<StoreGuard>,
    pub(crate) keys: KeyRing,
    pub(crate) verifier: Verifier,
    pub(crate) issuer: Issuer,
    pub(crate) store: Arc<dyn ErasedStore>,
    pub(crate) accounts: Arc<dyn ErasedAccounts>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) marks: Arc<Acknowledgements>,
    pub(crate) flights: SingleFlight,
    pub(crate) tasks: Vec<AbortHandle>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("issuer", &self.settings.issuer)
            .finish_non_exhaustive()
    }
}

impl Engine {
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

    /// Asks the store, within the deadline and the bounds of [`StoreGuard`].
    pub(crate) async fn stored<T: Answer>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.calls.ask(call).await
    }

    /// The same for the application's accounts.
    pub(crate) async fn accounted<T>(
        &self,
        call: impl Future<Output = Result<Option<T>, AccountsError>> + Send,
    ) -> Result<Option<T>, Denial> {
        let late = || Err(AccountsError::unavailable("the accounts did not answer in time"));
        match tokio::time::timeout(defaults::ACCOUNTS_DEADLINE, call)
            .await
            .unwrap_or_else(|_| late())
        {
            Ok(answer) => Ok(answer),
            Err(AccountsError::RateLimited { retry_after }) => {
                Err(self.denial(DenialCode::RateLimited).with_retry_after(retry_after))
            }
            Err(error) => {
                tracing::warn!(target: "auth", %error, source = error_source(&error), "the accounts failed");
                Err(self.unavailable())
            }
        }
    }

    /// A generation was proven to be in its client's hands.
    pub(crate) fn saw(&self, session: SessionId, generation: u32) {
        self.flights.saw(session, generation);
        self.marks.add(session, generation);
    }
}

/// The cause of an error as the driver told it; our own errors carry no secret, and neither do the drivers'.
pub(crate) fn error_source(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    error.source().map(ToString::to_string)
}
