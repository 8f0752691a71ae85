//! Cookies as header bytes (RFC 6265).

use crate::facts::RequestFacts;

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
