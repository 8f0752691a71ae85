//! From settings to a running authority.

use auth_tower::{Auth, KeyRing, MemoryStore, PostgresStore, RedisStore, SqliteStore};

use crate::settings::{Settings, Store};
use crate::startup::StartupError;
use crate::users::{DemoAccounts, User};

/// Opens the keys and the store that the settings name, and puts the authority together. Call it once per process.
///
/// # Errors
/// [`StartupError`], naming the variable to put right.
pub async fn authority(settings: &Settings) -> Result<Auth<User>, StartupError> {
    let keys = match KeyRing::from_env()? {
        Some(keys) => keys,
        None => KeyRing::load_or_generate(&settings.keys)?,
    };
    let builder = Auth::<User>::authority(keys)
        .issuer(settings.issuer.as_str())
        .audience(settings.audience.as_str())
        .access_lifetime(settings.access_lifetime)
        .idle_lifetime(settings.idle_lifetime)
        .absolute_lifetime(settings.absolute_lifetime)
        .grace(settings.grace)
        .reuse(settings.reuse)
        .accounts(DemoAccounts::new());
    let builder = settings
        .trusted_origins
        .iter()
        .fold(builder, |builder, origin| builder.trusted_origin(origin));
    let builder = match &settings.store {
        Store::Memory => builder.sessions(MemoryStore::new()),
        Store::Sqlite(path) => builder.sessions(SqliteStore::connect(path).await?),
        Store::Postgres(address) => builder.sessions(PostgresStore::connect(address.expose()).await?),
        Store::Redis(address) => builder.sessions(RedisStore::connect(address.expose()).await?),
    };
    Ok(builder.build()?)
}
