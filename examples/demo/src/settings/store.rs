//! Where sessions live.

use std::path::PathBuf;

use super::error::Problem;

/// A store that this app can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// `memory:`: this process's memory. A restart signs everybody out.
    Memory,
    /// `sqlite://PATH`: a file, made if it is missing.
    Sqlite(PathBuf),
}

/// The value is never repeated: the address of a store may hold its password.
pub(super) fn parse(text: &str) -> Result<Store, Problem> {
    if text == "memory:" {
        return Ok(Store::Memory);
    }
    for (scheme, name) in [
        ("postgres://", "PostgreSQL"),
        ("postgresql://", "PostgreSQL"),
        ("redis://", "Redis"),
        ("rediss://", "Redis over TLS"),
        ("redis+cluster://", "Redis Cluster"),
    ] {
        if text.starts_with(scheme) {
            return Err(Problem::StoreNotBuiltIn(name));
        }
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
