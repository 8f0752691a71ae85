//! What the core wants to know of a request: seen by a shell, judged by nobody yet.

use std::net::IpAddr;

/// The facts of one request, as bytes and strings.
///
/// Each shell implements it for its framework's request, so that the core sees neither a framework nor a generation of the
/// `http` crate. Nothing here is trusted.
pub trait RequestFacts {
    /// The method, as sent.
    fn method(&self) -> &str;

    /// Calls `each` with the value of every header line of this (lower-case) name, in order.
    fn header_lines(&self, name: &'static str, each: &mut dyn FnMut(&[u8]));

    /// The target's path, as sent.
    fn path(&self) -> &str;

    /// The target's query, without the question mark.
    fn query(&self) -> Option<&str>;

    /// The target's authority, where the request line or HTTP/2 `:authority` carried one.
    fn authority(&self) -> Option<&str>;

    /// The address of the peer.
    fn client_ip(&self) -> Option<IpAddr>;
}

/// A header that should be sent at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Single {
    Absent,
    Once(Vec<u8>),
    Repeated,
}

impl Single {
    pub(crate) fn read(facts: &(impl RequestFacts + ?Sized), name: &'static str) -> Self {
        let mut found = Self::Absent;
        facts.header_lines(name, &mut |value| {
            found = match found {
                Self::Absent => Self::Once(value.to_vec()),
                _ => Self::Repeated,
            };
        });
        found
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Once(value) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }
}
