//! Numbers for whoever is woken at night, through the `metrics` facade (feature `metrics`); without the feature, nothing.

use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{counter, gauge};

/// `auth_revocation_feed_age_seconds` and `auth_store_clock_offset_seconds`.
pub(crate) fn feed(age: Option<Duration>, clock_offset_millis: i64) {
    #[cfg(feature = "metrics")]
    {
        if let Some(age) = age {
            gauge!("auth_revocation_feed_age_seconds").set(age);
        }
        gauge!("auth_store_clock_offset_seconds").set(clock_offset_millis as f64 / 1_000.0);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (age, clock_offset_millis);
}

/// `auth_store_failures_total`: a call that failed or took too long.
pub(crate) fn store_failed() {
    #[cfg(feature = "metrics")]
    counter!("auth_store_failures_total").increment(1);
}

/// `auth_store_refused_total`: a call that was not made, because the store is out or too many wait for it.
pub(crate) fn store_refused() {
    #[cfg(feature = "metrics")]
    counter!("auth_store_refused_total").increment(1);
}
