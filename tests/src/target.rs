//! Which app, on which store. A new one is one line in each of the two places marked below.

use std::ffi::OsString;
use std::path::Path;

use servers::{Postgres, Redis, RedisCluster};

use crate::app::{Running, Settings};

/// An example app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum App {
    /// `examples/axum-app`.
    Axum,
    /// `examples/actix-app`.
    Actix,
    /// `examples/hyper-service`, which has the ready routes and an API of its own.
    Hyper,
    /// `examples/tonic-service`, which has the ready routes and gRPC methods.
    Tonic,
}

impl App {
    /// Every one. `tests/prepare` builds the same.
    pub const ALL: [Self; 4] = [Self::Axum, Self::Actix, Self::Hyper, Self::Tonic];

    /// The package, which is also the binary's name.
    pub const fn package(self) -> &'static str {
        match self {
            Self::Axum => "axum-app",
            Self::Actix => "actix-app",
            Self::Hyper => "hyper-service",
            Self::Tonic => "tonic-service",
        }
    }
}

/// Where the app keeps its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    /// In the process: gone with it.
    Memory,
    /// In a file of the test's own folder.
    Sqlite,
    /// In a database of the test's own, on a server that the test process shares.
    Postgres,
    /// Under a prefix of the test's own, on a server that the test process shares.
    Redis,
    /// The same, on a cluster.
    RedisCluster,
}

impl Store {
    /// The value of `STORE` for an app whose files live in `folder`.
    pub(crate) fn url(self, folder: &Path) -> OsString {
        match self {
            Self::Memory => "memory:".into(),
            Self::Sqlite => {
                let mut url = OsString::from("sqlite://");
                url.push(folder.join("auth.db"));
                url
            }
            Self::Postgres => Postgres::shared().create_database().into(),
            Self::Redis => Redis::shared().create_user().into(),
            Self::RedisCluster => RedisCluster::shared().create_user().into(),
        }
    }

    /// Whether sessions outlive the app's process; a test can then look into the store from outside.
    pub const fn is_durable(self) -> bool {
        !matches!(self, Self::Memory)
    }
}

/// One app on one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// The app that runs.
    pub app: App,
    /// The store that it is told to use.
    pub store: Store,
}

impl Target {
    /// The documented defaults, in a folder of their own.
    pub fn settings(self) -> Settings {
        Settings::new(self)
    }

    /// The documented defaults, but for the secrets, which the test knows: it can then make tokens itself.
    pub fn forgeable(self) -> Settings {
        self.settings()
            .set("ACCESS_TOKEN_SECRET", crate::ACCESS_SECRET)
            .set("REFRESH_TOKEN_SECRET", crate::REFRESH_SECRET)
    }

    /// Starts the app with [`Target::settings`].
    pub async fn start(self) -> Running {
        self.settings().start().await
    }
}

/// Expands scenarios into one test per app and store.
#[macro_export]
macro_rules! on_every_store {
    ($($scenario:ident),+ $(,)?) => {
        // Apps: one line each.
        $crate::on_stores_of!(axum = Axum; [memory = Memory, sqlite = Sqlite, postgres = Postgres, redis = Redis, redis_cluster = RedisCluster]; [$($scenario)+]);
        $crate::on_stores_of!(actix = Actix; [memory = Memory, sqlite = Sqlite, postgres = Postgres, redis = Redis, redis_cluster = RedisCluster]; [$($scenario)+]);
    };
}

/// Expands scenarios into one test per app and per store that outlives its process.
#[macro_export]
macro_rules! on_durable_stores {
    ($($scenario:ident),+ $(,)?) => {
        mod durable {
            use super::*;
            $crate::on_stores_of!(axum = Axum; [sqlite = Sqlite, postgres = Postgres, redis = Redis, redis_cluster = RedisCluster]; [$($scenario)+]);
            $crate::on_stores_of!(actix = Actix; [sqlite = Sqlite, postgres = Postgres, redis = Redis, redis_cluster = RedisCluster]; [$($scenario)+]);
        }
    };
}

/// Expands scenarios about a store that is a file into one test per app.
#[macro_export]
macro_rules! on_the_file_store {
    ($($scenario:ident),+ $(,)?) => {
        mod file {
            use super::*;
            $crate::on_stores_of!(axum = Axum; [sqlite = Sqlite]; [$($scenario)+]);
            $crate::on_stores_of!(actix = Actix; [sqlite = Sqlite]; [$($scenario)+]);
        }
    };
}

/// Expands scenarios in which the store plays no part into one test per app.
#[macro_export]
macro_rules! on_every_app {
    ($($scenario:ident),+ $(,)?) => {
        mod any_store {
            use super::*;
            $crate::on_stores_of!(axum = Axum; [memory = Memory]; [$($scenario)+]);
            $crate::on_stores_of!(actix = Actix; [memory = Memory]; [$($scenario)+]);
        }
    };
}

/// One app, a list of stores, a list of scenarios.
#[doc(hidden)]
#[macro_export]
macro_rules! on_stores_of {
    ($module:ident = $app:ident; [$($store_module:ident = $store:ident),+]; $scenarios:tt) => {
        mod $module {
            use super::*;
            $($crate::on_one_store!($app, $store_module = $store; $scenarios);)+
        }
    };
}

/// One app, one store, a list of scenarios.
#[doc(hidden)]
#[macro_export]
macro_rules! on_one_store {
    ($app:ident, $module:ident = $store:ident; [$($scenario:ident)+]) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    super::$scenario($crate::Target { app: $crate::App::$app, store: $crate::Store::$store }).await;
                }
            )+
        }
    };
}
