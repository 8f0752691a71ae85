//! The program of DESIGN 2, as it stands there: it compiles, and behaves.
//!
//! Filled in is only what the snippet leaves open: `MyAccounts`, the body of `home`, the result type that the `?` of `wipe`
//! needs, and a route for it. Where it says `auth-keys.json` and `auth.db`, this test stands in a folder of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where failing loudly is the point")]

use auth_axum::{Claims, Rejection, Session};
use auth_tower::{Accounts, AccountsError, Auth, Grant, KeyRing, PasswordCredentials, SqliteStore, Subject};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, request};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

#[rustfmt::skip]
#[derive(Clone, Serialize, Deserialize)]
struct User { name: String, roles: Vec<String> } // the app's own claims

#[rustfmt::skip]
async fn program() -> Result<Router, Box<dyn std::error::Error>> {
let auth = Auth::<User>::authority(KeyRing::load_or_generate("auth-keys.json")?)
    .issuer("https://id.example.com").audience("https://api.example.com")
    .sessions(SqliteStore::connect("auth.db").await?)
    .accounts(MyAccounts)                                   // verifies a login; supplies claims at login and at refresh
    .build()?;                                              // every contradiction in the settings is an error here

let app = Router::new()
    .route("/me", get(me))
    .route("/", get(home))
    .route("/wipe", post(wipe))
    .merge(auth_axum::routes(&auth))                        // /auth/login, /auth/refresh, /auth/logout, …
    .layer(auth.layer());
Ok(app)
}

#[rustfmt::skip]
async fn me(claims: Claims<User>) -> String { claims.name.clone() } // 401 if nobody is signed in
#[rustfmt::skip]
async fn home(claims: Option<Claims<User>>) -> String {                        // public, knows who is there
    claims.map_or_else(|| "hello, stranger".to_owned(), |claims| format!("hello, {}", claims.name))
}
#[rustfmt::skip]
async fn wipe(_claims: Claims<User>, session: Session) -> Result<(), Rejection> { session.end_all().await?; Ok(()) }

struct MyAccounts;

impl Accounts for MyAccounts {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        let known = login.username() == "alice" && login.password().expose_secret() == "wonderland";
        Ok(known.then(|| Subject::new("alice").ok()).flatten())
    }

    async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        let name = subject.to_string();
        Ok(Some(Grant::new(User { name, roles: vec![] })))
    }
}

async fn send(app: &Router, request: request::Builder, body: &'static str) -> Response<Body> {
    app.clone()
        .oneshot(request.body(Body::from(body)).unwrap())
        .await
        .unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn the_program_of_the_design_compiles_and_behaves() {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let app = program().await.unwrap();

    assert_eq!(send(&app, Request::get("/me"), "").await.status(), 401);
    assert_eq!(text(send(&app, Request::get("/"), "").await).await, "hello, stranger");

    let login = Request::post("/auth/login").header("content-type", "application/json");
    let login = send(&app, login, r#"{"username":"alice","password":"wonderland"}"#).await;
    assert_eq!(login.status(), 200);
    let cookie = login.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let body: serde_json::Value = serde_json::from_str(&text(login).await).unwrap();
    let bearer = format!("Bearer {}", body["access_token"].as_str().unwrap());

    assert_eq!(
        text(send(&app, Request::get("/me").header("authorization", &bearer), "").await).await,
        "alice"
    );
    assert_eq!(
        text(send(&app, Request::get("/").header("authorization", &bearer), "").await).await,
        "hello, alice"
    );

    // The same keys and sessions after a restart; the access token is exchanged in flight.
    drop(app);
    let app = program().await.unwrap();
    let silent = send(&app, Request::get("/me").header("cookie", &cookie), "").await;
    assert_eq!(silent.status(), 200);
    assert!(silent.headers().contains_key("set-cookie") && silent.headers().contains_key("x-access-token"));
    assert_eq!(text(silent).await, "alice");

    assert_eq!(
        send(&app, Request::post("/wipe").header("authorization", &bearer), "")
            .await
            .status(),
        200
    );
    assert_eq!(
        send(&app, Request::get("/me").header("authorization", &bearer), "")
            .await
            .status(),
        401
    );
    let forgotten = send(&app, Request::get("/").header("cookie", &cookie), "").await;
    assert_eq!(text(forgotten).await, "hello, stranger");
}
