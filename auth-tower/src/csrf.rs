//! May this request act, or exchange, on a cookie's word?
//!
//! A browser attaches cookies to requests that other sites make, so a cookie proves the browser but not the intent. The
//! browser tells where a request came from: `Sec-Fetch-Site` (Fetch Metadata), else `Origin` (RFC 6454). A bearer header
//! needs none of this, because no other site can make a browser send one.

use crate::facts::{RequestFacts, Single};

/// What a cookie of this request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieAuthority {
    /// Act and exchange.
    Full,
    /// Nothing: as if it had not been sent.
    Absent,
    /// Nothing, and the request is refused if it has no other credential: an unsafe method from another site.
    Refused,
}

/// What the application chose about cross-site requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct CsrfPolicy {
    /// Other origins that may act with the user's cookies, normalised.
    pub(crate) trusted_origins: Vec<Origin>,
    /// Whether an unsafe request with neither `Sec-Fetch-Site` nor `Origin` is refused too.
    pub(crate) strict: bool,
    /// A header that every unsafe request on a cookie's word must carry.
    pub(crate) required_header: Option<&'static str>,
    /// Whether the app is served over plain HTTP by its own choice (cookies without `Secure`).
    pub(crate) plain_http: bool,
}

impl CsrfPolicy {
    pub(crate) fn judge(&self, facts: &(impl RequestFacts + ?Sized)) -> CookieAuthority {
        match (is_safe(facts), self.may_speak(facts)) {
            (true, true) if facts.method() != "OPTIONS" && !speculative(facts) => CookieAuthority::Full,
            (true, _) => CookieAuthority::Absent,
            (false, true) => CookieAuthority::Full,
            (false, false) => CookieAuthority::Refused,
        }
    }

    /// Whether a cookie may say who asks. Less than [`judge`](Self::judge) asks for: what a browser fetches ahead of its user
    /// may be answered as the user's, but exchanges nothing.
    pub(crate) fn may_speak(&self, facts: &(impl RequestFacts + ?Sized)) -> bool {
        if is_safe(facts) {
            return self.same_origin(facts) || top_level_navigation(facts);
        }
        let has_header = self
            .required_header
            .is_none_or(|name| Single::read(facts, name) != Single::Absent);
        has_header && self.same_origin(facts)
    }

    fn same_origin(&self, facts: &(impl RequestFacts + ?Sized)) -> bool {
        let origin = Single::read(facts, "origin");
        let trusted = || {
            origin
                .as_str()
                .and_then(Origin::parse)
                .is_some_and(|o| self.trusted_origins.contains(&o))
        };
        match Single::read(facts, "sec-fetch-site") {
            Single::Once(site) if site == b"same-origin" || site == b"none" => true,
            Single::Once(_) | Single::Repeated => trusted(),
            Single::Absent => match &origin {
                // No browser that supports cookies of this kind leaves both out on an unsafe request.
                Single::Absent => !self.strict || is_safe(facts),
                Single::Repeated => false,
                Single::Once(_) => trusted() || self.is_own(&origin, facts),
            },
        }
    }

    /// Whether `Origin` is this server's: the same host and port as `Host`, and the scheme that the cookies need, which is
    /// HTTPS except on a loopback host (there, browsers treat plain HTTP as secure).
    fn is_own(&self, origin: &Single, facts: &(impl RequestFacts + ?Sized)) -> bool {
        let Some(origin) = origin.as_str().and_then(Origin::parse) else {
            return false;
        };
        let host = match Single::read(facts, "host") {
            Single::Once(host) => String::from_utf8(host).ok(),
            Single::Absent => facts.authority().map(str::to_owned),
            Single::Repeated => None,
        };
        let Some(host) = host else { return false };
        let scheme = if self.plain_http || is_loopback(&host) {
            "http"
        } else {
            "https"
        };
        Origin::parse(&format!("{scheme}://{host}")) == Some(origin)
    }
}

fn is_safe(facts: &(impl RequestFacts + ?Sized)) -> bool {
    matches!(facts.method(), "GET" | "HEAD" | "OPTIONS")
}

fn speculative(facts: &(impl RequestFacts + ?Sized)) -> bool {
    let mut found = false;
    for name in ["sec-purpose", "purpose", "x-moz"] {
        facts.header_lines(name, &mut |value| {
            let value = value.to_ascii_lowercase();
            found |= [&b"prefetch"[..], b"prerender", b"preview"]
                .iter()
                .any(|p| value.windows(p.len()).any(|w| w == *p));
        });
    }
    found
}

fn top_level_navigation(facts: &(impl RequestFacts + ?Sized)) -> bool {
    Single::read(facts, "sec-fetch-mode") == Single::Once(b"navigate".to_vec())
        && Single::read(facts, "sec-fetch-dest") == Single::Once(b"document".to_vec())
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A web origin: scheme, host and port, normalised (RFC 6454 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads `scheme://host[:port]`, with nothing after it. `null` is no origin.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let port_at = match authority.rfind(']') {
            Some(end) => authority.get(end..).and_then(|rest| rest.find(':')).map(|at| at + end),
            None => authority.find(':'),
        };
        let (host, port) = match port_at {
            Some(at) => (authority.get(..at)?, authority.get(at + 1..)?.parse().ok()?),
            None => (authority, default_port),
        };
        let plain = host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || !(plain || bracketed) {
            return None;
        }
        Some(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}
