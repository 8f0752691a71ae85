//! Token authentication for any tower service.
//!
//! Short-lived signed **access tokens** (JWT, RFC 9068) that any service verifies without a lookup, and long-lived,
//! rotating, revocable **refresh tokens** in an HttpOnly cookie that a server can take back at any moment. While a request
//! with an expired access token and a live refresh cookie is in flight, the pair is exchanged silently.
//!
//! This crate is the core, and a [tower layer](layer) around any `http` service. `auth-axum` puts typed extractors and
//! ready routes on top.
//!
//! # Where things are
//!
//! * [`Auth`]: what people hold; [`AuthorityBuilder`] has every setting.
//! * [`KeyRing`]: the keys that sign, verify and authenticate.
//! * [`Accounts`]: the application's say; [`Passwords`] checks passwords.
//! * [`session`]: the rules of rotation and the contract of a store.
//! * [`layer`]: the tower shell.
//!
//! # Features
//!
//! | feature | what | default |
//! | --- | --- | --- |
//! | `memory` | sessions in this process's memory | yes |
//! | `sqlite` | sessions in an SQLite file | |
//! | `postgres` | sessions in PostgreSQL, for many instances | |
//! | `postgres-tls` | TLS to PostgreSQL, by rustls and AWS-LC | |
//! | `redis` | sessions in Redis, Valkey or Redis Cluster, for many instances; TLS as below | |
//! | `argon2` | [`Passwords`] | yes |
//! | `aws-lc-rs` | signatures by AWS-LC | yes |
//! | `rust-crypto` | signatures in pure Rust; `aws-lc-rs` wins where both are on | |
//! | `metrics` | numbers for the `metrics` facade, below | |
//! | `conformance` | the suite that every session store must pass | |
//!
//! `rust-crypto` without `aws-lc-rs` brings no C code, but for the database of `sqlite` and for two ways of TLS:
//!
//! * `postgres-tls` brings AWS-LC, since sqlx has rustls with AWS-LC or with ring and with nothing else. A connection over a
//!   Unix socket, a private network or a sidecar needs `postgres` alone.
//! * `redis` has rustls without a back end. `rediss://` then speaks TLS with the
//!   [`CryptoProvider`](https://docs.rs/rustls/0.23/rustls/crypto/struct.CryptoProvider.html) that the program installed as the
//!   process's default before it connected; without one, connecting is refused with an error that says so.
//!
//! # Metrics
//!
//! With the feature `metrics`; [`Auth::health`] has the same for a health check.
//!
//! | name | kind | what |
//! | --- | --- | --- |
//! | `auth_revocation_feed_age_seconds` | gauge | how long ago the feed of endings was read to its end |
//! | `auth_store_clock_offset_seconds` | gauge | what is added to this machine's clock to have the store's |
//! | `auth_store_failures_total` | counter | store calls that failed or took too long |
//! | `auth_store_refused_total` | counter | store calls that were not made: the store is out, or too many wait for it |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accounts;
pub mod adapter;
mod auth;
mod clock;
mod config;
mod csrf;
mod engine;
mod events;
mod facts;
mod handle;
mod id;
mod jose;
mod keys;
pub mod layer;
mod revocation;
mod routes;
pub mod session;
pub mod store;
mod token;
mod wire;

#[cfg(feature = "argon2")]
pub use accounts::passwords::{Passwords, Verification};
pub use accounts::{Accounts, AccountsError, AppClaims, Grant, Password, PasswordCredentials};
pub use auth::authority::AuthorityBuilder;
pub use auth::resource::ResourceBuilder;
pub use auth::{Auth, Authority, Health, Resource};
pub use clock::{Clock, Timestamp};
pub use config::OnOutage;
pub use config::cookie::{AccessTransport, CookieConfig, SameSite};
pub use config::error::ConfigError;
pub use events::Event;
pub use handle::Handle;
pub use handle::claims::Claims;
pub use handle::session::{Session, SessionInfo, TokenResponse};
pub use handle::watch::Watch;
pub use id::{InvalidId, SessionId, Subject, SubjectKey};
pub use jose::algorithm::{Algorithm, UnknownAlgorithm};
pub use keys::error::{FileProblem, KeyError, VariableProblem};
pub use keys::refresh_key::RefreshKey;
pub use keys::ring::{KeyRing, KeyRingBuilder};
pub use keys::signing::SigningKey;
pub use keys::verifying::VerifyingKey;
#[cfg(feature = "memory")]
pub use store::memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use store::postgres::{Migrations, PoolerMode, PostgresOptions, PostgresStore, RotationDurability};
#[cfg(feature = "redis")]
pub use store::redis::{RedisOptions, RedisStore};
#[cfg(feature = "sqlite")]
pub use store::sqlite::{SqliteOptions, SqliteStore};
pub use token::claims::RegisteredClaims;
pub use wire::denial::{Denial, DenialBody, DenialCode};
pub use wire::grpc::GrpcStatus;

/// The README's program, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
