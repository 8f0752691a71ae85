//! While the database cannot be reached, one caller at a time finds out, and the others are told at once.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::fault::Refused;

/// How long after a failure nobody tries again.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether connecting failed the last time.
#[derive(Default)]
pub(super) struct Outage(Mutex<State>);

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    None,
    /// Failed, at that moment.
    Since(Instant),
    /// Failed before, and somebody is trying again.
    Probed,
}

/// An attempt to connect. Dropped without success, also with a caller that gave up, it has failed.
pub(super) struct Probe<'a> {
    outage: &'a Outage,
    succeeded: bool,
}

impl Outage {
    /// Permission to try.
    pub(super) fn probe(&self) -> Result<Probe<'_>, Refused> {
        let mut state = self.0.lock();
        *state = match *state {
            State::None => State::None,
            State::Since(failed) if failed.elapsed() >= PAUSE => State::Probed,
            State::Since(_) | State::Probed => return Err(Refused::Down),
        };
        Ok(Probe {
            outage: self,
            succeeded: false,
        })
    }
}

impl Probe<'_> {
    pub(super) fn succeeded(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        *self.outage.0.lock() = if self.succeeded {
            State::None
        } else {
            State::Since(Instant::now())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_tries_and_the_others_are_refused() {
        let outage = Outage::default();
        let (first, second) = (outage.probe(), outage.probe());
        assert!(first.is_ok() && second.is_ok(), "nothing is known as yet");
        drop((first, second));
        assert!(outage.probe().is_err(), "just failed");
        *outage.0.lock() = State::Since(Instant::now().checked_sub(PAUSE).unwrap());
        let probe = outage.probe();
        assert!(probe.is_ok() && outage.probe().is_err(), "one at a time");
        probe.unwrap_or_else(|_| unreachable!()).succeeded();
        assert!(outage.probe().is_ok(), "it is over");
    }
}
