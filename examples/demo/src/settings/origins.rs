//! Origins that may act with the user's cookies.

use std::net::Ipv6Addr;

use super::error::Problem;

/// Origins separated by commas; nothing at all is none.
pub(super) fn parse(text: &str) -> Result<Vec<String>, Problem> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    (1..)
        .zip(text.split(','))
        .map(|(entry, origin)| match origin.trim() {
            origin if is_origin(origin) => Ok(origin.to_owned()),
            _ => Err(Problem::Origin { entry }),
        })
        .collect()
}

/// `scheme://host[:port]` and nothing after it (RFC 6454 §6.1), as a browser sends it in `Origin`.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    if !matches!(scheme, "http" | "https") {
        return false;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (None, port),
            _ => return false,
        },
        None => match authority.find(':').and_then(|at| authority.split_at_checked(at)) {
            Some((host, port)) => (Some(host), port),
            None => (Some(authority), ""),
        },
    };
    host.is_none_or(is_host) && is_port(port)
}

fn is_host(host: &str) -> bool {
    let labels_are_sound = host.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    });
    host.len() <= 253 && labels_are_sound
}

fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0),
    }
}
