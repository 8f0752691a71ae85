//! Connecting to what will not do: one clear reason, in seconds, without a secret.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use auth_tower::session::EndReason;
use auth_tower::store::{SessionStore as _, StoreError};
use auth_tower::{RedisOptions, RedisStore};
use servers::{Redis, RedisCluster};

use super::support::{begin, connect, is_live};

async fn refused(url: &str) -> String {
    refused_with(RedisOptions::new(), url).await
}

async fn refused_with(options: RedisOptions, url: &str) -> String {
    let begun = Instant::now();
    let error = options.connect(url).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    let StoreError::Open { reason, .. } = &error else {
        panic!("{error:?}");
    };
    let all = format!("{error} {error:?}");
    assert!(
        !all.contains("hunter2") && !all.contains("localhost") && !all.contains("127.0.0.1"),
        "{all}"
    );
    (*reason).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_listens_or_answers() {
    let port = servers::free_port();
    for scheme in ["redis", "redis+cluster"] {
        let reason = refused(&format!("{scheme}://:hunter2@127.0.0.1:{port}")).await;
        assert!(reason.contains("cannot be reached"), "{reason}");
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for scheme in ["redis", "redis+cluster", "rediss"] {
        let reason = refused(&format!("{scheme}://:hunter2@127.0.0.1:{port}")).await;
        assert!(reason.contains("cannot be reached"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn something_else_that_answers() {
    for answer in [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "E\0\0\0\u{b}SFATAL\0\0",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let reason = refused(&format!("redis://:hunter2@127.0.0.1:{port}")).await;
        assert!(reason.contains("no Redis"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_missing_or_wrong() {
    let server = Redis::with(&["--requirepass", "hunter2"]);
    let port = server.port();
    for user in ["", ":hunter2hunter2@", "nobody:hunter2@"] {
        let reason = refused(&format!("redis://{user}localhost:{port}")).await;
        assert!(reason.contains("password"), "{reason}");
    }
    let store = connect(&format!("redis://:hunter2@localhost:{port}")).await;
    let id = begin(&store, "alice").await;
    assert!(is_live(&store, id).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_rights() {
    let server = Redis::start();
    server.cli(&[
        "ACL", "SETUSER", "reader", "on", ">hunter2", "~auth:*", "+@read", "+info", "+ping",
    ]);
    let reason = refused(&format!("redis://reader:hunter2@localhost:{}", server.port())).await;
    assert!(reason.contains("rights"), "{reason}");
    // Enough, as the words say.
    let store = connect(&server.create_user()).await;
    begin(&store, "alice").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica() {
    let primary = Redis::start();
    let replica = primary.replica();
    let reason = refused(&replica.url()).await;
    assert!(reason.contains("replica"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_evicts() {
    let server = Redis::with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let reason = refused(&server.url()).await;
    assert!(reason.contains("noeviction"), "{reason}");
    server.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    connect(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_which_one_server_evicts() {
    let cluster = RedisCluster::start();
    let [first, _, last] = cluster.nodes();
    last.cli(&["CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru"]);
    for asked in [first, last] {
        let reason = refused(&asked.url().replace("redis:", "redis+cluster:")).await;
        assert!(reason.contains("noeviction"), "{reason}");
    }
    last.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    connect(&cluster.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_are_silent_are_not_waited_for_one_after_the_other() {
    let silent = [(); 6].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let nodes = silent.each_ref().map(|node| node.local_addr().unwrap().to_string());
    let begun = Instant::now();
    let reason = refused(&format!("redis+cluster://:hunter2@{}", nodes.join(","))).await;
    assert!(reason.contains("cannot be reached"), "{reason}");
    assert!(begun.elapsed() < Duration::from_millis(5_500), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_rights_that_the_refusal_names() {
    let create = |node: &Redis, rights: &str| {
        let mut command = vec!["ACL", "SETUSER", "named", "on", ">hunter2", "~auth:*"];
        command.extend(rights.split(' ').filter(|right| right.starts_with('+')));
        assert_eq!(node.cli(&command), "OK");
    };
    let server = Redis::start();
    let cluster = RedisCluster::start();
    let one = format!("redis://named:hunter2@127.0.0.1:{}", server.port());
    let many = cluster.url().replace("//", "//named:hunter2@");
    let servers = [&server].into_iter().chain(cluster.nodes());
    servers.clone().for_each(|node| create(node, "+info"));
    let (named, of_a_cluster) = (refused(&one).await, refused(&many).await);
    assert_eq!(named, of_a_cluster);
    let (rights, more) = named.split_once(", on a cluster also ").unwrap();
    create(&server, rights);
    cluster
        .nodes()
        .iter()
        .for_each(|node| create(node, &format!("{rights} {more}")));
    for url in [one, many] {
        let store = RedisOptions::new()
            .with_replicas(1)
            .with_deadline(Duration::from_millis(500));
        let store = store.connect(url).await.unwrap();
        let id = begin(&store, "alice").await;
        let ended = store.end(id, EndReason::SignedOut).await;
        assert!(
            matches!(ended, Err(StoreError::Timeout)),
            "there is no replica: {ended:?}"
        );
        assert!(!is_live(&store, id).await);
    }
    for node in servers {
        assert_eq!(node.cli(&["ACL", "LOG"]).matches("wait").count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_for_a_server_and_a_server_for_a_cluster() {
    let one = Redis::shared();
    let reason = refused(&format!("redis+cluster://127.0.0.1:{}", one.port())).await;
    assert!(reason.contains("redis://"), "{reason}");
    let node = &RedisCluster::shared().nodes()[0];
    let reason = refused(&node.url()).await;
    assert!(reason.contains("redis+cluster://"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_node_that_is_away_is_good_enough_to_ask() {
    let cluster = RedisCluster::shared();
    let url = format!(
        "redis+cluster://127.0.0.1:{},127.0.0.1:{}",
        servers::free_port(),
        cluster.nodes()[1].port()
    );
    connect(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates() {
    let server = Redis::with_tls();
    let trusting = || RedisOptions::new().with_root_certificates(server.root_certificate());
    let store = trusting().connect(server.url()).await.unwrap();
    let id = begin(&store, "alice").await;
    assert!(is_live(&store, id).await);

    let reason = refused(&server.url()).await;
    assert!(reason.contains("TLS"), "signed by nobody who is trusted: {reason}");
    let other_name = server.url().replace("localhost", "127.0.0.1");
    let reason = refused_with(trusting(), &other_name).await;
    assert!(reason.contains("TLS"), "of another name: {reason}");
    let reason = refused(&server.url().replace("rediss", "redis")).await;
    assert!(reason.contains("TLS"), "asked in the clear: {reason}");
    let in_the_clear = Redis::shared().url().replace("redis:", "rediss:");
    let reason = refused(&in_the_clear).await;
    assert!(reason.contains("TLS"), "answered in the clear: {reason}");
    let reason = refused_with(trusting(), "redis://localhost").await;
    assert!(reason.contains("rediss"), "{reason}");
    let nonsense = RedisOptions::new().with_root_certificates("no certificate");
    refused_with(nonsense, &server.url()).await;
}

#[tokio::test]
async fn an_address_that_is_none() {
    for url in ["", "localhost", "redis:/localhost", "http://:hunter2@localhost"] {
        assert!(
            matches!(RedisStore::connect(url).await, Err(StoreError::Open { .. })),
            "{url}"
        );
    }
}
