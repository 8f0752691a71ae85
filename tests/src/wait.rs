//! Waiting for an event, with a bound; and for a moment, where real time is part of the contract.
//!
//! The apps have no clock that a black box could turn, so a grace or a lifetime has to pass for real. Such a wait ends at
//! a computed deadline, never at a guess.

use std::time::{Duration, Instant};

/// How long an answer that needs no waiting may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The bound that the design sets on a revocation, and on the note that a generation was seen.
pub const NOTICE: Duration = Duration::from_secs(1);

/// Asks `probe` again and again until it says yes, for at most `bound`; fails with `what` otherwise.
pub async fn eventually<P, F>(bound: Duration, what: &str, mut probe: P)
where
    P: FnMut() -> F,
    F: Future<Output = bool>,
{
    let start = Instant::now();
    loop {
        if probe().await {
            return;
        }
        assert!(start.elapsed() < bound, "not within {bound:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sleeps until `age` has passed since `start`, and a little more, as apps may count in whole milliseconds.
pub async fn until(start: Instant, age: Duration) {
    let moment = start + age + Duration::from_millis(60);
    tokio::time::sleep_until(moment.into()).await;
}
