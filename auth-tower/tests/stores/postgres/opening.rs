//! Connecting: to what can be used, and to what cannot.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use auth_tower::session::EndReason;
use auth_tower::store::{SessionStore, StoreError};
use auth_tower::{Migrations, PoolerMode, PostgresOptions, PostgresStore};
use servers::{PgBouncer, Postgres, free_port};
use sqlx::postgres::PgPoolOptions;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::scene::{begin, connect, database, reason_of, server, sql, step, stranger, subject};

/// Refused in time, with the reason, and without a word of the address.
async fn refused(url: &str, because: &str) {
    let start = Instant::now();
    let refused = PostgresStore::connect(url).await;
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{because}: {:?}",
        start.elapsed()
    );
    let Err(error) = &refused else {
        panic!("should be refused: {because}");
    };
    let mut text = format!("{error:?} {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(" {error:?} {error}");
        cause = error.source();
    }
    for secret in ["hunter2", "test only", "127.0.0.1", "SELECT"] {
        assert!(!text.contains(secret), "{text}");
    }
    let reason = reason_of(refused);
    assert!(reason.contains(because), "{reason}, and not because {because}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_instances_that_start_at_once_find_the_tables_made_once() {
    let url = database().await;
    let mut starts = JoinSet::new();
    for _ in 0..10 {
        let url = url.clone();
        starts.spawn(async move { PostgresStore::connect(&url).await });
    }
    let stores: Vec<_> = starts.join_all().await.into_iter().map(Result::unwrap).collect();
    let id = begin(&stores[0], "alice", 1).await;
    for store in &stores {
        assert!(store.find(id).await.unwrap().is_some());
    }
    assert_eq!(
        Postgres::query_at(&url, "SELECT count(*), max(version) FROM auth.migrations"),
        "1|1"
    );
}

/// Behind such a proxy, a lock of a session would be taken and released on different connections of the server.
#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_behind_a_proxy_make_the_tables_once() {
    let (server, url) = server(&["fsync=off"]).await;
    let proxy = PgBouncer::start(&server);
    let mut starts = JoinSet::new();
    for _ in 0..10 {
        let url = proxy.url(&url);
        let options = PostgresOptions::new().with_proxy(PoolerMode::TransactionPooling);
        starts.spawn(async move { options.connect(&url).await });
    }
    let stores: Vec<_> = starts.join_all().await.into_iter().map(Result::unwrap).collect();
    let id = begin(&stores[0], "alice", 1).await;
    assert!(stores[9].find(id).await.unwrap().is_some());
    assert_eq!(
        Postgres::query_at(&url, "SELECT count(*), max(version) FROM auth.migrations"),
        "1|1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_were_made_by_hand_are_taken_as_they_are() {
    let url = database().await;
    let by_hand = || PostgresOptions::new().with_migrations(Migrations::ByHand);
    assert!(reason_of(by_hand().connect(&url).await).contains("migrations/postgres"));
    Postgres::query_at(&url, "CREATE SCHEMA auth");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres/0001_sessions.sql");
    let psql = Postgres::psql(&url)
        .arg("--single-transaction")
        .arg("-f")
        .arg(file)
        .status();
    assert!(psql.unwrap().success());
    let store = by_hand().connect(&url).await.unwrap();
    let id = begin(&store, "alice", 1).await;
    assert!(connect(&url).await.find(id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_right_to_make_tables_can_use_them() {
    let url = database().await;
    connect(&url).await;
    let user = format!("app_{}", url.rsplit('_').next().unwrap().split('?').next().unwrap());
    Postgres::query_at(
        &url,
        &format!(
            "CREATE USER {user} PASSWORD 'hunter2'; GRANT USAGE ON SCHEMA auth TO {user}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA auth TO {user}"
        ),
    );
    let (_, place) = url.split_once('@').unwrap();
    let url = format!("postgres://{user}:hunter2@{place}");
    let store = connect(&url).await;
    let id = begin(&store, "alice", 1).await;
    assert!(store.advance(id, step(1)).await.unwrap().unwrap().taken);
    let elsewhere = PostgresOptions::new().with_schema("other").connect(&url).await;
    assert!(reason_of(elsewhere).contains("privilege"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_version_are_refused() {
    let url = database().await;
    connect(&url).await;
    Postgres::query_at(
        &url,
        "INSERT INTO auth.migrations (version, name) VALUES (1000, 'later')",
    );
    refused(&url, "newer version").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_something_else_are_refused_and_left_alone() {
    let url = database().await;
    Postgres::query_at(
        &url,
        "CREATE SCHEMA auth; CREATE TABLE auth.sessions (x int); INSERT INTO auth.sessions VALUES (7)",
    );
    refused(&url, "something else").await;
    assert_eq!(Postgres::query_at(&url, "SELECT x FROM auth.sessions"), "7");
    let beside = PostgresOptions::new()
        .with_schema("select")
        .connect(&url)
        .await
        .unwrap();
    begin(&beside, "alice", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_refused_with_a_reason() {
    let url = database().await;
    refused(
        &format!("postgres://auth:hunter2@127.0.0.1:{}/x", free_port()),
        "cannot be reached",
    )
    .await;
    refused(&url.replace("test%20only", "hunter2"), "does not let this user in").await;
    let (server, _) = url.rsplit_once('/').unwrap();
    refused(&format!("{server}/nowhere"), "no such database").await;
    for nonsense in [
        "",
        "redis://127.0.0.1",
        "postgres://[",
        "postgres://auth:hunter2@127.0.0.1:x/y",
    ] {
        refused(nonsense, "address is none of PostgreSQL").await;
    }
    // The driver would go on, and log the value.
    for unknown in ["?sslpassword=hunter2", "?sslmode=prefer&passwd=hunter2", "?hunter2"] {
        let url = url.split('?').next().unwrap();
        refused(&format!("{url}{unknown}"), "are understood").await;
    }
    let encoded = "CREATE DATABASE other_encoding ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0";
    Postgres::query_at(&url, encoded);
    refused(&format!("{server}/other_encoding"), "encoding").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_is_refused_and_one_that_becomes_so_is_an_outage() {
    let url = database().await;
    let store = connect(&url).await;
    let id = begin(&store, "alice", 1).await;
    let name = Postgres::query_at(&url, "SELECT current_database()");
    Postgres::query_at(
        &url,
        &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"),
    );
    refused(&url, "read-only").await;
    Postgres::query_at(
        &url,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let refused = store.advance(id, step(1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let mut owner = stranger(&url).await;
    sql(&mut owner, "SET default_transaction_read_only = off").await;
    sql(
        &mut owner,
        &format!("ALTER DATABASE {name} RESET default_transaction_read_only"),
    )
    .await;
    assert!(
        store.advance(id, step(1)).await.unwrap().unwrap().taken,
        "a new connection may write"
    );
}

/// One that answers in another language, one that hangs up, one that says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_postgresql_is_refused_in_time() {
    for (answer, hangs_up, because) in [
        (&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], true, ""),
        (b"-ERR unknown command\r\n", true, ""),
        (b"", true, "PostgreSQL"),
        (b"", false, "did not answer in time"),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(answer).await;
                if !hangs_up {
                    held.push(stream);
                }
            }
        });
        refused(&format!("postgres://auth:hunter2@127.0.0.1:{port}/x"), because).await;
        other.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_the_applications_can_be_used() {
    let url = database().await;
    let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    let store = PostgresOptions::new().connect_pool(pool.clone()).await.unwrap();
    let id = begin(&store, "alice", 1).await;
    assert!(store.advance(id, step(1)).await.unwrap().unwrap().taken);
    pool.close().await;
    assert!(matches!(store.find(id).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_level_of_isolation_is_refused_where_it_cannot_be_set() {
    let url = database().await;
    let name = Postgres::query_at(&url, "SELECT current_database()");
    let set = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'");
    Postgres::query_at(&url, &set);
    connect(&url).await;
    let pool = PgPoolOptions::new().connect(&url).await.unwrap();
    assert!(reason_of(PostgresOptions::new().connect_pool(pool).await).contains("READ COMMITTED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_keeps_settings_back_is_refused_unless_it_is_named() {
    let (server, url) = server(&["fsync=off"]).await;
    connect(&url).await;
    let strict = PgBouncer::start(&server);
    refused(&strict.url(&url), "PoolerMode::TransactionPooling").await;
    let lenient = PgBouncer::start_with(&server, "ignore_startup_parameters = options,extra_float_digits\n");
    refused(&lenient.url(&url), "PoolerMode::TransactionPooling").await;
    for proxy in [strict, lenient] {
        let store = PostgresOptions::new()
            .with_proxy(PoolerMode::TransactionPooling)
            .connect(&proxy.url(&url))
            .await
            .unwrap();
        assert!(store.list(&subject("alice"), 1).await.unwrap().is_empty());
    }
}

/// As anybody may make things in `public` on a server before PostgreSQL 15, or on one that was upgraded from there.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_into_public_is_never_run() {
    let url = database().await;
    Postgres::query_at(
        &url,
        "CREATE FUNCTION public.theirs(float8, int) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'run'; END $$; \
         CREATE OPERATOR public.* (LEFTARG = float8, RIGHTARG = int, FUNCTION = public.theirs); \
         CREATE FUNCTION public.now_ms() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'run'; END $$",
    );
    let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
    for store in [
        connect(&url).await,
        PostgresOptions::new().connect_pool(pool).await.unwrap(),
    ] {
        let id = begin(&store, "alice", 1).await;
        assert!(store.advance(id, step(1)).await.unwrap().unwrap().taken);
        store
            .end_all(&subject("alice"), None, EndReason::AllEnded)
            .await
            .unwrap();
        Postgres::query_at(&url, "TRUNCATE auth.sessions");
    }
}
