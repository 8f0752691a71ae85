//! Black-box acceptance: example apps run as processes and are judged by what leaves them — status lines, headers,
//! bodies, log lines, exit codes, files.
//!
//! A scenario is one async function that takes a [`Target`]; [`on_every_store!`], [`on_durable_stores!`] and
//! [`on_every_app!`] expand it into one test per app and store, and the test's path names both
//! (`rotation_rows::axum::sqlite::…`). A further app or store is one line in `target.rs`.
//!
//! The suite knows the contract only: it links none of the crates under test into what it judges, and what it must know of
//! a token's bytes ([`forge`]) or of a table ([`store`]) is written down once more here, on purpose.

pub mod app;
pub mod chromium;
pub mod client;
pub mod expect;
pub mod forge;
pub mod http;
pub mod jar;
pub mod live;
pub mod proxy;
pub mod store;
pub mod target;
pub mod wait;

pub use app::{Refusal, Running, Settings};
pub use client::Client;
pub use forge::{Jwt, RefreshToken};
pub use http::{Connection, Request, Response};
pub use jar::{Jar, SetCookie};
pub use live::{Events, Socket};
pub use target::{App, Store, Target};

/// The name of the refresh cookie.
pub const REFRESH_COOKIE: &str = "__Host-refresh";

/// The value of `ACCESS_TOKEN_SECRET` where a test signs access tokens itself.
pub const ACCESS_SECRET: &str = "acceptance access secret: 48 bytes, known to all";

/// The value of `REFRESH_TOKEN_SECRET` where a test authenticates refresh tokens itself.
pub const REFRESH_SECRET: &str = "acceptance refresh secret: 49 bytes, known to all";
