//! Every default, with its reason.

use std::time::Duration;

/// Short, because a service that cannot follow revocations honours a token for this long (RFC 9700 §2.2.1).
pub(crate) const ACCESS_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A week away does not sign anybody out; a device left in a drawer is.
pub(crate) const IDLE_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Everybody proves who they are at least monthly, whatever their activity (OWASP ASVS 7.3.2).
pub(crate) const ABSOLUTE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Three times what a request or response may reasonably be under way.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// Longer than any answer a healthy store gives, shorter than a person waits.
pub(crate) const STORE_DEADLINE: Duration = Duration::from_secs(2);

/// A request that waits longer for a store has lost its client.
pub(crate) const MAX_DEADLINE: Duration = Duration::from_secs(60);

/// A feed older than this is no feed.
pub(crate) const MAX_MAX_STALENESS: Duration = Duration::from_secs(3600);

/// How long the application's own account look-up may take before the client is told to come again.
pub(crate) const ACCOUNTS_DEADLINE: Duration = Duration::from_secs(10);

/// A few lost polls of the revocation feed do not turn every request into a look-up.
pub(crate) const MAX_STALENESS: Duration = Duration::from_secs(5);

/// The longest wait of one read of the feed: an idle feed proves itself fresh this often.
pub(crate) const FEED_WAIT: Duration = Duration::from_secs(1);

/// How long a service that has just started lets a request wait until it knows of the revocations of the past.
pub(crate) const FIRST_READ: Duration = Duration::from_secs(2);

/// How long a service that keeps no sessions remembers revocations: longer than access tokens live anywhere. An entry costs about
/// 300 bytes.
pub(crate) const RESOURCE_MEMORY: Duration = Duration::from_secs(24 * 3600);

/// How long a client may take to send the body of an auth route.
pub(crate) const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// About 30,000 tokens of usual size.
pub(crate) const TOKEN_CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// The OAuth client of a web app that signs its own users in.
pub(crate) const CLIENT_ID: &str = "web";

/// The most that `exp` may be stretched (RFC 7519 §4.1.4: "a few minutes" is too many for short tokens).
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(10);

/// Browsers cut a cookie's age to this (RFC 6265bis §5.5).
pub(crate) const MAX_COOKIE_AGE: Duration = Duration::from_secs(400 * 24 * 3600);

/// For how long a session that is over is remembered, so that its client is told why.
pub(crate) const SESSION_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// How often what is over is looked for.
pub(crate) const PURGE_EVERY: Duration = Duration::from_secs(60);

/// What a client is told to wait after an outage.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The most sessions one list shows.
pub(crate) const LIST_LIMIT: usize = 200;

/// The largest body of an auth route, in bytes.
pub(crate) const BODY_LIMIT: usize = 16 * 1024;

/// Sent with the key set, which changes only when keys are rotated.
pub(crate) const JWKS_MAX_AGE: Duration = Duration::from_secs(300);

/// How long a settled exchange answers the stragglers of its burst.
pub(crate) const SETTLED_FOR: Duration = Duration::from_secs(1);
