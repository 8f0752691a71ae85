//! Following the revocation log.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::synced::SharedClock;
use crate::config::defaults;
use crate::events::metrics;
use crate::revocation::registry::Revocations;
use crate::store::erased::ErasedFeed;
use crate::store::feed::Cursor;
use crate::store::guard::StoreGuard;

/// Between two looks at a log that cannot be read. It is also how soon an idle instance notices that the store is back.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What it takes to follow a log.
pub(crate) struct Follower {
    pub(crate) log: Arc<dyn ErasedFeed>,
    pub(crate) guard: Arc<StoreGuard>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) clock: Arc<SharedClock>,
    pub(crate) max_staleness: Duration,
    pub(crate) deadline: Duration,
}

/// Follows the log until the task is aborted. Never gives up: an outage ends by itself.
pub(crate) async fn follow(follower: Follower) {
    let Follower {
        log,
        guard,
        revocations,
        clock,
        max_staleness,
        deadline,
    } = follower;
    let wait = defaults::FEED_WAIT.min(max_staleness / 4);
    let mut cursor = Cursor::start();
    // The first reads do not wait for news: until the log's end was reached once, every token is looked up.
    let mut longest_wait = Duration::ZERO;
    let mut pause = Duration::from_millis(50);
    loop {
        let asked = clock.asking();
        let reading = log.revocations_since(cursor.clone(), longest_wait);
        match guard.within(wait + deadline, reading).await {
            Ok(page) => {
                revocations.apply(&page.entries);
                cursor = page.cursor;
                if page.complete {
                    // An empty answer was waited for, and speaks of its end, not of its beginning; taking the beginning
                    // errs on the stale side by at most the wait.
                    revocations.refreshed(clock.asked_at(asked));
                    longest_wait = wait;
                }
                pause = Duration::from_millis(50);
            }
            Err(error) => {
                tracing::warn!(target: "auth", %error, "the revocation feed cannot be read");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        metrics::feed(revocations.feed_age(clock.now()), clock.offset_millis());
    }
}
