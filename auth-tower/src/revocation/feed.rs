//! Following the store's log of endings, and cleaning up behind it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::synced::SharedClock;
use crate::config::defaults;
use crate::events::metrics;
use crate::revocation::registry::Revocations;
use crate::store::erased::ErasedStore;
use crate::store::feed::Cursor;
use crate::store::guard::StoreGuard;

/// Between two looks at a log that cannot be read. It is also how soon an idle instance notices that the store is back.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Follows the log until the task is aborted. Never gives up: an outage ends by itself.
pub(crate) async fn follow(
    store: Arc<dyn ErasedStore>,
    calls: Arc<StoreGuard>,
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
        let reading = store.revocations_since(cursor.clone(), patience);
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
        metrics::feed(&revocations, &clock, clock.now());
    }
}
