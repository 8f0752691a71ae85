//! An `Auth` that every worker builds for itself is noticed; one that they share is not, and neither are apps of their own.
//!
//! Each test in a process of its own: the log is told once.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where failing loudly is the point")]

use std::io;
use std::process::Command;
use std::sync::{Arc, Barrier, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::test::init_service;
use actix_web::{App, HttpServer, web};
use auth_actix::Claims;
use auth_tower::{
    Accounts, AccountsError, Algorithm, Auth, Grant, KeyRing, MemoryStore, PasswordCredentials, RefreshKey, SigningKey,
    Subject,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

struct Nobody;

impl Accounts for Nobody {
    type Claims = User;

    async fn verify(&self, _: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        Ok(None)
    }

    async fn claims(&self, _: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        Ok(None)
    }
}

fn auth(issuer: &str) -> Auth<User> {
    let keys = KeyRing::builder()
        .signing(SigningKey::hmac("first", Algorithm::HS256, [1; 32]).unwrap())
        .refresh(RefreshKey::new([2; 32]).unwrap())
        .build()
        .unwrap();
    Auth::<User>::authority(keys)
        .issuer(issuer)
        .audience("api")
        .sessions(MemoryStore::new())
        .accounts(Nobody)
        .build()
        .unwrap()
}

async fn me(claims: Claims<User>) -> String {
    claims.name.clone()
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Heard {
    fn errors(&self) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains("ERROR") && line.contains("outside of `HttpServer::new`"))
            .count()
    }
}

/// A server whose four workers have all begun.
async fn serve(auths: impl Fn() -> Vec<Auth<User>> + Clone + Send + 'static) -> ServerHandle {
    let (begun, mut workers) = tokio::sync::mpsc::unbounded_channel();
    let server = HttpServer::new(move || {
        let auths = auths();
        let [one, other] = [auths.first().unwrap(), auths.last().unwrap()];
        begun.send(()).unwrap();
        App::new()
            .service(
                web::scope("/one")
                    .wrap(auth_actix::middleware(one))
                    .route("/me", web::get().to(me)),
            )
            .service(
                web::scope("/other")
                    .wrap(auth_actix::middleware(other))
                    .route("/me", web::get().to(me)),
            )
    })
    .workers(4)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    for _ in 0..4 {
        workers.recv().await.unwrap();
    }
    handle
}

fn listen() -> Heard {
    let heard = Heard::default();
    let writer = heard.clone();
    tracing_subscriber::util::SubscriberInitExt::init(
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish(),
    );
    heard
}

async fn shared_is_right_and_one_for_each_worker_is_an_error() {
    let heard = listen();
    let shared = vec![auth("https://id.example.com"), auth("https://staff.example.com")];
    serve(move || shared.clone()).await.stop(true).await;
    assert_eq!(
        heard.errors(),
        0,
        "shared, as it should be, and two of different issuers"
    );
    for _ in 0..2 {
        // A worker that has stopped had begun.
        serve(|| vec![auth("https://id.example.com")]).await.stop(true).await;
        assert_eq!(heard.errors(), 1, "told once");
    }
}

/// Runs one test in a process of its own.
fn alone(name: &str, test: impl FnOnce()) {
    const ALONE: &str = "AUTH_ACTIX_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("one_per_process::{name}"), "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_auth_for_each_worker_is_an_error_logged_once() {
    alone("an_auth_for_each_worker_is_an_error_logged_once", || {
        actix_web::rt::System::new().block_on(shared_is_right_and_one_for_each_worker_is_an_error());
    });
}

#[test]
fn also_under_tokio_without_an_actix_system() {
    alone("also_under_tokio_without_an_actix_system", || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(shared_is_right_and_one_for_each_worker_is_an_error());
    });
}

#[test]
fn apps_of_their_own_on_threads_of_their_own_are_no_error() {
    alone("apps_of_their_own_on_threads_of_their_own_are_no_error", || {
        let heard = listen();
        let together = Arc::new(Barrier::new(4));
        let tests: Vec<_> = [true, true, false, false]
            .into_iter()
            .map(|system| {
                let together = together.clone();
                let test = move || async move {
                    let auth = auth("https://id.example.com");
                    let app = init_service(App::new().wrap(auth_actix::middleware(&auth))).await;
                    together.wait();
                    drop(app);
                };
                std::thread::spawn(move || match system {
                    true => actix_web::rt::System::new().block_on(test()),
                    false => tokio::runtime::Runtime::new().unwrap().block_on(test()),
                })
            })
            .collect();
        for one in tests {
            one.join().unwrap();
        }
        assert_eq!(heard.errors(), 0);
    });
}
