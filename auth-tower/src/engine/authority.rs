//! What an authority has beside a verifier: sessions, accounts and signing keys, and how it asks them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Core;
use super::credentials::{MAX_SESSIONS_TRIED, RefreshCookies};
use super::outcome::{End, ExchangeError, Exchanged};
use super::seen::Acknowledgements;
use super::single_flight::SingleFlight;
use crate::accounts::AccountsError;
use crate::accounts::erased::ErasedAccounts;
use crate::config::{SessionSettings, defaults};
use crate::facts::RequestFacts;
use crate::id::SessionId;
use crate::keys::ring::KeyRing;
use crate::store::StoreError;
use crate::store::erased::ErasedStore;
use crate::store::guard::{Answer, StoreGuard, error_source};
use crate::token::issuer::Issuer;
use crate::wire::cookies;
use crate::wire::denial::{Denial, DenialCode};

/// The role that keeps sessions.
pub(crate) struct Authority {
    pub(crate) core: Arc<Core>,
    pub(crate) sessions: SessionSettings,
    pub(crate) keys: KeyRing,
    pub(crate) issuer: Issuer,
    pub(crate) guard: Arc<StoreGuard>,
    pub(crate) store: Arc<dyn ErasedStore>,
    pub(crate) accounts: Arc<dyn ErasedAccounts>,
    pub(crate) acknowledgements: Arc<Acknowledgements>,
    pub(crate) exchanges: SingleFlight,
}

impl Deref for Authority {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("issuer", &self.settings.issuer)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Asks the store, within the deadline and the bounds of [`StoreGuard`].
    pub(crate) async fn stored<T: Answer>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.guard.ask(call).await
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
    pub(crate) fn acknowledge(&self, session: SessionId, generation: u32) {
        self.exchanges.acknowledge(session, generation);
        self.acknowledgements.add(session, generation);
    }

    /// Reads the refresh cookies off a request. No I/O: what is not authentic goes no further.
    pub(crate) fn refresh_cookies(&self, facts: &(impl RequestFacts + ?Sized)) -> RefreshCookies {
        let mut found = RefreshCookies {
            authority: self.settings.csrf.judge(facts),
            sent: false,
            authentic: Vec::new(),
        };
        cookies::values(facts, &self.sessions.cookie.name, &mut |value| {
            found.sent = true;
            let Some(presented) = self.keys.authenticate_refresh(value) else {
                return;
            };
            let room = found.authentic.len() < MAX_SESSIONS_TRIED;
            match found
                .authentic
                .iter_mut()
                .find(|other| other.session_id == presented.session_id)
            {
                Some(other) if other.generation < presented.generation => *other = presented,
                None if room => found.authentic.push(presented),
                _ => {}
            }
        });
        found
    }

    /// Exchanges the first of the authentic cookies whose session lives, of `wanted` where only that session may answer.
    ///
    /// The silent path and `POST /auth/refresh` both ask here. `Ok(None)` means that no cookie was of the wanted session.
    ///
    /// # Errors
    /// [`ExchangeError::Over`] with the end of the first session, if each that was tried came to one;
    /// [`ExchangeError::Unavailable`] as soon as one cannot be told.
    pub(crate) async fn exchange_first(
        self: &Arc<Self>,
        cookies: &RefreshCookies,
        wanted: Option<SessionId>,
    ) -> Result<Option<Arc<Exchanged>>, ExchangeError> {
        let mut first: Option<End> = None;
        for presented in &cookies.authentic {
            if wanted.is_some_and(|session| session != presented.session_id) {
                continue;
            }
            match self.exchange(presented).await {
                Ok(exchanged) => return Ok(Some(exchanged)),
                Err(ExchangeError::Over(end)) => first = first.or(Some(end)),
                Err(unavailable @ ExchangeError::Unavailable(_)) => return Err(unavailable),
            }
        }
        first.map_or(Ok(None), |end| Err(ExchangeError::Over(end)))
    }
}
