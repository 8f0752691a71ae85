//! While the database cannot be reached, one call at a time tries to connect, and the others fail at once.

#![expect(
    clippy::disallowed_methods,
    reason = "the pause after a failure, which no record is dated by"
)]

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::error::Refused;

/// How long after a failure no call tries again.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether connecting failed the last time.
#[derive(Default)]
pub(super) struct Outage(Mutex<State>);

#[derive(Default)]
struct State {
    /// When connecting failed last, unless a call has succeeded since.
    failed: Option<Instant>,
    /// After a failure: whether a call is trying again.
    probed: bool,
    /// How many calls have succeeded, as evidence against a failure that arrives late.
    successes: u64,
}

/// An attempt to connect.
pub(super) struct Probe<'a> {
    outage: &'a Outage,
    successes: u64,
}

impl Outage {
    /// Permission to try.
    pub(super) fn probe(&self) -> Result<Probe<'_>, Refused> {
        let mut state = self.0.lock();
        if let Some(failed) = state.failed {
            if state.probed || failed.elapsed() < PAUSE {
                return Err(Refused::Down);
            }
            state.probed = true;
        }
        Ok(Probe {
            outage: self,
            successes: state.successes,
        })
    }

    /// The server has answered.
    pub(super) fn answered(&self) {
        let mut state = self.0.lock();
        state.failed = None;
        state.successes = state.successes.wrapping_add(1);
    }
}

impl Probe<'_> {
    /// The attempt failed. If the server has answered other calls meanwhile, that says nothing of the server.
    pub(super) fn failed(self) {
        let mut state = self.outage.0.lock();
        if state.successes == self.successes {
            state.failed = Some(Instant::now());
        }
    }
}

impl Drop for Probe<'_> {
    /// An attempt without a verdict, because its caller gave up, lets the next call try.
    fn drop(&mut self) {
        self.outage.0.lock().probed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_tries_and_the_others_are_refused() {
        let outage = Outage::default();
        let (first, second) = (outage.probe().unwrap(), outage.probe().unwrap());
        drop(first);
        assert!(outage.probe().is_ok(), "giving up proves nothing");
        second.failed();
        assert!(outage.probe().is_err(), "just failed");
        outage.0.lock().failed = Instant::now().checked_sub(PAUSE);
        let probe = outage.probe().unwrap();
        assert!(outage.probe().is_err(), "one at a time");
        drop(probe);
        let probe = outage.probe().unwrap();
        outage.answered();
        assert!(outage.probe().is_ok(), "it is over");
        probe.failed();
        assert!(outage.probe().is_ok(), "another call was answered in between");
    }
}
