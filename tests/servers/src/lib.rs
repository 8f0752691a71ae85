//! Private database servers for tests and benches: on loopback, in a folder of their own, gone with the process that
//! started them.
//!
//! A missing program is a panic that names the Debian package to install, never a skipped test.

mod pgbouncer;
mod postgres;
mod process;
mod redis;
mod redis_cluster;
mod remnants;

pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use process::{Process, free_port};
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
