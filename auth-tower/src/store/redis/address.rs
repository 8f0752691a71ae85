//! Where the servers are: one address, or several of a cluster.

use redis::io::tcp::TcpSettings;
use redis::{ConnectionInfo, IntoConnectionInfo};

use super::error::refuse;
use crate::store::error::StoreError;

/// What an address says.
#[derive(Debug)]
pub(super) struct Location {
    /// One server, or those of a cluster that are asked first.
    pub(super) nodes: Vec<ConnectionInfo>,
    pub(super) is_cluster: bool,
    pub(super) is_tls: bool,
    pub(super) prefix: Option<String>,
}

/// The longest prefix, in bytes.
const MAX_PREFIX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Location, StoreError> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| refuse("its address is not of the form redis://host:port", None))?;
    let (is_tls, is_cluster) = match scheme {
        "redis" => (false, false),
        "rediss" => (true, false),
        "redis+cluster" => (false, true),
        "rediss+cluster" => (true, true),
        _ => {
            return Err(refuse(
                "its address must begin with redis://, rediss://, redis+cluster:// or rediss+cluster://",
                None,
            ));
        }
    };
    if rest.contains('#') {
        return Err(refuse("its address may not have a part after #", None));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut chosen = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("prefix", value)) => chosen = Some(prefix(value)?),
            _ => {
                return Err(refuse(
                    "of parameters after a ? in its address only prefix is understood",
                    None,
                ));
            }
        }
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    if !is_cluster && hosts.contains(',') {
        return Err(refuse("several hosts are those of a cluster: redis+cluster://", None));
    }
    let scheme = if is_tls { "rediss" } else { "redis" };
    let nodes = hosts
        .split(',')
        .map(|host| {
            format!("{scheme}://{user}{host}/{path}")
                .into_connection_info()
                // Redis sends many small answers, and waiting to send them together costs more than it saves.
                .map(|info| info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
                // What the parser says may quote a password.
                .map_err(|_| {
                    refuse(
                        "its address is not of the form redis://user:password@host:port/database",
                        None,
                    )
                })
        })
        .collect::<Result<_, _>>()?;
    Ok(Location {
        nodes,
        is_cluster,
        is_tls,
        prefix: chosen,
    })
}

/// A prefix of keys: short, printable, and without the braces that choose a key's slot.
pub(super) fn prefix(text: &str) -> Result<String, StoreError> {
    let fits = text.len() <= MAX_PREFIX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"{}".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(refuse(
            "a prefix is at most 64 visible ASCII characters, and neither { nor }",
            None,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_server_or_a_cluster() {
        let one = parse("redis://localhost").unwrap();
        assert!(!one.is_cluster && !one.is_tls && one.nodes.len() == 1 && one.prefix.is_none());
        let tls = parse("rediss://user:p%40ss@cache.example:6380/2?prefix=shop:").unwrap();
        assert!(tls.is_tls && tls.prefix.as_deref() == Some("shop:"));
        assert_eq!(tls.nodes[0].redis_settings().password(), Some("p@ss"));
        let cluster = parse("redis+cluster://:secret@10.0.0.1:7000,10.0.0.2:7001,[::1]:7002/").unwrap();
        assert!(cluster.is_cluster && cluster.nodes.len() == 3);
        assert!(
            cluster
                .nodes
                .iter()
                .all(|node| node.redis_settings().password() == Some("secret"))
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_it() {
        for text in [
            "localhost",
            "http://localhost",
            "redis://",
            "redis://:hunter2@",
            "redis://:hunter2@host:port",
            "redis://:hunter2@a,b",
            "redis+cluster://:hunter2@a,,b",
            "rediss://:hunter2@host#insecure",
            "redis://:hunter2@host?protocol=resp3",
            "redis://:hunter2@host?prefix={a}",
            "redis://:hunter2@host/notanumber",
        ] {
            let refused = parse(text).unwrap_err();
            assert!(matches!(refused, StoreError::Open { .. }), "{text}");
            assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{text}");
        }
    }
}
