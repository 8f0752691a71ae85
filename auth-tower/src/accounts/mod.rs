//! The application's say in who signs in, and with what claims.

pub(crate) mod erased;
#[cfg(feature = "argon2")]
pub(crate) mod passwords;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::id::Subject;
use crate::session::ClientInfo;

/// The application's own claims: any type that serialises to a JSON object.
///
/// Implemented for every type that fits; there is nothing to write.
pub trait AppClaims: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> AppClaims for T {}

/// Verifies sign-ins and supplies claims.
///
/// ```
/// use auth_tower::Accounts;
/// use auth_tower::AccountsError;
/// use auth_tower::Grant;
/// use auth_tower::PasswordCredentials;
/// use auth_tower::Subject;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct User { name: String, roles: Vec<String> }
///
/// struct MyAccounts;
///
/// impl Accounts for MyAccounts {
///     type Claims = User;
///
///     async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
///         // Look the user up and check the password; see `Passwords` for argon2id.
///         let known = login.username() == "alice" && login.password().expose_secret() == "wonderland";
///         Ok(if known { Subject::new("alice").ok() } else { None })
///     }
///
///     async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
///         // Asked at sign-in and at every refresh: `None` for a user who is gone or disabled ends the session.
///         Ok(Some(Grant::new(User { name: subject.to_string(), roles: vec![] })))
///     }
/// }
/// ```
pub trait Accounts: Send + Sync + 'static {
    /// The claims that every access token carries beside the registered ones.
    type Claims: AppClaims;

    /// Who this is, or `None` if the credentials are wrong or the account may not sign in.
    ///
    /// Answer an unknown user in the same time as a wrong password; [`Passwords`](crate::accounts::passwords::Passwords) does.
    ///
    /// # Errors
    /// [`AccountsError`] if it cannot be told now.
    fn verify(
        &self,
        login: &PasswordCredentials,
    ) -> impl Future<Output = Result<Option<Subject>, AccountsError>> + Send;

    /// What `subject` may do now, or `None` if the account is gone or disabled.
    ///
    /// Asked at sign-in and at each refresh, so that changed roles take effect with the next access token.
    ///
    /// # Errors
    /// [`AccountsError`] if it cannot be told now; nobody is signed out by that.
    fn claims(
        &self,
        subject: &Subject,
    ) -> impl Future<Output = Result<Option<Grant<Self::Claims>>, AccountsError>> + Send;
}

/// A sign-in attempt.
#[derive(Debug)]
pub struct PasswordCredentials {
    pub(crate) username: String,
    pub(crate) password: Password,
    pub(crate) client: ClientInfo,
}

impl PasswordCredentials {
    /// An attempt made outside of the ready routes.
    pub fn new(username: impl Into<String>, password: impl Into<Password>, client: ClientInfo) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
            client,
        }
    }

    /// The name as it was typed. Not to be trusted, not even in length or alphabet.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password as it was typed.
    pub fn password(&self) -> &Password {
        &self.password
    }

    /// What is signing in.
    pub fn client(&self) -> &ClientInfo {
        &self.client
    }
}

/// A password, shown by no `Debug` and wiped when dropped.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The password itself.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(password: String) -> Self {
        Self(Zeroizing::new(password))
    }
}

impl From<&str> for Password {
    fn from(password: &str) -> Self {
        Self::from(password.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What an account may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant<C> {
    claims: C,
    scope: Option<String>,
}

impl<C> Grant<C> {
    /// These claims, and no scope.
    pub fn new(claims: C) -> Self {
        Self { claims, scope: None }
    }

    /// With a space-separated scope (RFC 8693 §4.2, RFC 9068 §2.2.3).
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }
}

/// The application cannot tell now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// Too many attempts at once, or from this source: answered 429.
    #[error("too many sign-in attempts")]
    RateLimited {
        /// When another attempt makes sense.
        retry_after: Duration,
    },
    /// The directory of accounts cannot be asked: answered 503. Nobody is signed out by it.
    #[error("the accounts are unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl AccountsError {
    /// An [`Unavailable`](Self::Unavailable) with its cause.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}
