//! Connecting for the first time, and what would make the store lose what it promises to keep.
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Client, ConnectionInfo, RedisResult, TlsCertificates};
use rustls::crypto::CryptoProvider;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::Location;
use super::connection::{CONNECTING, Connection, Opener, single};
use super::error::{Fault, refuse};
use super::inner::Inner;
use super::keys::Keys;
use super::options::RedisOptions;
use super::replicas::Replicas;
use super::time::Remembered;
use super::waiters::Waiters;
use super::{RedisStore, address, feed};
use crate::store::error::StoreError;

/// How long opening may take in all, a server that is still loading its data included.
const PATIENCE: Duration = Duration::from_secs(5);

/// The first version whose scripts can say that they may run without memory, and are refused by replicas.
const OLDEST: u32 = 7;

impl RedisOptions {
    /// Opens the store; see [`RedisStore::connect`].
    ///
    /// # Errors
    /// As [`RedisStore::connect`].
    pub async fn connect(mut self, address: impl AsRef<str>) -> Result<RedisStore, StoreError> {
        let location = address::parse(address.as_ref())?;
        self.prefix = address::prefix(location.prefix.as_deref().unwrap_or(&self.prefix))?;
        if self.root_certificates.is_some() && !location.is_tls {
            return Err(refuse(
                "root certificates are for rediss:// and rediss+cluster://",
                None,
            ));
        }
        open(location, self).await
    }
}

async fn open(location: Location, options: RedisOptions) -> Result<RedisStore, StoreError> {
    let until = Instant::now() + PATIENCE;
    if location.is_tls {
        choose_tls()?;
    }
    let examined = timeout_at(until, examine(&location, &options, until)).await;
    examined.unwrap_or_else(|_| Err(refusal(Fault::Silent)))?;
    let opener = || opener(&location, &options).map_err(|error| refusal(Fault::of(&error)));
    let keys = Keys::new(&options.prefix);
    let replicas = match options.replicas {
        0 => None,
        wanted => {
            let connection = Connection::new(opener()?, options.deadline, options.queue);
            Some(Arc::new(Replicas::new(connection, wanted, keys.clone())))
        }
    };
    let store = RedisStore(Arc::new(Inner {
        connection: Connection::new(opener()?, options.deadline, options.queue),
        replicas,
        keys,
        remembered: Remembered::new(options.retention),
        clock_offset: options.clock_offset,
        waiters: Waiters::default(),
    }));
    // Each part is read once, which shows a user without rights, a replica, and a cluster with holes.
    match timeout_at(until, feed::probe(&store.0)).await {
        Ok(Ok(())) => Ok(store),
        Ok(Err(error)) => Err(restate(error)),
        Err(_) => Err(refusal(Fault::Silent)),
    }
}

/// The driver panics where the process has no back end of TLS, or two and no choice between them.
fn choose_tls() -> Result<(), StoreError> {
    #[cfg(feature = "aws-lc-rs")]
    // The program, or another store, may have chosen before: that choice stays.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if CryptoProvider::get_default().is_none() {
        return Err(refuse(
            "there is no back end of TLS; build with the feature `aws-lc-rs`, or install a rustls CryptoProvider first",
            None,
        ));
    }
    Ok(())
}

fn opener(location: &Location, options: &RedisOptions) -> RedisResult<Opener> {
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: options.root_certificates.clone(),
    };
    if !location.is_cluster {
        return match location.nodes.first() {
            Some(node) => client(node, location.is_tls, certificates).map(|client| Opener::Single(client.into())),
            None => Err((redis::ErrorKind::InvalidClientConfig, "no server").into()),
        };
    }
    let mut builder = ClusterClientBuilder::new(location.nodes.iter().cloned())
        .tcp_settings(redis::io::tcp::TcpSettings::default().set_nodelay(true))
        .connection_timeout(CONNECTING)
        // A connection for calls is opened with a longer one where a call may take longer.
        .response_timeout(options.deadline * 2)
        .overall_response_timeout(None)
        // The client follows redirections, and waits for a slot that is being moved, for as long as a call may take.
        .retries(10)
        .min_retry_wait(10)
        .max_retry_wait(200);
    if location.is_tls {
        builder = builder.certs(certificates);
    }
    builder.build().map(|client| Opener::Cluster(client.into()))
}

fn client(node: &ConnectionInfo, is_tls: bool, certificates: TlsCertificates) -> RedisResult<Client> {
    if is_tls {
        Client::build_with_tls(node.clone(), certificates)
    } else {
        Client::open(node.clone())
    }
}

/// Reads what the servers are.
async fn examine(location: &Location, options: &RedisOptions, until: Instant) -> Result<(), StoreError> {
    let Some(first) = first_answer(location, options, until).await? else {
        return Ok(());
    };
    judge(&first, location.is_cluster)?;
    // Each primary keeps a part of the sessions, and has settings of its own.
    let opener = opener(location, options).map_err(|error| refusal(Fault::of(&error)))?;
    let all = match opener {
        Opener::Single(_) => vec![first],
        Opener::Cluster(client) => {
            let asked = primaries(&client).await;
            asked.map_err(|error| refusal(Fault::of(&error)))?
        }
    };
    for info in &all {
        judge(info, location.is_cluster)?;
    }
    if all.iter().any(|info| info_field(info, "aof_enabled") == Some("0")) {
        tracing::warn!(
            target: "auth_tower::store",
            "the server keeps no append-only file: a crash forgets sign-ins and sign-outs; set appendonly yes"
        );
    }
    Ok(())
}

/// The `INFO` of each primary of a cluster.
async fn primaries(client: &ClusterClient) -> RedisResult<Vec<String>> {
    let mut connection = client.get_async_connection().await?;
    let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    let answers = connection.route_command(redis::cmd("INFO"), everywhere).await?;
    let answers: HashMap<String, String> = redis::from_redis_value(answers)?;
    Ok(answers.into_values().collect())
}

/// The `INFO` of the first of the named servers that answers; `None` if the user may not run it.
async fn first_answer(
    location: &Location,
    options: &RedisOptions,
    until: Instant,
) -> Result<Option<String>, StoreError> {
    let mut unreachable = Fault::Refused;
    for node in &location.nodes {
        loop {
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: options.root_certificates.clone(),
            };
            let asked = async {
                let client = client(node, location.is_tls, certificates)?;
                let mut connection = single(&client).await?;
                redis::cmd("INFO").query_async::<String>(&mut connection).await
            };
            let fault = match timeout(CONNECTING * 2, asked).await {
                Ok(Ok(info)) if info_field(&info, "loading") == Some("1") => Fault::Loading,
                Ok(Ok(info)) => return Ok(Some(info)),
                Ok(Err(error)) => Fault::of(&error),
                Err(_) => Fault::Silent,
            };
            match fault {
                Fault::Loading if Instant::now() < until => sleep(Duration::from_millis(100)).await,
                Fault::Forbidden => {
                    tracing::warn!(
                        target: "auth_tower::store",
                        "the user may not run INFO, so the store cannot check whether this server evicts sessions or saves them"
                    );
                    return Ok(None);
                }
                Fault::Refused | Fault::Silent | Fault::Lost | Fault::Network if location.is_cluster => {
                    unreachable = fault;
                    break;
                }
                fault => return Err(refusal(fault)),
            }
        }
    }
    Err(refusal(unreachable))
}

/// Judges by a server's `INFO` whether the store can keep its promises there.
fn judge(info: &str, is_cluster: bool) -> Result<(), StoreError> {
    let version = info_field(info, "redis_version").and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    if version.is_none_or(|version| version < OLDEST) {
        return Err(refuse(
            "the server is too old; it has to be Redis 7.0, Valkey or newer",
            None,
        ));
    }
    match (info_field(info, "cluster_enabled") == Some("1"), is_cluster) {
        (true, false) => {
            return Err(refuse(
                "the server is part of a cluster; write redis+cluster:// or rediss+cluster://",
                None,
            ));
        }
        (false, true) => {
            return Err(refuse(
                "the server is not part of a cluster; write redis:// or rediss://",
                None,
            ));
        }
        (true, true) | (false, false) => {}
    }
    if !is_cluster && info_field(info, "role") == Some("slave") {
        return Err(refusal(Fault::ReadOnly));
    }
    let evicts = info_field(info, "maxmemory") != Some("0")
        && info_field(info, "maxmemory_policy").is_some_and(|policy| policy != "noeviction");
    if evicts {
        return Err(refuse(
            "the server evicts keys when its memory is full, and with them sessions and revocations; set maxmemory-policy to \
             noeviction, or maxmemory to 0",
            None,
        ));
    }
    Ok(())
}

fn info_field<'info>(info: &'info str, name: &str) -> Option<&'info str> {
    info.lines()
        .find_map(|line| line.trim_end().split_once(':').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

/// The same error, as one of opening.
fn restate(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(cause) => match cause.downcast_ref::<Fault>() {
            Some(fault) => refusal(*fault),
            None => StoreError::Unavailable(cause),
        },
        StoreError::Timeout => refusal(Fault::Silent),
        StoreError::Corrupt(_) => refuse(
            "a key of this store holds something else; choose a prefix that nothing else uses",
            None,
        ),
        other => other,
    }
}

fn refusal(fault: Fault) -> StoreError {
    let reason = match fault {
        Fault::Refused | Fault::Network => "the server cannot be reached; check the address, and that it runs",
        Fault::Silent => {
            "the server cannot be reached, or waits for something else (TLS is rediss://); check the address"
        }
        Fault::Lost | Fault::Protocol => "what listens there is no Redis, or wants TLS (rediss://); check the address",
        Fault::Tls => {
            "no TLS connection can be made; check that the server speaks TLS, and which authority has signed its certificate"
        }
        Fault::Denied => "the server asks for another user or password; put them into the address",
        Fault::Forbidden => {
            "the user lacks rights; it needs ~prefix* +@scripting +@read +@write +time +wait +info +select (the last only for another database than 0), on a cluster also +cluster|slots +ping"
        }
        Fault::Loading => "the server is still loading its data; come again later",
        Fault::ReadOnly => "the server is a replica; give the address of its primary",
        Fault::Cluster | Fault::Moving | Fault::NoPrimary => "the cluster does not serve all of its slots",
        Fault::NoReplicas => "the server has fewer replicas than its min-replicas-to-write asks for",
        Fault::Disk => "the server cannot save its data, and takes no writes until it can",
        _ => "the server refused it",
    };
    refuse(reason, fault)
}
