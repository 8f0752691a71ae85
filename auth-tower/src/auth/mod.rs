//! What people hold, in either role.

pub(crate) mod authority;
pub(crate) mod resource;
mod settings;
mod start;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use self::authority::AuthorityBuilder;
use self::resource::ResourceBuilder;
use crate::accounts::AppClaims;
use crate::engine;
use crate::engine::Engine;
use crate::id::{SessionId, Subject};
use crate::keys::ring::KeyRing;
use crate::session::EndReason;
use crate::wire::denial::Denial;

/// The role of a service that signs access tokens, keeps sessions, and serves sign-in, refresh and sign-out.
#[derive(Clone)]
pub struct Authority(pub(crate) Arc<engine::authority::Authority>);

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// The role of a service that only verifies access tokens and follows revocations. It holds no secret of the authority's.
///
/// What only an authority can do does not compile for it.
#[derive(Debug, Clone)]
pub struct Resource(());

/// Token authentication for an application whose claims are `C`, in the role `R`: an [authority](Self::authority), or a
/// [resource service](Self::resource).
///
/// Cheap to clone; every clone shares the keys, the caches and the exchanges under way. **Make one per process**, outside of
/// anything that a framework runs once per worker.
///
/// ```
/// use auth_tower::{Accounts, AccountsError, Auth, Grant, KeyRing, MemoryStore, PasswordCredentials, Subject};
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
pub struct Auth<C, R = Authority> {
    engine: Arc<Engine>,
    role: R,
    claims: PhantomData<fn() -> C>,
}

impl<C: AppClaims> Auth<C> {
    /// Begins the settings of an authority: it signs access tokens, keeps sessions, and serves sign-in, refresh and sign-out.
    pub fn authority(keys: KeyRing) -> AuthorityBuilder<C> {
        AuthorityBuilder::new(keys)
    }

    /// Begins the settings of a resource service: it verifies the access tokens of `issuer`, compared exactly (RFC 7519
    /// §4.1.1), and follows their revocations. It needs public keys only, or the secret of an authority that signs with one.
    ///
    /// ```
    /// use auth_tower::{Auth, KeyRing, MemoryStore, VerifyingKey};
    /// # use auth_tower::{Algorithm, SigningKey};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Clone, Serialize, Deserialize)] struct User { name: String }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let public_pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    /// # let shared_store = MemoryStore::new();
    /// let keys = KeyRing::builder()
    ///     .verifying(VerifyingKey::from_pem("2026-11", Algorithm::EdDSA, public_pem)?)
    ///     .build()?;
    /// let auth = Auth::<User>::resource("https://id.example.com")
    ///     .audience("https://orders.example.com")
    ///     .keys(keys)
    ///     .revocations(shared_store) // or `.without_revocations()`
    ///     .build()?;
    /// let layer = auth.layer(); // the same layer, extractors and guards as at the authority
    /// # Ok(()) }
    /// ```
    ///
    /// What only an authority can do does not compile:
    ///
    /// ```compile_fail
    /// # use auth_tower::{Auth, Resource, SessionId};
    /// async fn put_out(auth: Auth<(), Resource>, session: SessionId) {
    ///     let _ = auth.end_session(session).await;
    /// }
    /// ```
    pub fn resource(issuer: impl Into<String>) -> ResourceBuilder<C> {
        ResourceBuilder::new(issuer.into())
    }
}

impl<C> Auth<C> {
    pub(crate) fn authority_role(&self) -> &Arc<engine::authority::Authority> {
        &self.role.0
    }

    /// The keys, which may be swapped at run time with [`KeyRing::replace`].
    pub fn keys(&self) -> &KeyRing {
        &self.authority_role().keys
    }

    /// Ends a session, as an administrator does. Honoured here at once and on every instance within a second. Returns
    /// whether it was live.
    ///
    /// # Errors
    /// 503 while the store cannot be asked.
    pub async fn end_session(&self, session: SessionId) -> Result<bool, Denial> {
        self.authority_role()
            .end_session(session, EndReason::Administrator)
            .await
    }

    /// Ends every session of a subject, as after a password change. Returns how many were live.
    ///
    /// # Errors
    /// 503 while the store cannot be asked.
    pub async fn end_all(&self, subject: &Subject) -> Result<u64, Denial> {
        self.authority_role()
            .end_all(subject, None, EndReason::Administrator)
            .await
    }
}

impl<C, R> Auth<C, R> {
    fn new(engine: Engine, role: R) -> Self {
        Self {
            engine: Arc::new(engine),
            role,
            claims: PhantomData,
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// How the parts that run by themselves are doing.
    pub fn health(&self) -> Health {
        let engine = &self.engine;
        let now = engine.now();
        Health {
            feed_age: engine.revocations.feed_age(now),
            feed_is_fresh: engine.revocations.is_fresh(now),
            store_answers: engine
                .authority()
                .is_none_or(|authority| !authority.guard.circuit_open()),
            clock_offset_millis: engine.clock.offset_millis(),
        }
    }
}

impl<C, R: Clone> Clone for Auth<C, R> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            role: self.role.clone(),
            claims: PhantomData,
        }
    }
}

impl<C, R> fmt::Debug for Auth<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("engine", &self.engine).finish()
    }
}

/// How the parts that run by themselves are doing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How long ago the revocation feed was read to its end: a revocation elsewhere that is older is honoured here. `None` before
    /// the first time.
    pub feed_age: Option<Duration>,
    /// Whether that is within the allowed staleness. Otherwise an authority checks tokens against its store.
    pub feed_is_fresh: bool,
    /// Whether the store is waited for. It is not while its last calls have failed in a row; what needs it is then answered 503 at
    /// once, and a few calls a second find out when it is back.
    pub store_answers: bool,
    /// What is added to this machine's clock to have the store's, which tokens are dated by. In milliseconds; far from zero, one
    /// of the two is wrong.
    pub clock_offset_millis: i64,
}
