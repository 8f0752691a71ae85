//! Beginning a session.

use std::time::Duration;

use super::authority::Authority;
use super::outcome::{ExchangeError, RefreshCookie};
use crate::accounts::PasswordCredentials;
use crate::events::Event;
use crate::id::{SessionId, Subject};
use crate::session::{ClientInfo, EndReason, SessionRecord};
use crate::store::StoreError;
use crate::store::session::NewSession;
use crate::token::issuer::Issued;
use crate::token::refresh::{PresentedRefresh, SessionSecret};
use crate::wire::denial::{Denial, DenialCode};

/// Well within what a verifier grants another server's clock.
const CLOCKS_APART: Duration = Duration::from_secs(5);

/// How soon a client may come again when a bounded store has no room.
const STORE_FULL_RETRY: Duration = Duration::from_secs(60);

/// A session that has just begun, with its first pair of tokens.
pub(crate) struct SignIn {
    pub(crate) session: SessionId,
    pub(crate) issued: Issued,
    pub(crate) refresh: RefreshCookie,
}

impl Authority {
    /// Whose credentials these are.
    pub(crate) async fn verify_password(&self, credentials: &PasswordCredentials) -> Result<Subject, Denial> {
        match self.accounted(self.accounts.verify(credentials)).await? {
            Some(subject) => Ok(subject),
            None => Err(self.refuse_sign_in()),
        }
    }

    /// Begins a session of a user who has proven who they are.
    pub(crate) async fn sign_in(&self, subject: Subject, client: ClientInfo) -> Result<SignIn, Denial> {
        let Some(grant) = self.accounted(self.accounts.claims(&subject)).await? else {
            return Err(self.refuse_sign_in());
        };
        let secret = SessionSecret::generate(&subject.key());
        let session = secret.session_id();
        let lifetime = self.sessions.lifetime;
        let new = NewSession {
            id: session,
            subject: subject.clone(),
            client_id: self.sessions.client_id.as_str().into(),
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
            self.now(),
        );
        let generation = draft.rotation.current;
        let issue = |record: &SessionRecord| {
            self.issue(record, &subject, generation, &grant, lifetime.absolute)
                .map_err(|error| match error {
                    ExchangeError::Unavailable(denial) => denial,
                    ExchangeError::Over(_) => self.denial(DenialCode::Internal),
                })
        };
        let mut issued = issue(&draft)?;
        let token = self
            .keys
            .mint_refresh(&secret, generation)
            .map_err(|_| self.denial(DenialCode::Internal))?;
        let known = self.revocations.log_version();
        let record = self.stored(self.store.create(new)).await.map_err(|error| match error {
            StoreError::Full => self
                .denial(DenialCode::StoreUnavailable)
                .with_retry_after(STORE_FULL_RETRY),
            _ => self.unavailable(),
        })?;
        self.revocations.confirm_live(session, known);
        // The first answer of a store whose clock is far from this machine's: the other instances go by the store's.
        if record.created_at.distance(draft.created_at) > CLOCKS_APART {
            issued = issue(&record)?;
        }
        let max_age = record.expires_at().since(record.created_at);
        self.raise(&Event::SignedIn { subject, session });
        Ok(SignIn {
            session,
            issued,
            refresh: RefreshCookie { token, max_age },
        })
    }

    /// Ends the browser's earlier sessions, which are over once it has a new one (OWASP ASVS 7.2.4).
    pub(crate) async fn replace(&self, earlier: &[PresentedRefresh], begun: SessionId) {
        for presented in earlier {
            if presented.session_id != begun {
                // The sign-in stands all the same; the failure has been logged.
                let _ = self.end_session(presented.session_id, EndReason::Replaced).await;
            }
        }
    }

    fn refuse_sign_in(&self) -> Denial {
        self.raise(&Event::SignInRefused);
        self.denial(DenialCode::InvalidCredentials)
    }
}
