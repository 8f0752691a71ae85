//! Middleware, typed claims extractors, guards and ready routes for actix-web 4, on [`auth_tower`].
//!
//! ```
//! use actix_web::{App, HttpServer, web};
//! use auth_actix::{Claims, MaybeClaims, Rejection, Session};
//! use auth_tower::Accounts;
//! use auth_tower::AccountsError;
//! use auth_tower::Auth;
//! use auth_tower::Grant;
//! use auth_tower::KeyRing;
//! use auth_tower::PasswordCredentials;
//! use auth_tower::MemoryStore;
//! use auth_tower::Subject;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct User { name: String, roles: Vec<String> }
//!
//! async fn me(claims: Claims<User>) -> String { claims.name.clone() }     // 401 if nobody is signed in
//! async fn home(MaybeClaims(claims): MaybeClaims<User>) -> String {       // public, knows who is there
//!     claims.map_or("hello".into(), |claims| format!("hello {}", claims.name))
//! }
//! async fn wipe(_: Claims<User>, session: Session) -> Result<(), Rejection> {
//!     session.end_all().await?;
//!     Ok(())
//! }
//!
//! # struct MyAccounts;
//! # impl Accounts for MyAccounts {
//! #     type Claims = User;
//! #     async fn verify(&self, _: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> { Ok(None) }
//! #     async fn claims(&self, _: &Subject) -> Result<Option<Grant<User>>, AccountsError> { Ok(None) }
//! # }
//! # #[actix_web::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("auth-keys.json");
//! let auth = Auth::<User>::authority(KeyRing::load_or_generate(path)?)   // once per process
//!     .issuer("https://id.example.com").audience("https://api.example.com")
//!     .sessions(MemoryStore::new())
//!     .accounts(MyAccounts)
//!     .build()?;
//!
//! let app = move || {                                                     // once per worker
//!     App::new()
//!         .route("/me", web::get().to(me))
//!         .route("/", web::get().to(home))
//!         .route("/wipe", web::post().to(wipe))
//!         .configure(auth_actix::routes(&auth))                           // /auth/login, /auth/refresh, …
//!         .wrap(auth_actix::middleware(&auth))
//! };
//! # use actix_web::test;
//! # let service = test::init_service(app()).await;
//! # let request = |path| test::TestRequest::get().uri(path).to_request();
//! assert_eq!(test::call_service(&service, request("/")).await.status(), 200);
//! assert_eq!(test::call_service(&service, request("/me")).await.status(), 401);
//! let server = HttpServer::new(app).bind("127.0.0.1:0")?;
//! # drop(server);
//! # Ok(()) }
//! ```
//!
//! | extractor | nobody signed in | a bad access token | an outage | a forged or dead cookie alone |
//! | --- | --- | --- | --- | --- |
//! | [`Claims<C>`] | 401 | 401 | 503 | 401 |
//! | [`MaybeClaims<C>`] | `None` | 401 | 503 | `None` |
//! | `Option<Claims<C>>` | `None` | `None` | `None` | `None` |
//!
//! A route that has no [`middleware()`] around it answers 500 and logs what to add.
//!
//! # An optional user
//!
//! actix-web turns whatever an extractor refuses into `None` when a handler takes it as an `Option`, and no extractor can tell
//! that it is asked in that way. So `Option<Claims<C>>` differs from what it is with axum: a client whose access token is bad
//! or has expired for good, or a store that cannot be asked, look to the handler as if nobody were signed in, and the client
//! is not told. A missing middleware too shows as `None`, and as an error in the log. Cookies are written as ever: new ones
//! after an exchange, removed ones where a session is over. **Take [`MaybeClaims<C>`]**, which means the same on every framework.
//!
//! # One `Auth` per process
//!
//! `HttpServer::new` calls its closure once for every worker. An `Auth` that is built in there has a cache of verified tokens,
//! exchanges and a follower of the store's endings per worker, parallel requests with one cookie no longer share one exchange,
//! and with a `MemoryStore` a session is known to one worker only. Build it before, as above. The closure needs to be told
//! `move`; it is then run with clones, and every clone shares everything. What was built twice all the same is noticed when
//! the second worker starts, and logged as an error.
//!
//! # Errors of other middlewares
//!
//! Cookies are kept when a middleware further inside returns an `Err`, through
//! [`Error::add_response_mapper`](actix_web::Error::add_response_mapper). A middleware further *outside* that makes a response of that error
//! should do so by [`Error::error_response`](actix_web::Error::error_response), as actix-web's server does:
//! `HttpResponse::from_error` leaves out what mappers add.
//!
//! # What actix-web does otherwise
//!
//! An app on actix-web and one on axum answer the same request alike, to the header. The exceptions are the frameworks' own:
//!
//! | a request | actix-web | axum, with its `serve` |
//! | --- | --- | --- |
//! | without `Host`, or with two (HTTP/1.1) | 400, without a body | reaches the app, where no `Origin` is then its own |
//! | with a length told twice, or with chunks besides; a POST without one (HTTP/1.0) | 400 | reaches the app |
//! | with a target that is not ASCII | 400 | reaches the app |
//! | with more than 96 header lines | 431 | 431 above 100 |
//! | with a head of more than 128 KiB | 431 | 431 above about 400 KiB |
//! | with a target of more than 64 KiB | 400, above 128 KiB 431 | 414 |
//! | with more than 16 KiB of headers (HTTP/2) | reaches the app, up to 16 MiB | 431, far above it the connection is closed |
//! | whose head has not arrived after 5 s | 408 | waits; `axum::serve` sets no deadline |
//! | refused before its body was read | `connection: close` | the body is read and dropped, the connection kept |
//! | with percent-encoded letters in its path | the router decodes them first, so `/%6de` is `/me` | no such route |
//! | HEAD on a stream | tells `transfer-encoding: chunked` | does not |
//!
//! The ready routes are as strict about percent-encoding as axum's: `/auth/log%69n` is no sign-in, so a rule that a proxy has for
//! `/auth/login` cannot be slipped past. For routes of your own, a rule about paths in front of the app must decode as the app does.
//!
//! HTTP/2 without TLS, for a proxy that speaks it, needs `bind_auto_h2c` or `listen_auto_h2c`; `axum::serve` always takes it. A
//! live connection whose client does not read cannot be closed from inside a handler: it ends when the client reads again, and
//! gets nothing new before that.
//!
//! # Features
//!
//! The features of [`auth_tower`](auth_tower#features) under their own names (but `conformance`): `memory`, `aws-lc-rs` and
//! `argon2`, which are on unless `default-features = false`, and `sqlite`, `postgres`, `postgres-tls`, `redis`, `rust-crypto` and
//! `metrics`. This crate takes the core without defaults, so what is left out here stays out. A program that names
//! `auth-tower` too says `default-features = false` there as well.
//!
//! ```toml
//! # Signatures in pure Rust, sessions in Redis, no password hashing.
//! auth-actix = { version = "0.1", default-features = false, features = ["rust-crypto", "redis"] }
//! auth-tower = { version = "0.1", default-features = false }
//! ```

mod claims;
mod facts;
mod guard;
mod middleware;
mod rejection;
mod routes;
mod session;
mod workers;

pub use claims::{Claims, Extracting, MaybeClaims};
pub use guard::{Guard, GuardFuture, GuardService, require, require_scope};
pub use middleware::{Middleware, MiddlewareFuture, MiddlewareService, middleware};
pub use rejection::Rejection;
pub use routes::{InvalidPrefix, Routes, routes};
pub use session::Session;

/// The README's program, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
