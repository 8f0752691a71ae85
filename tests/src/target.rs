//! Which app, on which store: one table of each, which the suites read. A new one is one line there.

use std::ffi::OsString;
use std::path::Path;

use crate::app::{Running, Settings};
use crate::store;

/// The example apps: module of its tests, name, package, and `web` if it has the whole web API with its page.
#[doc(hidden)]
#[macro_export]
macro_rules! with_apps {
    ([$($then:tt)+] $arguments:tt) => {
        $($then)+! {
            $arguments
            axum = Axum "axum-app" [web];
            actix = Actix "actix-app" [web];
            hyper = Hyper "hyper-service" [];
            tonic = Tonic "tonic-service" [];
        }
    };
}

/// The stores: module of its tests and of what the suite knows of it in [`store`](crate::store), name, and kinds.
///
/// `volatile`: gone with the process, and free of any server, so that scenarios without an interest in stores run on it.
/// `durable`: outlives the process, and a test can look into it from outside. `file`: in the test's own folder. `server`: can be
/// stopped and started. `proxied`: a proxy can stand between the app and it. `replicated`: a server that a replica follows.
#[doc(hidden)]
#[macro_export]
macro_rules! with_stores {
    ([$($then:tt)+] $arguments:tt) => {
        $($then)+! {
            $arguments
            memory = Memory [volatile];
            sqlite = Sqlite [durable file];
            postgres = Postgres [durable server proxied];
            redis = Redis [durable server proxied replicated];
            redis_cluster = RedisCluster [durable server];
        }
    };
}

macro_rules! define_apps {
    (() $($module:ident = $app:ident $package:literal [$($role:ident)*];)*) => {
        /// An example app.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum App {
            $(#[doc = concat!("`examples/", $package, "`.")] $app,)*
        }

        impl App {
            /// Every one. `tests/prepare` builds the same.
            pub const ALL: &[Self] = &[$(Self::$app),*];

            /// The package, which is also the binary's name.
            pub const fn package(self) -> &'static str {
                match self {
                    $(Self::$app => $package,)*
                }
            }
        }
    };
}

macro_rules! define_stores {
    (() $($module:ident = $store:ident [$($kind:ident)*];)*) => {
        /// Where the app keeps its sessions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Store {
            $(#[doc = concat!("What `", stringify!($module), "` is.")] $store,)*
        }

        impl Store {
            /// What the suite knows of it.
            pub(crate) fn backend(self) -> &'static dyn store::Backend {
                match self {
                    $(Self::$store => &store::$module::Backend,)*
                }
            }

            fn kinds(self) -> &'static [&'static str] {
                match self {
                    $(Self::$store => &[$(stringify!($kind)),*],)*
                }
            }
        }
    };
}

with_apps!([define_apps]());
with_stores!([define_stores]());

impl Store {
    /// The value of `STORE` for an app whose files live in `folder`.
    pub(crate) fn url(self, folder: &Path) -> OsString {
        self.backend().url(folder)
    }

    /// Whether sessions outlive the app's process; a test can then look into the store from outside.
    pub fn is_durable(self) -> bool {
        self.kinds().contains(&"durable")
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
        $crate::with_apps!([$crate::on_apps] (any [$($scenario)+]));
    };
}

/// Expands scenarios into one test per app and per store that outlives its process.
#[macro_export]
macro_rules! on_durable_stores {
    ($($scenario:ident),+ $(,)?) => {
        mod durable {
            use super::*;
            $crate::with_apps!([$crate::on_apps] (durable [$($scenario)+]));
        }
    };
}

/// Expands scenarios about a store that is a file into one test per app.
#[macro_export]
macro_rules! on_the_file_store {
    ($($scenario:ident),+ $(,)?) => {
        mod file {
            use super::*;
            $crate::with_apps!([$crate::on_apps] (file [$($scenario)+]));
        }
    };
}

/// Expands scenarios in which the store plays no part into one test per app.
#[macro_export]
macro_rules! on_every_app {
    ($($scenario:ident),+ $(,)?) => {
        mod any_store {
            use super::*;
            $crate::with_apps!([$crate::on_apps] (volatile [$($scenario)+]));
        }
    };
}

/// A list of scenarios, for each web app, on the stores of a kind.
#[doc(hidden)]
#[macro_export]
macro_rules! on_apps {
    (($kind:ident $scenarios:tt) $($module:ident = $app:ident $package:literal $roles:tt;)*) => {
        $($crate::on_web_app!($roles $module = $app; $kind $scenarios);)*
    };
}

/// The same, for one app, if it is a web app.
#[doc(hidden)]
#[macro_export]
macro_rules! on_web_app {
    ([web] $module:ident = $app:ident; $kind:ident $scenarios:tt) => {
        $crate::on_stores_of!($module = $app; $kind $scenarios);
    };
    ([] $($app:tt)+) => {};
}

/// One app, the stores of a kind, a list of scenarios.
#[doc(hidden)]
#[macro_export]
macro_rules! on_stores_of {
    ($module:ident = $app:ident; $kind:ident $scenarios:tt) => {
        mod $module {
            use super::*;
            $crate::with_stores!([$crate::on_stores] ($app $kind $scenarios));
        }
    };
}

/// The rows of the table of stores, to be told by their kind.
#[doc(hidden)]
#[macro_export]
macro_rules! on_stores {
    (($app:ident $kind:ident $scenarios:tt) $($module:ident = $store:ident $kinds:tt;)*) => {
        $($crate::on_store_of_kind!($kind $kinds $app, $module = $store; $scenarios);)*
    };
}

/// One app, one store if it is of the kind, a list of scenarios.
#[doc(hidden)]
#[macro_export]
macro_rules! on_store_of_kind {
    (any $kinds:tt $($test:tt)+) => { $crate::on_one_store!($($test)+); };
    (volatile [volatile $($more:ident)*] $($test:tt)+) => { $crate::on_one_store!($($test)+); };
    (durable [durable $($more:ident)*] $($test:tt)+) => { $crate::on_one_store!($($test)+); };
    (file [file $($more:ident)*] $($test:tt)+) => { $crate::on_one_store!($($test)+); };
    (server [server $($more:ident)*] $($test:tt)+) => { $crate::on_one_store!($($test)+); };
    (proxied [proxied $($more:ident)*] $($test:tt)+) => { $crate::on_one_store!($($test)+); };
    (replicated [replicated $($more:ident)*] $($test:tt)+) => { $crate::on_one_store!($($test)+); };
    ($kind:ident [] $($test:tt)+) => {};
    ($kind:ident [$other:ident $($more:ident)*] $($test:tt)+) => {
        $crate::on_store_of_kind!($kind [$($more)*] $($test)+);
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
