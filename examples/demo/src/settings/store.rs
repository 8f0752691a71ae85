//! Where sessions live.

use std::fmt;
use std::path::PathBuf;

use super::error::Problem;

/// A store that this app can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// `memory:`: this process's memory. A restart signs everybody out.
    Memory,
    /// `sqlite://PATH`: a file, made if it is missing.
    Sqlite(PathBuf),
    /// `postgres://…` or `postgresql://…`: a database, which instances share.
    Postgres(Address),
    /// `redis://…`, `rediss://…`, `redis+cluster://…` or `rediss+cluster://…`: one server, or a cluster.
    Redis(Address),
}

/// The address of a server. It may hold a password, so it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Box<str>);

impl Address {
    /// The whole of it, with the password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

/// The value is never repeated: the address of a store may hold its password.
pub(super) fn parse(text: &str) -> Result<Store, Problem> {
    if text == "memory:" {
        return Ok(Store::Memory);
    }
    let postgres = ["postgres://", "postgresql://"];
    if postgres.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(Store::Postgres(Address(text.into())));
    }
    let redis = ["redis://", "rediss://", "redis+cluster://", "rediss+cluster://"];
    if redis.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(Store::Redis(Address(text.into())));
    }
    if text == "sqlite::memory:" {
        return Err(Problem::StoreSqliteMemory);
    }
    match text.strip_prefix("sqlite://") {
        None if text.starts_with("sqlite:") => Err(Problem::StorePath),
        None => Err(Problem::StoreUnknown),
        Some(path) if path.starts_with(":memory:") => Err(Problem::StoreSqliteMemory),
        // Options that other programs would obey here must not become part of a file's name.
        Some(path) if path.is_empty() || path.ends_with('/') || path.contains(['?', '#', '\0']) => {
            Err(Problem::StorePath)
        }
        Some(path) => Ok(Store::Sqlite(PathBuf::from(path))),
    }
}
