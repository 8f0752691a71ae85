//! Removing what is over, in bounded batches.

use std::sync::Arc;
use std::time::Duration;

use crate::config::defaults;
use crate::store::erased::ErasedStore;
use crate::store::guard::StoreGuard;
use crate::store::session::Retention;

/// Removes what is over, in bounded batches, until the task is aborted.
pub(crate) async fn purge(
    store: Arc<dyn ErasedStore>,
    guard: Arc<StoreGuard>,
    retention: Retention,
    deadline: Duration,
) {
    loop {
        // Instances that were started together should not all purge at the same moment.
        let jitter = rand::random_range(0.5..1.5);
        tokio::time::sleep(defaults::PURGE_EVERY.mul_f64(jitter)).await;
        loop {
            match guard.within(deadline, store.purge(retention)).await {
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
