//! An axum app on the store, over HTTP, judged by what leaves it.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where failing loudly is the point")]

use std::net::SocketAddr;

use acceptance::{Request, expect};
use auth_axum::{Claims, Rejection, Session};
use auth_tower::{Accounts, AccountsError, Auth, Clock, Grant, KeyRing, PasswordCredentials, Subject};
use axum::Router;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use toy_store::ToyStore;

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

struct OneUser;

impl Accounts for OneUser {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        let known = login.username() == "alice" && login.password().expose_secret() == "wonderland";
        Ok(known.then(|| Subject::new("alice").ok()).flatten())
    }

    async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        Ok(Some(Grant::new(User {
            name: subject.to_string(),
        })))
    }
}

async fn me(claims: Claims<User>) -> String {
    claims.name.clone()
}

async fn everywhere(_: Claims<User>, session: Session) -> Result<String, Rejection> {
    Ok(session.end_all().await?.to_string())
}

/// The app on a port of its own.
async fn start() -> SocketAddr {
    let auth = Auth::<User>::authority(KeyRing::generate().unwrap())
        .issuer("https://id.example.com")
        .audience("https://api.example.com")
        .sessions(ToyStore::new(Clock::system()))
        .accounts(OneUser)
        .build()
        .unwrap();
    let app = Router::new()
        .route("/me", get(me))
        .route("/everywhere", post(everywhere))
        .merge(auth_axum::routes(&auth))
        .layer(auth.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The refresh token and the access token of a sign-in.
async fn sign_in(app: SocketAddr) -> (String, String) {
    let answer = Request::login("alice", "wonderland").send(app).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.refresh_token().unwrap(), answer.access_token().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_signs_in_is_exchanged_silently_and_signs_out_everywhere() {
    let app = start().await;
    let (here, _) = sign_in(app).await;
    let (elsewhere, elsewhere_access) = sign_in(app).await;

    // The cookie alone, as a browser has it after a restart: the page is served, and the pair is new.
    let exchanged = Request::get("/me").refresh(&here).send(app).await;
    assert_eq!((exchanged.status, &*exchanged.text()), (200, "alice"), "{exchanged:?}");
    let (next, access) = (exchanged.refresh_token().unwrap(), exchanged.access_token().unwrap());
    assert_ne!(next, here);
    let known = Request::get("/me").bearer(&access).send(app).await;
    assert_eq!((known.status, known.refresh_token()), (200, None), "{known:?}");

    let ended = Request::post("/everywhere").bearer(&access).send(app).await;
    assert_eq!((ended.status, &*ended.text()), (200, "2"), "{ended:?}");

    for (refresh, access) in [(next, access), (elsewhere, elsewhere_access)] {
        let revoked = Request::get("/me").bearer(&access).send(app).await;
        expect::problem(&revoked, 401, "token_revoked");
        let refused = Request::get("/me").refresh(&refresh).send(app).await;
        expect::problem(&refused, 401, "session_ended");
        assert!(refused.refresh_cookie().unwrap().deletes(), "{refused:?}");
    }
    sign_in(app).await;
}
