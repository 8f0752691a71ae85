//! How many checks run at once, how many wait for their turn, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::accounts::AccountsError;

/// Half of what the engine waits for the accounts, so that a check that had to wait still has the other half to run in:
/// what is too much at once is answered as that, and not as an outage.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A client that is told to come later than this is told nothing that can be known.
const LATEST_RETRY: u64 = 60;

pub(super) struct Line {
    turns: usize,
    running: Arc<Semaphore>,
    /// One for each check that runs or waits.
    places: Semaphore,
    capacity: usize,
    /// The nanoseconds that a check takes, as a moving average; 0 before the first.
    typical: AtomicU64,
}

/// A place in line, from the arrival to the answer.
pub(super) struct Place<'a> {
    _held: SemaphorePermit<'a>,
}

impl Line {
    pub(super) fn new(running: usize, waiting: usize) -> Self {
        Self {
            turns: running,
            running: Arc::new(Semaphore::new(running)),
            places: Semaphore::new(running + waiting),
            capacity: running + waiting,
            typical: AtomicU64::new(0),
        }
    }

    /// How many checks could begin now.
    pub(super) fn free(&self) -> usize {
        self.running.available_permits()
    }

    /// A place in line, if there is one.
    pub(super) fn enter(&self) -> Result<Place<'_>, AccountsError> {
        match self.places.try_acquire() {
            Ok(held) => Ok(Place { _held: held }),
            Err(_) => Err(self.busy()),
        }
    }

    /// The turn of one who is in line. Refused at once if it would come too late, and after the longest wait if it did not come.
    pub(super) async fn turn(&self, _: &Place<'_>) -> Result<OwnedSemaphorePermit, AccountsError> {
        if let Ok(turn) = self.running.clone().try_acquire_owned() {
            return Ok(turn);
        }
        if self.time_for(self.in_line().saturating_sub(self.turns)) > LONGEST_WAIT {
            return Err(self.busy());
        }
        match timeout(LONGEST_WAIT, self.running.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(self.busy()),
        }
    }

    /// A check that began at `start` is over.
    pub(super) fn ran_since(&self, start: Instant) {
        // A machine that was suspended during a check is no reason to turn people away.
        let spent = start.elapsed().min(LONGEST_WAIT).as_nanos();
        let spent = u64::try_from(spent).unwrap_or(u64::MAX);
        // Two that end at once may lose one of the two samples, which an average can bear.
        let typical = match self.typical.load(Ordering::Relaxed) {
            0 => spent,
            before => before - before / 8 + spent / 8,
        };
        self.typical.store(typical, Ordering::Relaxed);
    }

    fn busy(&self) -> AccountsError {
        // When the line that stands now is through, rounded up to whole seconds, which is what the header can say.
        let seconds = self.time_for(self.in_line()).as_secs().saturating_add(1);
        AccountsError::RateLimited {
            retry_after: Duration::from_secs(seconds.min(LATEST_RETRY)),
        }
    }

    fn in_line(&self) -> usize {
        self.capacity.saturating_sub(self.places.available_permits())
    }

    fn time_for(&self, checks: usize) -> Duration {
        let checks = u64::try_from(checks).unwrap_or(u64::MAX);
        let turns = u64::try_from(self.turns).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.typical.load(Ordering::Relaxed).saturating_mul(checks) / turns)
    }
}
