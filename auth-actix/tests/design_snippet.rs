//! The program of DESIGN 2, as it reads with actix: it compiles, and behaves.
//!
//! Filled in is only what the snippet leaves open: `MyAccounts`, the body of `home`, the result type that the `?` of `wipe`
//! needs, and a route for it. Where it says `auth-keys.json` and `auth.db`, this test stands in a folder of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where failing loudly is the point")]

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, Error, web};
use auth_actix::{Claims, Rejection, Session};
use auth_tower::{Accounts, AccountsError, Auth, Grant, KeyRing, PasswordCredentials, SqliteStore, Subject};
use serde::{Deserialize, Serialize};

#[rustfmt::skip]
#[derive(Clone, Serialize, Deserialize)]
struct User { name: String, roles: Vec<String> } // the app's own claims

#[rustfmt::skip]
async fn program() -> Result<App<impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>>, Box<dyn std::error::Error>> {
let auth = Auth::<User>::authority(KeyRing::load_or_generate("auth-keys.json")?)
    .issuer("https://id.example.com").audience("https://api.example.com")
    .sessions(SqliteStore::connect("auth.db").await?)
    .accounts(MyAccounts)                                   // verifies a login; supplies claims at login and at refresh
    .build()?;                                              // every contradiction in the settings is an error here

let app = App::new()
    .route("/me", web::get().to(me))
    .route("/", web::get().to(home))
    .route("/wipe", web::post().to(wipe))
    .wrap(auth_actix::middleware(&auth)).configure(auth_actix::routes(&auth));
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

async fn text(response: ServiceResponse<impl MessageBody>) -> String {
    let Ok(bytes) = to_bytes(response.into_body()).await else {
        unreachable!("bodies in memory do not fail");
    };
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[actix_web::test]
async fn the_program_of_the_design_compiles_and_behaves() {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let get = |path: &str| TestRequest::get().uri(path);
    let app = init_service(program().await.unwrap()).await;

    assert_eq!(call_service(&app, get("/me").to_request()).await.status(), 401);
    assert_eq!(
        text(call_service(&app, get("/").to_request()).await).await,
        "hello, stranger"
    );

    let login = TestRequest::post()
        .uri("/auth/login")
        .insert_header(("content-type", "application/json"));
    let login = login.set_payload(r#"{"username":"alice","password":"wonderland"}"#);
    let login = call_service(&app, login.to_request()).await;
    assert_eq!(login.status(), 200);
    let cookie = login.headers().get("set-cookie").unwrap().to_str().unwrap();
    let cookie = ("cookie", cookie.split(';').next().unwrap().to_owned());
    let body: serde_json::Value = serde_json::from_str(&text(login).await).unwrap();
    let bearer = (
        "authorization",
        format!("Bearer {}", body["access_token"].as_str().unwrap()),
    );

    let known = get("/me").insert_header(bearer.clone()).to_request();
    assert_eq!(text(call_service(&app, known).await).await, "alice");
    let known = get("/").insert_header(bearer.clone()).to_request();
    assert_eq!(text(call_service(&app, known).await).await, "hello, alice");

    // The same keys and sessions after a restart; the access token is exchanged in flight.
    drop(app);
    let app = init_service(program().await.unwrap()).await;
    let silent = call_service(&app, get("/me").insert_header(cookie.clone()).to_request()).await;
    assert_eq!(silent.status(), 200);
    assert!(silent.headers().contains_key("set-cookie") && silent.headers().contains_key("x-access-token"));
    assert_eq!(text(silent).await, "alice");

    let wipe = TestRequest::post().uri("/wipe").insert_header(bearer.clone());
    // Of nothing in particular, actix makes a 204 and axum a 200.
    assert_eq!(call_service(&app, wipe.to_request()).await.status(), 204);
    let ended = get("/me").insert_header(bearer).to_request();
    assert_eq!(call_service(&app, ended).await.status(), 401);
    let forgotten = get("/").insert_header(cookie).to_request();
    assert_eq!(text(call_service(&app, forgotten).await).await, "hello, stranger");
}
