//! Password checks with argon2id, off the async threads, with a bound on how many run at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use super::{AccountsError, Password};

/// Hashes and checks passwords with argon2id (RFC 9106, with the parameters that OWASP recommends: 19 MiB, two passes).
///
/// One check takes milliseconds of a core and 19 MiB, so checks run on blocking threads, as many at once as there are cores;
/// a bounded number waits, and what comes beyond is [`AccountsError::RateLimited`]. Cheap to clone; clones share the bound.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use auth_tower::Password;
/// use auth_tower::Passwords;
///
/// let passwords = Passwords::new();
/// let stored = passwords.hash(&Password::from("wonderland")).await?;
/// assert!(passwords.verify(&Password::from("wonderland"), Some(&stored)).await?);
/// assert!(!passwords.verify(&Password::from("looking glass"), Some(&stored)).await?);
/// // An unknown user costs the same, so that the time does not tell who has an account.
/// assert!(!passwords.verify(&Password::from("wonderland"), None).await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Passwords(Arc<Shared>);

struct Shared {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    /// What the password of an unknown user is checked against. No password matches it.
    nobody: &'static str,
}

/// A hash of 32 random bytes that nobody kept, with the default parameters.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWhhcy10aGlz$BxuZy1rTr5XkR7Qyxg1Hj1Yk3pXb1m4kS2tC6mT0c9w";

const WAITING_PER_CORE: usize = 64;

impl Passwords {
    /// As many checks at once as there are cores.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_limits(cores, cores.saturating_mul(WAITING_PER_CORE))
    }

    /// At most `running` checks at once, and `waiting` more in line.
    pub fn with_limits(running: usize, waiting: usize) -> Self {
        let (running, waiting) = (running.clamp(1, 1024), waiting.min(100_000));
        Self(Arc::new(Shared {
            running: Arc::new(Semaphore::new(running)),
            waiting: Semaphore::new(running + waiting),
            nobody: NOBODY,
        }))
    }

    /// A PHC string for `password`, with a random salt.
    ///
    /// # Errors
    /// [`AccountsError::RateLimited`] when too many wait already.
    pub async fn hash(&self, password: &Password) -> Result<String, AccountsError> {
        let password = password.clone();
        self.run(move || {
            let hash: Result<PasswordHash, _> = Argon2::default().hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| hash.to_string())
                .map_err(|_| AccountsError::unavailable("a password could not be hashed"))
        })
        .await
    }

    /// Whether `password` is the one whose PHC string is `stored`. With `None`, for an unknown user, it takes the same time
    /// and is `false`.
    ///
    /// # Errors
    /// [`AccountsError::RateLimited`] when too many wait already; [`AccountsError::Unavailable`] if `stored` is no PHC
    /// string of an argon2 hash.
    pub async fn verify(&self, password: &Password, stored: Option<&str>) -> Result<bool, AccountsError> {
        let known = stored.is_some();
        let stored = stored.unwrap_or(self.0.nobody).to_owned();
        let password = password.clone();
        self.run(move || {
            let hash = PasswordHash::new(&stored)
                .map_err(|_| AccountsError::unavailable("a stored password hash is not a PHC string"))?;
            let matches = Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash);
            match matches {
                Ok(()) => Ok(known),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(_) => Err(AccountsError::unavailable("a stored password hash cannot be checked")),
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AccountsError> + Send + 'static,
    ) -> Result<T, AccountsError> {
        let busy = || AccountsError::RateLimited {
            retry_after: Duration::from_secs(1),
        };
        let _in_line = self.0.waiting.try_acquire().map_err(|_| busy())?;
        let running = self.0.running.clone().acquire_owned().await.map_err(|_| busy())?;
        let work = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even if the one who asked for it has gone away.
            let _running = running;
            work()
        });
        work.await
            .unwrap_or_else(|_| Err(AccountsError::unavailable("a password check broke off")))
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("free", &self.0.running.available_permits())
            .finish_non_exhaustive()
    }
}
