//! The handle that people hold, and its builder.

pub(crate) mod authority;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::AppClaims;
use crate::auth::authority::AuthorityBuilder;
use crate::config::OnOutage;
use crate::engine::Engine;
use crate::facts::RequestFacts;
use crate::handle::Handle;
use crate::id::{SessionId, Subject};
use crate::keys::ring::KeyRing;
use crate::layer::AuthLayer;
use crate::routes::Route;
use crate::routes::endpoint::Endpoint;
use crate::session::EndReason;
use crate::wire::denial::Denial;

/// Token authentication for an application whose claims are `C`.
///
/// Cheap to clone; every clone shares the keys, the caches and the exchanges under way. **Make one per process**, outside of
/// anything that a framework runs once per worker.
///
/// ```
/// use auth_tower::Accounts;
/// use auth_tower::AccountsError;
/// use auth_tower::Auth;
/// use auth_tower::Grant;
/// use auth_tower::KeyRing;
/// use auth_tower::PasswordCredentials;
/// use auth_tower::MemoryStore;
/// use auth_tower::Subject;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Serialize, Deserialize)] struct User { name: String }
/// # struct MyAccounts;
/// # impl Accounts for MyAccounts {
/// #     type Claims = User;
/// #     async fn verify(&self, _: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> { Ok(None) }
/// #     async fn claims(&self, _: &Subject) -> Result<Option<Grant<User>>, AccountsError> { Ok(None) }
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("auth-keys.json");
/// let auth = Auth::<User>::authority(KeyRing::load_or_generate(path)?)
///     .issuer("https://id.example.com")
///     .audience("https://api.example.com")
///     .sessions(MemoryStore::new())
///     .accounts(MyAccounts)
///     .build()?;
/// let layer = auth.layer(); // for any tower service
///
/// // A setting that cannot work is refused here, not at the first request.
/// # let keys = auth.keys().clone();
/// assert!(Auth::<User>::authority(keys).issuer("https://id.example.com").build().is_err());
/// # Ok(()) }
/// ```
pub struct Auth<C> {
    engine: Arc<Engine>,
    claims: PhantomData<fn() -> C>,
}

impl<C: AppClaims> Auth<C> {
    /// Begins the settings of an authority: it signs access tokens, keeps sessions, and serves login, refresh and logout.
    pub fn authority(keys: KeyRing) -> AuthorityBuilder<C> {
        AuthorityBuilder::new(keys)
    }

    /// The tower layer: lazy, so a public route costs next to nothing. See [`AuthLayer::required`] for plain services.
    pub fn layer(&self) -> AuthLayer<C> {
        AuthLayer::new(self.clone())
    }
}

impl<C> Auth<C> {
    /// The keys, which may be swapped at run time with [`KeyRing::replace`].
    pub fn keys(&self) -> &KeyRing {
        &self.engine.keys
    }

    /// Whether `other` was built apart from this one, for the same issuer and audience: the two share neither the verified
    /// tokens that they remember nor exchanges under way. Shells notice by it what should have been built once.
    pub fn is_duplicate_of(&self, other: &Self) -> bool {
        let (one, two) = (&self.engine.settings, &other.engine.settings);
        !Arc::ptr_eq(&self.engine, &other.engine) && one.issuer == two.issuer && one.audience == two.audience
    }

    /// A handle for one request. Shells call it.
    pub fn handle(&self, on_outage: OnOutage) -> Handle {
        Handle::new(self.engine.clone(), on_outage)
    }

    /// One of the ready routes, for one request. Shells call it.
    pub fn endpoint(&self, route: Route, facts: &(impl RequestFacts + ?Sized)) -> Endpoint {
        Endpoint::new(self.engine.clone(), route, facts)
    }

    /// Ends a session, as an administrator does. Honoured here at once and on every instance within a second. Returns
    /// whether it was live.
    ///
    /// # Errors
    /// 503 while the store cannot be asked.
    pub async fn end_session(&self, session: SessionId) -> Result<bool, Denial> {
        self.engine.end_session(session, EndReason::Administrator).await
    }

    /// Ends every session of a subject, as after a password change. Returns how many were live.
    ///
    /// # Errors
    /// 503 while the store cannot be asked.
    pub async fn end_all(&self, subject: &Subject) -> Result<u64, Denial> {
        self.engine.end_all(subject, None, EndReason::Administrator).await
    }

    /// How the parts that run by themselves are doing.
    pub fn health(&self) -> Health {
        let engine = &self.engine;
        let now = engine.now();
        Health {
            feed_age: engine.revocations.feed_age(now),
            feed_is_fresh: engine.revocations.is_fresh(now),
            store_answers: !engine.calls.circuit_open(),
            clock_offset_millis: engine.clock.offset_millis(),
        }
    }
}

impl<C> Clone for Auth<C> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            claims: PhantomData,
        }
    }
}

impl<C> fmt::Debug for Auth<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("engine", &self.engine).finish()
    }
}

/// How the parts that run by themselves are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How long ago the revocation feed was read to its end: an ending elsewhere that is older is honoured here. `None` before
    /// the first time.
    pub feed_age: Option<Duration>,
    /// Whether that is within the allowed staleness. Otherwise tokens are checked against the store.
    pub feed_is_fresh: bool,
    /// Whether the store is waited for. It is not while its last calls have failed in a row; what needs it is then answered 503 at
    /// once, and a few calls a second find out when it is back.
    pub store_answers: bool,
    /// What is added to this machine's clock to have the store's, which tokens are dated by. In milliseconds; far from zero, one
    /// of the two is wrong.
    pub clock_offset_millis: i64,
}
