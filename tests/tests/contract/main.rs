//! The contract, scenario by scenario, on every app and every store.

mod access_tokens;
mod bearer;
mod canary;
mod cookies;
mod csrf;
mod keys;
mod lifecycle;
mod live;
mod plain_tower;
mod refresh_tokens;
mod rotation_rows;
mod routes;
mod sessions;
mod settings;
mod silent_exchange_rows;
