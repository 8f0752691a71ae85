//! Spans that the settings speak of.

use std::time::Duration;

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
/// The default grace.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// Just longer than the default lifetime of an access token.
pub(crate) const EXPIRY: Duration = Duration::from_secs(15 * 60);
