//! Password checks with argon2id, off the async threads, with a bound on how many run at once.

#![expect(
    clippy::disallowed_methods,
    reason = "how long a check waits for its turn, which no record is dated by"
)]

mod buffers;
mod line;
mod stored;

use std::fmt;
use std::sync::{Arc, LazyLock};

use argon2::Params;
use tokio::time::Instant;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use self::buffers::Buffers;
use self::line::Line;
use self::stored::Argon2Hash;
use super::{AccountsError, Password};

/// Hashes and checks passwords with argon2id (RFC 9106, with the parameters that OWASP recommends: 19 MiB, two passes).
///
/// One check takes milliseconds of a core and 19 MiB, so checks run on blocking threads, as many at once as there are cores.
/// A bounded number waits, none for longer than five seconds; what comes beyond is [`AccountsError::RateLimited`] and says
/// when the line will be through. Every `Passwords` that [`new`](Self::new) makes shares this bound with all others of the
/// process, because they share its cores. Needs a tokio runtime with its timer on.
///
/// **Memory.** The memory that checks fill is kept for the next ones: 19 MiB for each check that ever ran at once, so at most
/// 19 MiB times the cores, however many clients guess. A stored hash that asks for more memory makes the buffer that it runs
/// in as large.
///
/// **Time.** A wrong password, an unknown user and a hash that cannot be checked cost the same work, so that the time does
/// not tell who has an account. Stored hashes that cost *more* than [`with_cost`](Self::with_cost) says do show: set it to
/// the costliest that is stored.
///
/// **Unicode.** Passwords are hashed in Unicode's NFC, whichever form a keyboard sends (NIST SP 800-63B). A hash that was
/// made of other bytes than NFC is still matched by these bytes.
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
///
/// # Hashes of another system
///
/// [`with_legacy`](Self::with_legacy) takes the check of another kind of hash, and [`check`](Self::check) says when a stored
/// hash should be replaced, so that accounts move over as their users sign in.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # mod bcrypt { pub fn verify(password: &str, stored: &str) -> Result<bool, ()> { Ok(password == "wonderland" && stored.len() == 60) } }
/// use auth_tower::Password;
/// use auth_tower::Passwords;
///
/// // The first argument is what the unknown user is checked against: a hash at the cost of the stored ones.
/// let passwords = Passwords::new().with_legacy(
///     "$2b$12$eUzH5mKUVvMHtHn2dTCIvOlT1sA0e1PuZl0eGMk2TgCZKlXj3u1Pq",
///     |stored, password| {
///         // `None` leaves a hash to others. The crate `bcrypt` is the application's choice.
///         stored.starts_with("$2").then(|| bcrypt::verify(password.expose_secret(), stored).unwrap_or(false))
///     },
/// );
///
/// # let mut row = "$2b$12$7sHnCx0iKkgqXvV2yUO4deT0m1sA0e1PuZl0eGMk2TgCZKlXj3u1P".to_owned();
/// let password = Password::from("wonderland");
/// let outcome = passwords.check(&password, Some(&row)).await?;
/// assert!(outcome.is_correct());
/// if outcome.needs_rehash() {
///     row = passwords.hash(&password).await?; // and write it to the database
/// }
/// assert!(row.starts_with("$argon2id$"));
/// # assert!(!passwords.check(&password, Some(&row)).await?.needs_rehash());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Passwords {
    shared: Arc<Shared>,
    cost: Params,
    legacy: Vec<Legacy>,
}

/// What every clone has in common.
struct Shared {
    line: Line,
    buffers: Buffers,
}

#[derive(Clone)]
struct Legacy {
    decoy: Arc<str>,
    check: Arc<LegacyCheck>,
}

type LegacyCheck = dyn Fn(&str, &Password) -> Option<bool> + Send + Sync;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verification {
    /// It is not the password, there is no such user, or the stored hash cannot be checked.
    Wrong,
    /// It is the password.
    Correct {
        /// Whether the stored hash is weaker than a new one would be, of another system, or not of the password's NFC:
        /// [`Passwords::hash`] the password that was just proven, and store the result.
        needs_rehash: bool,
    },
}

impl Verification {
    /// Whether it is the password.
    pub const fn is_correct(self) -> bool {
        matches!(self, Self::Correct { .. })
    }

    /// Whether it is the password and the stored hash should be replaced by a new one.
    pub const fn needs_rehash(self) -> bool {
        matches!(self, Self::Correct { needs_rehash: true })
    }
}

/// A verdict, and the kind of the stored hash if that is why.
type Judged = (Verification, Option<&'static str>);

const WAITING_PER_CORE: usize = 64;

impl Passwords {
    /// As many checks at once as there are cores, counted over the whole process.
    pub fn new() -> Self {
        // One for all, so that an application that makes its `Passwords` once per worker, or per request, is bounded too.
        static PROCESS: LazyLock<Arc<Shared>> = LazyLock::new(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Shared::new(cores, cores.saturating_mul(WAITING_PER_CORE))
        });
        Self::of(PROCESS.clone())
    }

    /// At most `running` checks at once, and `waiting` more in line. Only clones of this one share the bound.
    pub fn with_limits(running: usize, waiting: usize) -> Self {
        Self::of(Shared::new(running, waiting))
    }

    fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            cost: Params::DEFAULT,
            legacy: Vec::new(),
        }
    }

    /// Hashes with `memory` KiB (8 to 2,097,152) and `passes` (at least 1) in place of 19,456 KiB and 2 passes; what lies
    /// outside is taken as the nearest. Stored hashes are checked with what they say, and [`check`](Self::check) reports
    /// those that are weaker than this.
    #[must_use]
    pub fn with_cost(mut self, memory: u32, passes: u32) -> Self {
        let memory = memory.clamp(Params::MIN_M_COST, stored::MOST_MEMORY);
        // These are within the bounds of argon2, so the default takes the place of nothing.
        self.cost = Params::new(memory, passes.max(1), 1, None).unwrap_or(Params::DEFAULT);
        self
    }

    /// Checks hashes that are none of argon2, as of the system that the accounts come from, with `check`. It is told the
    /// stored hash and the password, and answers `None` if the hash is not of its kind. It runs where argon2 runs, so it
    /// may take its time. May be called for several kinds; the first that answers counts.
    ///
    /// `decoy` is a hash of this kind, at the cost of the stored ones, whose password no one knows: it is checked where an
    /// unknown user or a hash of another kind is, so that the time tells neither from a wrong password.
    #[must_use]
    pub fn with_legacy(
        mut self,
        decoy: impl Into<String>,
        check: impl Fn(&str, &Password) -> Option<bool> + Send + Sync + 'static,
    ) -> Self {
        self.legacy.push(Legacy {
            decoy: decoy.into().into(),
            check: Arc::new(check),
        });
        self
    }

    /// A PHC string for `password`, with a random salt.
    ///
    /// # Errors
    /// [`AccountsError::RateLimited`] when too many wait already; [`AccountsError::Unavailable`] without memory.
    pub async fn hash(&self, password: &Password) -> Result<String, AccountsError> {
        let password = password.clone();
        let cost = self.cost.clone();
        self.run(move |buffers| {
            let mut memory = buffers.take(cost.block_count())?;
            let password = normalized(&password).unwrap_or(password);
            Argon2Hash::make(&password, &cost, memory.blocks())
        })
        .await
    }

    /// Whether `password` is the one whose PHC string is `stored`. With `None`, for an unknown user, it takes the same time
    /// and is `false`; and so it is for a hash that cannot be checked, which is told to the log by its kind.
    ///
    /// # Errors
    /// [`AccountsError::RateLimited`] when too many wait already; [`AccountsError::Unavailable`] without memory.
    pub async fn verify(&self, password: &Password, stored: Option<&str>) -> Result<bool, AccountsError> {
        Ok(self.check(password, stored).await?.is_correct())
    }

    /// As [`verify`](Self::verify), and whether the stored hash should be replaced.
    ///
    /// # Errors
    /// As of [`verify`](Self::verify).
    pub async fn check(&self, password: &Password, stored: Option<&str>) -> Result<Verification, AccountsError> {
        let this = self.clone();
        let password = password.clone();
        let stored = stored.map(ToOwned::to_owned);
        let (verification, unreadable) = self
            .run(move |buffers| this.judge(buffers, password, stored.as_deref()))
            .await?;
        if let Some(kind) = unreadable {
            tracing::warn!(target: "auth", kind, "a stored password hash is of a kind that is not checked, so its account cannot sign in");
        }
        Ok(verification)
    }

    fn judge(&self, buffers: &Buffers, password: Password, stored: Option<&str>) -> Result<Judged, AccountsError> {
        let correct = |needs_rehash| Ok((Verification::Correct { needs_rehash }, None));
        // How many there are follows from what was sent alone, so the time tells nothing of what is stored.
        let spellings = match normalized(&password) {
            Some(normalized) => vec![normalized, password],
            None => vec![password],
        };
        let hash = stored.and_then(Argon2Hash::read);
        let blocks = hash.as_ref().map_or(0, Argon2Hash::blocks);
        let mut memory = buffers.take(blocks.max(self.cost.block_count()))?;

        let mut unreadable = None;
        let mut answered = None;
        if let Some(hash) = &hash {
            for (nth, spelling) in spellings.iter().enumerate() {
                if hash.matches(spelling, memory.blocks())? {
                    return correct(nth > 0 || hash.is_weaker_than(&self.cost));
                }
            }
        } else if let Some(stored) = stored {
            for (nth, legacy) in self.legacy.iter().enumerate() {
                for spelling in &spellings {
                    match (legacy.check)(stored, spelling) {
                        Some(true) => return correct(true),
                        Some(false) => answered = Some(nth),
                        None => break,
                    }
                }
                if answered.is_some() {
                    break;
                }
            }
            if answered.is_none() {
                unreadable = Some(stored::kind(stored));
            }
        }

        // It is wrong. What a check of every other kind would have cost is spent too, so that all failures cost alike.
        let spent = hash.as_ref().map_or(0, Argon2Hash::work);
        let rest = stored::work(&self.cost).saturating_sub(spent);
        for spelling in &spellings {
            stored::spend(rest, &self.cost, spelling, memory.blocks())?;
            for (nth, legacy) in self.legacy.iter().enumerate() {
                if answered != Some(nth) {
                    let _ = (legacy.check)(&legacy.decoy, spelling);
                }
            }
        }
        Ok((Verification::Wrong, unreadable))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Buffers) -> Result<T, AccountsError> + Send + 'static,
    ) -> Result<T, AccountsError> {
        let place = self.shared.line.enter()?;
        let turn = self.shared.line.turn(&place).await?;
        let shared = self.shared.clone();
        let work = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even if the one who asked for it has gone away.
            let _turn = turn;
            let start = Instant::now();
            let outcome = work(&shared.buffers);
            shared.line.ran_since(start);
            outcome
        });
        work.await
            .unwrap_or_else(|_| Err(AccountsError::unavailable("a password check broke off")))
    }
}

impl Shared {
    fn new(running: usize, waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            line: Line::new(running.clamp(1, 1024), waiting.min(100_000)),
            buffers: Buffers::default(),
        })
    }
}

/// The NFC of a password, unless it is in NFC already.
fn normalized(password: &Password) -> Option<Password> {
    let text = password.expose_secret();
    if is_nfc(text) {
        return None;
    }
    // Large enough for the worst case (UAX #15, table 4), so that no copy is left behind where it had to grow.
    let mut normalized = String::with_capacity(text.len().saturating_mul(3));
    normalized.extend(text.nfc());
    Some(Password::from(normalized))
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("free", &self.shared.line.free())
            .finish_non_exhaustive()
    }
}
