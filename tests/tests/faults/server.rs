//! A store's server of a run's own, which it may break in every way.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use acceptance::Store;
use servers::{Postgres, Redis, RedisCluster};

/// Servers that no run uses at present: making one takes longer than a run's whole load needs of the machine.
static IDLE: Mutex<Vec<(Store, Kind)>> = Mutex::new(Vec::new());

#[derive(Debug)]
enum Kind {
    Postgres(Postgres),
    Redis(Redis),
    /// The node that is broken, each time another.
    Cluster(Box<RedisCluster>, usize),
}

impl Kind {
    fn start(store: Store) -> Self {
        match store {
            Store::Postgres => Self::Postgres(Postgres::start()),
            Store::Redis => Self::Redis(Redis::start()),
            Store::RedisCluster => Self::Cluster(Box::new(RedisCluster::start()), 0),
            other => panic!("{other:?} has no server"),
        }
    }

    /// A database or a prefix that nobody has used, and a port of the server.
    fn place(&self) -> (String, u16) {
        static PREFIXES: AtomicU32 = AtomicU32::new(0);
        let prefix = PREFIXES.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Postgres(server) => (server.create_database(), server.port()),
            Self::Redis(server) => (
                format!("redis://127.0.0.1:{}/?prefix=run{prefix}:", server.port()),
                server.port(),
            ),
            Self::Cluster(cluster, _) => (
                format!("{}/?prefix=run{prefix}:", cluster.url()),
                cluster.nodes()[0].port(),
            ),
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::Redis(server) => server.kill(),
            Self::Cluster(cluster, victim) => {
                *victim = (*victim + 1) % cluster.nodes().len();
                cluster.node_mut(*victim).kill();
            }
        }
    }

    fn up(&mut self) {
        match self {
            Self::Postgres(server) => server.up(),
            Self::Redis(server) => server.restart(),
            Self::Cluster(cluster, victim) => {
                cluster.node_mut(*victim).restart();
                cluster.await_agreement();
            }
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Postgres(server) => server.restart(),
            Self::Redis(server) => {
                server.cli(&["SHUTDOWN"]);
                server.restart();
            }
            Self::Cluster(cluster, victim) => {
                *victim = (*victim + 1) % cluster.nodes().len();
                cluster.node_mut(*victim).cli(&["SHUTDOWN"]);
                self.up();
            }
        }
    }

    fn pause(&mut self) {
        match self {
            Self::Postgres(server) => server.pause(),
            Self::Redis(server) => server.pause(),
            Self::Cluster(cluster, _) => cluster.nodes().iter().for_each(Redis::pause),
        }
    }

    fn resume(&mut self) {
        match self {
            Self::Postgres(server) => server.resume(),
            Self::Redis(server) => server.resume(),
            Self::Cluster(cluster, _) => {
                cluster.nodes().iter().for_each(Redis::resume);
                cluster.await_agreement();
            }
        }
    }

    fn stop_all(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::Redis(server) => server.kill(),
            Self::Cluster(cluster, _) => (0..3).for_each(|number| cluster.node_mut(number).kill()),
        }
    }

    fn start_all(&mut self) {
        match self {
            Self::Postgres(server) => server.up(),
            Self::Redis(server) => server.restart(),
            Self::Cluster(cluster, _) => {
                (0..3).for_each(|number| cluster.node_mut(number).restart());
                cluster.await_agreement();
            }
        }
    }

    fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::Postgres(server) => vec![server.folder().join("data")],
            Self::Redis(server) => vec![server.folder().join("appendonlydir")],
            Self::Cluster(cluster, _) => {
                let nodes = cluster.nodes().iter();
                nodes.map(|node| node.folder().join("appendonlydir")).collect()
            }
        }
    }
}

/// A private server. Its next user gets it whole.
#[derive(Debug)]
pub(crate) struct Server {
    store: Store,
    /// `None` only once it was given back.
    kind: Arc<Mutex<Option<Kind>>>,
    url: String,
    address: SocketAddr,
    /// Whether it is up and well.
    whole: AtomicBool,
}

impl Server {
    /// A server for a store that has one.
    pub(crate) async fn of(store: Store) -> Self {
        blocking(move || {
            let mut idle = IDLE.lock().expect("nobody panics with it");
            let found = idle.iter().position(|(of, _)| *of == store);
            let found = found.map(|place| idle.swap_remove(place).1);
            drop(idle);
            let kind = found.unwrap_or_else(|| Kind::start(store));
            let (url, port) = kind.place();
            Self {
                store,
                kind: Arc::new(Mutex::new(Some(kind))),
                url,
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                whole: AtomicBool::new(true),
            }
        })
        .await
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value of `STORE` for an app that reaches it at `address`.
    pub(crate) fn url_at(&self, address: SocketAddr) -> String {
        self.url
            .replace(&format!(":{}", self.address.port()), &format!(":{}", address.port()))
    }

    /// SIGKILL; of a cluster, to one node.
    pub(crate) async fn kill(&self) {
        self.whole.store(false, Ordering::Relaxed);
        self.with(Kind::kill).await;
    }

    /// Up again, on what it kept.
    pub(crate) async fn up(&self) {
        self.with(Kind::up).await;
        self.whole.store(true, Ordering::Relaxed);
    }

    /// Stopped and started as an administrator would.
    pub(crate) async fn restart(&self) {
        self.whole.store(false, Ordering::Relaxed);
        self.with(Kind::restart).await;
        self.whole.store(true, Ordering::Relaxed);
    }

    /// SIGSTOP.
    pub(crate) async fn pause(&self) {
        self.whole.store(false, Ordering::Relaxed);
        self.with(Kind::pause).await;
    }

    /// SIGCONT.
    pub(crate) async fn resume(&self) {
        self.with(Kind::resume).await;
        self.whole.store(true, Ordering::Relaxed);
    }

    /// Gone, with every node.
    pub(crate) async fn stop_all(&self) {
        self.whole.store(false, Ordering::Relaxed);
        self.with(Kind::stop_all).await;
    }

    /// Up again, with every node.
    pub(crate) async fn start_all(&self) {
        self.with(Kind::start_all).await;
        self.whole.store(true, Ordering::Relaxed);
    }

    /// A copy of its files, as a backup is one. It is down for as long as that takes.
    pub(crate) async fn back_up(&self) -> Vec<Backup> {
        self.with(|kind| {
            kind.stop_all();
            let backups = kind.folders().iter().map(|folder| Backup::of(folder)).collect();
            kind.start_all();
            backups
        })
        .await
    }

    /// Stopped, and up again on the files of a backup.
    pub(crate) async fn restore(&self, backups: Vec<Backup>) {
        self.with(move |kind| {
            kind.stop_all();
            backups.iter().for_each(Backup::put_back);
            kind.start_all();
        })
        .await;
    }

    /// Starts a replica that has all that a Redis server has by now, and cutoffs it off. It is promoted: the server's later writes
    /// are what a failover loses.
    pub(crate) async fn replica(&self) -> Redis {
        self.with(|kind| match kind {
            Kind::Redis(server) => {
                let replica = server.replica();
                replica.cli(&["REPLICAOF", "NO", "ONE"]);
                replica
            }
            _ => panic!("a replica of a single Redis server"),
        })
        .await
    }

    async fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut Kind) -> T + Send + 'static) -> T {
        let kind = self.kind.clone();
        blocking(move || {
            act(kind
                .lock()
                .expect("nobody panics with it")
                .as_mut()
                .expect("not given back"))
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A run that broke off may leave a server that is down.
        if *self.whole.get_mut()
            && let Ok(mut kind) = self.kind.lock()
            && let Some(kind) = kind.take()
        {
            IDLE.lock().expect("nobody panics with it").push((self.store, kind));
        }
    }
}

/// A copy of a server's files.
#[derive(Debug)]
pub(crate) struct Backup {
    original: PathBuf,
    copy: tempfile::TempDir,
}

impl Backup {
    fn of(original: &Path) -> Self {
        let copy = tempfile::tempdir().expect("a temporary folder");
        copy_files(original, &copy.path().join("files"));
        Self {
            original: original.to_owned(),
            copy,
        }
    }

    fn put_back(&self) {
        std::fs::remove_dir_all(&self.original).expect("the files of a server that is down");
        copy_files(&self.copy.path().join("files"), &self.original);
    }
}

/// With their owners and rights.
fn copy_files(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.expect("cp: it is in the Debian package coreutils").success());
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.expect("the server obeys")
}
