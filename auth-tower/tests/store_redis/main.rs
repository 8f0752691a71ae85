//! What only a server goes through: the suite of every store is in `store_conformance`.
#![cfg(feature = "redis")]

mod cluster;
mod failover;
mod opening;
mod outages;
mod records;
mod support;
