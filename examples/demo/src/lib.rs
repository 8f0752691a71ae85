//! What the example apps share: settings from the environment, two users, one page.
//!
//! Nothing here knows a web framework, so that an app on axum and one on actix-web differ only in their handlers.

#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "the apps that share it are built with it"
)]

pub mod api;
mod authority;
pub mod live;
pub mod logging;
pub mod page;
pub mod settings;
mod shutdown;
mod start;
mod startup;
pub mod users;

pub use authority::authority;
pub use settings::{Settings, SettingsError};
pub use shutdown::{Hold, LAST_REQUESTS, Stop, shutdown};
pub use start::{Started, exit_code};
pub use startup::{StartupError, announce, refuse};
