//! What the `metrics` facade is told while a store is well, and while it is not.

use std::collections::BTreeMap;

use metrics_util::CompositeKey;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use super::support::*;

/// The present values of the gauges, and how far each counter has moved since this was last asked.
fn values(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let number = |value| match value {
        DebugValue::Gauge(value) => value.into_inner(),
        DebugValue::Counter(value) => f64::from(u32::try_from(value).unwrap()),
        DebugValue::Histogram(_) => panic!("there is no histogram"),
    };
    let snapshot = snapshotter.snapshot().into_vec();
    let named = |(key, .., value): (CompositeKey, _, _, _)| (key.key().name().to_owned(), number(value));
    snapshot.into_iter().map(named).collect()
}

const AGE: &str = "auth_revocation_feed_age_seconds";
const OFFSET: &str = "auth_store_clock_offset_seconds";
const FAILURES: &str = "auth_store_failures_total";
const REFUSED: &str = "auth_store_refused_total";

#[tokio::test(start_paused = true)]
async fn an_outage_can_be_seen() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let alice = world.sign_in("alice").await;
    world.settle().await;
    let well = values(&snapshotter);
    assert_eq!((well[AGE], well[OFFSET]), (0.0, 0.0));
    assert!(!well.contains_key(FAILURES) && !well.contains_key(REFUSED), "{well:?}");

    world.store.fail_all(Fault::Error);
    world.travel(30 * SECOND);
    world.settle().await;
    for _ in 0..100 {
        assert_eq!(world.post_refresh(&alice.refresh).await.status, 503);
    }
    let out = values(&snapshotter);
    assert_eq!(out[AGE], 30.0);
    assert!(out[FAILURES] >= 16.0 && out[REFUSED] >= 50.0, "{out:?}");

    world.store.heal();
    world.settle().await;
    assert_eq!(values(&snapshotter)[AGE], 0.0);
}
