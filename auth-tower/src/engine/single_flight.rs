//! One exchange for all requests of a burst.
//!
//! Within a process, every request that presents the same generation of a session waits for one exchange. Its outcome answers
//! stragglers for a moment longer, as long as a fresh look could not come to another answer.

use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::outcome::{ExchangeError, Exchanged, Outcome};
use crate::clock::Timestamp;
use crate::clock::synced::SharedClock;
use crate::id::{SessionId, SubjectKey};
use crate::revocation::registry::Revocations;
use crate::wire::denial::Denial;

/// One exchange that any number of requests wait for.
#[derive(Clone)]
struct Flight {
    outcome: Shared<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    completed: Arc<OnceLock<Completed>>,
}

/// Set once an exchange is done: how far its outcome may answer stragglers.
struct Completed {
    from: Timestamp,
    until: Timestamp,
    /// The generation of the refresh token it hands out.
    hands_out: Option<u32>,
    /// The session, if the exchange succeeded.
    session: Option<(SessionId, SubjectKey)>,
}

impl Flight {
    fn begin(
        work: impl Future<Output = (Result<Exchanged, ExchangeError>, Duration)> + Send + 'static,
        clock: Arc<SharedClock>,
        lost: Denial,
    ) -> Self {
        let completed = Arc::new(OnceLock::new());
        let task = tokio::spawn({
            let (completed, lost) = (completed.clone(), lost.clone());
            async move {
                // Whatever happens, the flight is completed: one that is not would answer for as long as it is kept.
                let (outcome, keep) = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
                    tracing::error!(target: "auth", "an exchange panicked, probably in the application's accounts");
                    (Err(ExchangeError::Unavailable(lost)), Duration::ZERO)
                });
                let from = clock.now();
                let (mut hands_out, mut session) = (None, None);
                if let Ok(exchanged) = &outcome {
                    let token = &exchanged.issued.verified;
                    session = Some((token.registered.session_id(), token.subject_key));
                    hands_out = exchanged.refresh.as_ref().and_then(|_| token.registered.generation());
                }
                let _ = completed.set(Completed {
                    from,
                    until: from + keep,
                    hands_out,
                    session,
                });
                outcome.map(Arc::new)
            }
        });
        let outcome = task
            .map(|joined| joined.unwrap_or(Err(ExchangeError::Unavailable(lost))))
            .boxed()
            .shared();
        Self { outcome, completed }
    }

    /// Whether a fresh look could come to another answer: it is too late, the generation that was handed out has been seen
    /// since, or the session may have been ended.
    fn stale(&self, now: Timestamp, seen: Option<u32>, revocations: &Revocations) -> bool {
        match self.completed.get() {
            // Done without having completed: its task broke off, and its answer is nobody else's.
            None => self.outcome.peek().is_some(),
            Some(completed) => {
                now < completed.from
                    || now >= completed.until
                    || completed.hands_out.is_some_and(|out| seen >= Some(out))
                    || completed
                        .session
                        .is_some_and(|(id, subject)| !revocations.knows_live(id, &subject))
            }
        }
    }
}

/// The exchanges under way in this process, one per session and generation.
pub(crate) struct SingleFlight {
    under_way: Cache<(SessionId, u32), Flight>,
    /// The newest generation that this process saw in a client's hands.
    seen: Cache<SessionId, u32>,
}

/// The newest first: under the default policy a full cache may turn a new entry away.
fn lru<K, V>(sweep: Duration) -> Cache<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(100_000)
        .time_to_live(sweep)
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

impl SingleFlight {
    pub(crate) fn new() -> Self {
        // The time to live only sweeps up; `stale` decides what is still good.
        let sweep = Duration::from_secs(60);
        Self {
            under_way: lru(sweep),
            seen: lru(sweep),
        }
    }

    pub(crate) fn acknowledge(&self, session: SessionId, generation: u32) {
        self.seen.entry(session).and_upsert_with(|old| match old {
            Some(old) => (*old.value()).max(generation),
            None => generation,
        });
    }

    /// The outcome of the exchange under way for this generation, or of a new one: `begin` makes the work, which tells beside
    /// its result for how long that may answer stragglers.
    ///
    /// The work runs in a task of its own, so that a client that goes away does not leave it half done.
    pub(crate) async fn join<F>(
        &self,
        key: (SessionId, u32),
        clock: &Arc<SharedClock>,
        revocations: &Revocations,
        lost: &Denial,
        begin: impl FnOnce() -> F,
    ) -> Outcome
    where
        F: Future<Output = (Result<Exchanged, ExchangeError>, Duration)> + Send + 'static,
    {
        let now = clock.now();
        let seen = self.seen.get(&key.0);
        let flight = self
            .under_way
            .entry(key)
            .or_insert_with_if(
                || Flight::begin(begin(), clock.clone(), lost.clone()),
                |flight| flight.stale(now, seen, revocations),
            )
            .into_value();
        flight.outcome.await
    }
}
