//! What the tests are told with.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::future::Future;
use std::time::{Duration, Instant};

use auth_tower::session::{ClientInfo, Lifetime};
use auth_tower::store::{Advance, NewSession, RevocationPage, Revoked, SessionStore, StoreError};
use auth_tower::{PostgresOptions, PostgresStore, SessionId, Subject};
use servers::Postgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::spawn_blocking;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// The bound that the design sets on a revocation.
pub(crate) const NOTICE: Duration = Duration::from_secs(1);

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

pub(crate) fn session(name: &str, number: u64) -> NewSession {
    let subject = subject(name);
    let mut id = [0; 18];
    id[..2].copy_from_slice(&subject.key().routing());
    id[2..10].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    NewSession {
        id: SessionId::from_bytes(id),
        subject,
        client_id: "web".into(),
        lifetime: Lifetime {
            idle: HOUR,
            absolute: HOUR * 3,
        },
        client: ClientInfo::new(Some("laptop"), "203.0.113.7".parse().ok(), Some("test")),
    }
}

pub(crate) fn step(generation: u32) -> Advance {
    Advance {
        expected: generation,
        expected_seen: None,
        unless_within: Duration::ZERO,
        confirmed: generation,
        current: generation + 1,
        idle: HOUR,
    }
}

pub(crate) async fn begin(store: &PostgresStore, name: &str, number: u64) -> SessionId {
    store.create(session(name, number)).await.unwrap().id
}

/// The address of an empty database on the server that the whole process shares.
pub(crate) async fn database() -> String {
    spawn_blocking(|| Postgres::shared().create_database()).await.unwrap()
}

/// A private server, and the address of an empty database on it.
pub(crate) async fn server(settings: &'static [&'static str]) -> (Postgres, String) {
    spawn_blocking(move || {
        let server = Postgres::start_with(settings);
        let url = server.create_database();
        (server, url)
    })
    .await
    .unwrap()
}

/// With a deadline that a slow machine keeps too.
pub(crate) async fn connect(url: &str) -> PostgresStore {
    PostgresOptions::new()
        .with_deadline(PATIENCE)
        .connect(url)
        .await
        .unwrap()
}

/// A connection of somebody else's.
pub(crate) async fn stranger(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

pub(crate) async fn sql(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}

pub(crate) fn reason_of(refused: Result<PostgresStore, StoreError>) -> &'static str {
    match refused {
        Err(StoreError::Open { reason, .. }) => reason,
        other => panic!("should be refused as not to be opened, not {other:?}"),
    }
}

/// What a page says has ended, one session each.
pub(crate) fn sessions(page: &RevocationPage) -> Vec<SessionId> {
    page.entries
        .iter()
        .filter_map(|entry| match entry.what {
            Revoked::Session(id) => Some(id),
            Revoked::Subject { .. } => None,
        })
        .collect()
}

/// Asks again and again until it says yes; returns how long that took.
pub(crate) async fn eventually<P, F>(what: &str, mut probe: P) -> Duration
where
    P: FnMut() -> F,
    F: Future<Output = bool>,
{
    let start = Instant::now();
    while !probe().await {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}
