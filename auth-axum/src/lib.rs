//! Typed claims extractors, guards and ready routes for axum 0.8, on [`auth_tower`].
//!
//! ```
//! use auth_axum::{Claims, Rejection, Session};
//! use auth_tower::Accounts;
//! use auth_tower::AccountsError;
//! use auth_tower::Auth;
//! use auth_tower::Grant;
//! use auth_tower::KeyRing;
//! use auth_tower::PasswordCredentials;
//! use auth_tower::MemoryStore;
//! use auth_tower::Subject;
//! use axum::{Router, routing::{get, post}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct User { name: String, roles: Vec<String> }
//!
//! async fn me(claims: Claims<User>) -> String { claims.name.clone() }     // 401 if nobody is signed in
//! async fn home(claims: Option<Claims<User>>) -> String {                 // public, knows who is there
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
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("auth-keys.json");
//! let auth = Auth::<User>::authority(KeyRing::load_or_generate(path)?)
//!     .issuer("https://id.example.com").audience("https://api.example.com")
//!     .sessions(MemoryStore::new())
//!     .accounts(MyAccounts)
//!     .build()?;
//!
//! let app: Router = Router::new()
//!     .route("/me", get(me))
//!     .route("/", get(home))
//!     .route("/wipe", post(wipe))
//!     .merge(auth_axum::routes(&auth))                                    // /auth/login, /auth/refresh, …
//!     .layer(auth.layer());
//! # use tower::ServiceExt;
//! # let request = |path| axum::http::Request::get(path).body(axum::body::Body::empty());
//! assert_eq!(app.clone().oneshot(request("/")?).await?.status(), 200);
//! assert_eq!(app.oneshot(request("/me")?).await?.status(), 401);
//! # Ok(()) }
//! ```
//!
//! | extractor | nobody signed in | a bad access token | an outage | a forged or dead cookie alone |
//! | --- | --- | --- | --- | --- |
//! | [`Claims<C>`] | 401 | 401 | 503 | 401 |
//! | `Option<Claims<C>>`, [`MaybeClaims<C>`] | `None` | 401 | 503 | `None` |
//!
//! A route whose router has no [`auth.layer()`](auth_tower::Auth::layer) answers 500 and logs what to add.
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
//! auth-axum = { version = "0.1", default-features = false, features = ["rust-crypto", "redis"] }
//! auth-tower = { version = "0.1", default-features = false }
//! ```

mod claims;
mod facts;
mod guard;
mod rejection;
mod routes;
mod session;

pub use claims::{Claims, MaybeClaims};
pub use guard::{Guard, GuardService, require, require_scope};
pub use rejection::Rejection;
pub use routes::{InvalidPrefix, Routes, routes};
pub use session::Session;

/// The workspace's program, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct WorkspaceReadme;

/// The README's program, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
