//! The deadline that people set is the one that holds, whatever the store.
#![cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests, where failing loudly is the point")]
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::convert::Infallible;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use auth_tower::layer::HttpFacts;
use auth_tower::session::ClientInfo;
use auth_tower::store::SessionStore;
use auth_tower::{Accounts, AccountsError, Auth, Grant, Handle, KeyRing, PasswordCredentials, Subject, adapter};
use http::{Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tower::{Layer as _, ServiceExt as _, service_fn};

/// How long the store is held up: longer than the deadline that is set by default.
const HELD_UP: Duration = Duration::from_secs(3);

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

struct Everyone;

impl Accounts for Everyone {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        Ok(Subject::new(login.username()).ok())
    }

    async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        let name = subject.to_string();
        Ok(Some(Grant::new(User { name })))
    }
}

/// A person who is signed in with a refresh cookie, so that the next request needs the store.
struct Person {
    auth: Auth<User>,
    cookie: String,
}

impl Person {
    async fn sign_in(store: impl SessionStore, deadline: Duration) -> Self {
        let auth = Auth::<User>::authority(KeyRing::generate().unwrap())
            .issuer("https://id.example.com")
            .audience("https://api.example.com")
            .sessions(store)
            .store_deadline(deadline)
            .accounts(Everyone)
            .build()
            .unwrap();
        let service = auth.layer().layer(service_fn(|request: Request<()>| async move {
            let handle = request.extensions().get::<Handle>().unwrap();
            let facts = HttpFacts::new(request.method(), request.uri(), request.headers(), None);
            let login = PasswordCredentials::new("alice", "any", ClientInfo::default());
            adapter::session(handle, &facts).unwrap().log_in(&login).await.unwrap();
            Ok::<_, Infallible>(Response::new(()))
        }));
        let response = service.oneshot(Request::post("/").body(()).unwrap()).await.unwrap();
        let cookie = response.headers().get("set-cookie").unwrap().to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { auth, cookie }
    }

    /// What a request is answered, and after how long.
    async fn asks(&self) -> (StatusCode, Duration) {
        let service = self.auth.layer().required().layer(service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(String::new()))
        }));
        let request = Request::get("/").header("cookie", &self.cookie).body(()).unwrap();
        let asked = Instant::now();
        let response = service.oneshot(request).await.unwrap();
        (response.status(), asked.elapsed())
    }
}

/// `hold` keeps the store from answering, until what it returns is called.
async fn holds<S, H, R>(connect: impl AsyncFn() -> S, hold: H)
where
    S: SessionStore,
    H: Fn() -> R,
    R: FnOnce() + Send + 'static,
{
    let patient = Person::sign_in(connect().await, Duration::from_secs(10)).await;
    let release = hold();
    let releasing = thread::spawn(move || {
        thread::sleep(HELD_UP);
        release();
    });
    let (status, after) = patient.asks().await;
    assert_eq!(status, StatusCode::OK, "after {after:?} of 10 s");
    assert!(after > HELD_UP / 2, "it was held up, and not for {after:?} only");
    releasing.join().unwrap();

    let impatient = Person::sign_in(connect().await, Duration::from_secs(1)).await;
    let release = hold();
    let (status, after) = impatient.asks().await;
    release();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let about_a_second = Duration::from_millis(700)..Duration::from_secs(2);
    assert!(about_a_second.contains(&after), "{after:?}");
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn of_a_postgresql_server_that_hangs() {
    let started = tokio::task::spawn_blocking(|| {
        let server = servers::Postgres::start();
        let url = server.create_database();
        (Arc::new(server), url)
    });
    let (server, url) = started.await.unwrap();
    let hold = || {
        server.pause();
        let server = server.clone();
        move || server.resume()
    };
    holds(async || auth_tower::PostgresStore::connect(&url).await.unwrap(), hold).await;
}

/// The server gives a statement up when its caller does, and not before.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn of_a_postgresql_table_that_is_locked() {
    use sqlx::Connection as _;
    let database = tokio::task::spawn_blocking(|| servers::Postgres::shared().create_database());
    let url = database.await.unwrap();
    let hold = || {
        let url = url.clone();
        let (locked, is_locked) = std::sync::mpsc::channel();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        tokio::spawn(async move {
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            let lock = sqlx::raw_sql("BEGIN; LOCK TABLE auth.sessions");
            lock.execute(&mut connection).await.unwrap();
            locked.send(()).unwrap();
            let _ = released.await;
            connection.close().await.unwrap();
        });
        tokio::task::block_in_place(|| is_locked.recv()).unwrap();
        move || drop(release)
    };
    holds(async || auth_tower::PostgresStore::connect(&url).await.unwrap(), hold).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn of_a_redis_server_that_hangs() {
    let server = Arc::new(servers::Redis::start());
    let hold = || {
        server.pause();
        let server = server.clone();
        move || server.resume()
    };
    holds(
        async || auth_tower::RedisStore::connect(server.url()).await.unwrap(),
        hold,
    )
    .await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn of_a_redis_cluster_that_hangs() {
    let cluster = Arc::new(servers::RedisCluster::start());
    let hold = || {
        cluster.nodes().iter().for_each(servers::Redis::pause);
        let cluster = cluster.clone();
        move || cluster.nodes().iter().for_each(servers::Redis::resume)
    };
    holds(
        async || auth_tower::RedisStore::connect(cluster.url()).await.unwrap(),
        hold,
    )
    .await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn of_an_sqlite_file_that_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.db");
    let hold = || {
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        move || other.execute_batch("ROLLBACK").unwrap()
    };
    holds(async || auth_tower::SqliteStore::connect(&path).await.unwrap(), hold).await;
}
