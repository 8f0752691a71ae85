//! The stores that this crate ships: the suite that every store must pass, that suite against broken stores, and what each
//! store alone can go through.

mod conformance;
mod memory;
mod postgres;
mod redis;
mod sqlite;
mod teeth;
