//! Where to listen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::error::{Problem, Shown};

/// An address and a port; `localhost` and no host at all are `127.0.0.1`, so that nothing is open to the network by omission.
pub(super) fn parse(text: &str) -> Result<SocketAddr, Problem> {
    let not_one = || Problem::Listen(Shown::new(text));
    let loopback = text.strip_prefix("localhost").unwrap_or(text);
    if let Some(port) = loopback.strip_prefix(':') {
        // `parse` would take a sign.
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(not_one());
        }
        let port = port.parse().map_err(|_| not_one())?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| not_one())
}
