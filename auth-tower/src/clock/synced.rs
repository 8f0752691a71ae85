//! One time for all instances: this machine's clock, corrected by what the store's clock was seen to say.
//!
//! Instances whose clocks are minutes apart must agree on when a token begins and ends, or one refuses what another has just
//! issued. Sessions are judged by the store's clock anyway, so access tokens follow it too. A store without a clock of
//! its own (memory, SQLite) always agrees with this machine, and nothing is corrected.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::{Clock, Timestamp};

/// From this on, a clock is worth a person's look: other services judge tokens by their own.
const WORTH_A_WARNING: Duration = Duration::from_secs(5);

/// The engine's clock.
#[derive(Debug)]
pub(crate) struct SharedClock {
    local: Clock,
    /// What is added to the local time, in milliseconds.
    offset: AtomicI64,
    warned: AtomicBool,
}

/// The moment at which the store was asked, by this machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked(Timestamp);

impl SharedClock {
    pub(crate) fn new(local: Clock) -> Self {
        Self {
            local,
            offset: AtomicI64::new(0),
            warned: AtomicBool::new(false),
        }
    }

    /// The time as all instances have it.
    pub(crate) fn now(&self) -> Timestamp {
        self.correct(self.local.now())
    }

    /// What is added to this machine's time, in milliseconds.
    pub(crate) fn offset_millis(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    fn correct(&self, local: Timestamp) -> Timestamp {
        Timestamp::from_millis(local.as_millis().saturating_add(self.offset_millis()))
    }

    /// To be taken before the store is asked.
    pub(crate) fn asking(&self) -> Asked {
        Asked(self.local.now())
    }

    /// When the store was asked, as all instances have it.
    pub(crate) fn asked_at(&self, asked: Asked) -> Timestamp {
        self.correct(asked.0)
    }

    /// The store, asked then, said that it is `store_now`. That was at some moment between the question and its answer, so the
    /// correction lies between two bounds; one that already does is left alone, and the clock stands still between answers.
    pub(crate) fn observe(&self, asked: Asked, store_now: Timestamp) {
        let answered = self.local.now();
        // The local clock was set back in between: this answer tells nothing.
        if answered < asked.0 {
            return;
        }
        let least = store_now.as_millis().saturating_sub(answered.as_millis());
        let most = store_now.as_millis().saturating_sub(asked.0.as_millis());
        let offset = self.offset_millis();
        let corrected = offset.clamp(least, most);
        if corrected != offset {
            self.offset.store(corrected, Ordering::Relaxed);
            self.warn(corrected);
        }
    }

    fn warn(&self, offset: i64) {
        let far = u128::from(offset.unsigned_abs()) >= WORTH_A_WARNING.as_millis();
        if self.warned.swap(far, Ordering::Relaxed) != far && far {
            tracing::warn!(
                target: "auth",
                offset_millis = offset,
                "this machine's clock and the session store's disagree; tokens follow the store's"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn clocks() -> (Clock, SharedClock) {
        let local = Clock::manual(START);
        (local.clone(), SharedClock::new(local))
    }

    /// Asks a store whose clock is `ahead` milliseconds ahead; question and answer take 20 ms each.
    fn ask(local: &Clock, shared: &SharedClock, ahead: i64) {
        let asked = shared.asking();
        local.advance(Duration::from_millis(20));
        let store_now = Timestamp::from_millis(local.now().as_millis() + ahead);
        local.advance(Duration::from_millis(20));
        shared.observe(asked, store_now);
    }

    #[test]
    fn a_store_that_agrees_corrects_nothing() {
        let (local, shared) = clocks();
        for ahead in [-20, -1, 0, 1, 20] {
            ask(&local, &shared, ahead);
            assert_eq!(shared.now(), local.now());
        }
    }

    #[test]
    fn a_clock_minutes_apart_is_corrected_to_within_the_round_trip() {
        for minutes in [-180_000, 180_000] {
            let (local, shared) = clocks();
            ask(&local, &shared, minutes);
            let error = shared.offset_millis() - minutes;
            assert!(error.abs() <= 20, "{error} ms");
            let before = shared.offset_millis();
            ask(&local, &shared, minutes);
            assert_eq!(shared.offset_millis(), before, "stands still between answers");
        }
    }

    #[test]
    fn a_slow_answer_does_not_move_a_good_correction() {
        let (local, shared) = clocks();
        ask(&local, &shared, 60_000);
        let good = shared.offset_millis();
        let asked = shared.asking();
        local.advance(Duration::from_secs(2));
        shared.observe(asked, Timestamp::from_millis(local.now().as_millis() + 60_000 - 1_900));
        assert_eq!(shared.offset_millis(), good);
    }

    #[test]
    fn a_clock_that_is_set_right_needs_no_correction_any_more() {
        let (local, shared) = clocks();
        ask(&local, &shared, -120_000);
        local.set(local.now() - Duration::from_secs(120));
        ask(&local, &shared, 0);
        assert!(shared.offset_millis().abs() <= 20);
    }

    #[test]
    fn a_clock_set_back_between_question_and_answer_tells_nothing() {
        let (local, shared) = clocks();
        let asked = shared.asking();
        local.set(START - Duration::from_secs(60));
        shared.observe(asked, START);
        assert_eq!(shared.offset_millis(), 0);
    }
}
