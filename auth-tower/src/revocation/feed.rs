//! Following the store's log of endings, and cleaning up behind it.

use std::sync::Arc;
use std::time::Duration;

use super::Revocations;
use crate::config::defaults;
use crate::gauges;
use crate::session::store::erased::ErasedStore;
use crate::session::store::{Cursor, Retention};
use crate::shared_clock::SharedClock;
use crate::store_calls::StoreCalls;

/// Between two looks at a log that cannot be read. It is also how soon an idle instance notices that the store is back.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Follows the log until the task is aborted. Never gives up: an outage ends by itself.
pub(crate) async fn follow(
    store: Arc<dyn ErasedStore>,
    calls: Arc<StoreCalls>,
    revocations: Arc<Revocations>,
    clock: Arc<SharedClock>,
    max_staleness: Duration,
    deadline: Duration,
) {
    let wait = defaults::FEED_WAIT.min(max_staleness / 4);
    let mut cursor = Cursor::start();
    // The first reads do not wait for news: until the log's end was reached once, every token is looked up.
    let mut patience = Duration::ZERO;
    let mut pause = Duration::from_millis(50);
    loop {
        let asked = clock.asking();
        let reading = store.ended_since(cursor.clone(), patience);
        match calls.within(wait + deadline, reading).await {
            Ok(endings) => {
                revocations.apply(&endings.entries);
                cursor = endings.cursor;
                if endings.complete {
                    // An empty answer was waited for, and speaks of its end, not of its beginning; taking the beginning
                    // errs on the stale side by at most the wait.
                    revocations.refreshed(clock.asked_at(asked));
                    patience = wait;
                }
                pause = Duration::from_millis(50);
            }
            Err(error) => {
                tracing::warn!(target: "auth", %error, "the revocation feed cannot be read");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        gauges::feed(&revocations, &clock, clock.now());
    }
}

/// Removes what is over, in bounded batches, until the task is aborted.
pub(crate) async fn purge(
    store: Arc<dyn ErasedStore>,
    calls: Arc<StoreCalls>,
    retention: Retention,
    deadline: Duration,
) {
    loop {
        // Instances that were started together should not all purge at the same moment.
        let jitter = rand::random_range(0.5..1.5);
        tokio::time::sleep(defaults::PURGE_EVERY.mul_f64(jitter)).await;
        loop {
            match calls.within(deadline, store.purge(retention)).await {
                Ok(0) => break,
                // Between batches, requests come first.
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => {
                    tracing::warn!(target: "auth", %error, "what is over could not be removed");
                    break;
                }
            }
        }
    }
}
