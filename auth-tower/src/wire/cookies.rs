//! Cookies as header bytes (RFC 6265).

use std::time::Duration;

use cookie::Cookie;

use crate::config::CookieConfig;
use crate::request::RequestFacts;

/// How many cookies of one name are looked at. A browser sends one; a few more can come from a changed `Domain` or `Path`.
const MAX_SAME_NAME: usize = 16;

/// Calls `each` with the raw value of every cookie of this name, over all `Cookie` lines, in the order sent.
///
/// Values are not decoded: a percent sign is a percent sign. HTTP/2 may split the header into several lines (RFC 9113 §8.2.3).
pub(crate) fn values(facts: &(impl RequestFacts + ?Sized), name: &str, each: &mut dyn FnMut(&[u8])) {
    let mut seen = 0_usize;
    facts.header_lines("cookie", &mut |line| {
        for pair in line.split(|b| *b == b';') {
            let mut parts = pair.splitn(2, |b| *b == b'=');
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
                continue;
            };
            if key.trim_ascii() == name.as_bytes() && seen < MAX_SAME_NAME {
                seen += 1;
                each(value.trim_ascii());
            }
        }
    });
}

/// A `Set-Cookie` value that stores `value` for `max_age`.
pub(crate) fn set(config: &CookieConfig, value: &str, max_age: Duration) -> String {
    // Zero would remove the cookie (RFC 6265 §5.2.2), and with it the client's chance to hear why its session is over.
    let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX).max(1);
    build(config, value, seconds)
}

/// A `Set-Cookie` value that removes the cookie: same name, path and domain, as RFC 6265 §5.3 compares them.
pub(crate) fn clear(config: &CookieConfig) -> String {
    build(config, "", 0)
}

fn build(config: &CookieConfig, value: &str, max_age: i64) -> String {
    let mut cookie = Cookie::build((config.name.as_str(), value))
        .http_only(true)
        .secure(config.secure)
        .same_site(config.same_site.into())
        .path(config.path.as_str())
        .max_age(time::Duration::seconds(max_age));
    if let Some(domain) = &config.domain {
        cookie = cookie.domain(domain.as_str());
    }
    cookie.build().to_string()
}
