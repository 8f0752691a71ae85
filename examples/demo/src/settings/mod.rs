//! The settings, read from the environment once, at start.
//!
//! | variable | default | values |
//! | --- | --- | --- |
//! | `LISTEN` | `127.0.0.1:3000` | an IP address (or `localhost`) and a port; `:0` is a free port of `127.0.0.1` |
//! | `STORE` | `sqlite://auth.db` | `sqlite://PATH`, `postgres://USER:PASSWORD@HOST/DATABASE` or `memory:` |
//! | `AUTH_KEYS` | `auth-keys.json` | a file, made on first start; used when no secrets are in the environment |
//! | `AUTH_ISSUER` | `http://localhost:3000` | any text |
//! | `AUTH_AUDIENCE` | `api` | any text |
//! | `ACCESS_TOKEN_EXPIRATION` | `15m` | a duration of whole seconds, more than zero |
//! | `REFRESH_TOKEN_EXPIRATION` | `7d` | the same; at most the next one |
//! | `REFRESH_TOKEN_ABSOLUTE_EXPIRATION` | `30d` | the same |
//! | `REFRESH_TOKEN_GRACE` | `30s` | a duration, also `0s` |
//! | `REFRESH_TOKEN_REUSE` | `recover` | `recover` or `strict` |
//! | `TRUSTED_ORIGINS` | empty | origins such as `https://app.example.com`, separated by commas |
//! | `RUST_LOG` | `info` | a level, or directives such as `info,auth_tower=debug` |
//!
//! A duration is a whole number and a unit, `ms`, `s`, `m`, `h`, `d` or `w`, up to `400d`. A number alone is refused, because
//! programs that share these names read it as seconds or as milliseconds.
//!
//! A variable that is set to the empty string is refused rather than taken for unset (except `TRUSTED_ORIGINS`, where it
//! means none): it is what a deployment with a missing substitution looks like. So is one with a substitution that did not happen
//! (`${…}`, `$(…)`), or with quotation marks around it that the reader of an env file kept.
//!
//! The secrets (`ACCESS_TOKEN_SECRET` and its relatives) are read by [`auth_tower`], not here, so that no setting carries one. Other
//! names that begin as these do have no effect; they are listed in [`Settings::ignored`], and logged.

mod duration;
mod error;
mod listen;
mod log_filter;
mod origins;
mod reuse;
mod slip;
mod store;

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use auth_tower::session::rotation::Reuse;
use error::Problem;

pub use error::SettingsError;
pub use log_filter::LogFilter;
pub use store::{Address, Store};

/// Everything that the environment says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `LISTEN`: where to listen. Port 0 stands for any free one.
    pub listen: SocketAddr,
    /// `STORE`: where sessions live.
    pub store: Store,
    /// `AUTH_KEYS`: the key file, for when no secrets are in the environment.
    pub keys: PathBuf,
    /// `AUTH_ISSUER`: the `iss` claim.
    pub issuer: String,
    /// `AUTH_AUDIENCE`: the `aud` claim.
    pub audience: String,
    /// `ACCESS_TOKEN_EXPIRATION`: how long an access token lives.
    pub access_lifetime: Duration,
    /// `REFRESH_TOKEN_EXPIRATION`: how long a session lives without being refreshed.
    pub idle_lifetime: Duration,
    /// `REFRESH_TOKEN_ABSOLUTE_EXPIRATION`: how long a session lives at most.
    pub absolute_lifetime: Duration,
    /// `REFRESH_TOKEN_GRACE`: for how long after a rotation its predecessor is tolerated.
    pub grace: Duration,
    /// `REFRESH_TOKEN_REUSE`: what a predecessor means after that.
    pub reuse: Reuse,
    /// `TRUSTED_ORIGINS`: other origins that may act with the user's cookies.
    pub trusted_origins: Vec<String>,
    /// `RUST_LOG`: what is logged.
    pub log: LogFilter,
    /// Variables that begin like ours and are none, in order: typing errors, most likely.
    pub ignored: Vec<String>,
}

/// What our variables begin with, as far as nobody else's do.
const PREFIXES: [&str; 3] = ["AUTH_", "ACCESS_TOKEN_", "REFRESH_TOKEN_"];

/// Our variables that begin so.
const PREFIXED: [&str; 8] = [
    "AUTH_KEYS",
    "AUTH_ISSUER",
    "AUTH_AUDIENCE",
    "ACCESS_TOKEN_EXPIRATION",
    "REFRESH_TOKEN_EXPIRATION",
    "REFRESH_TOKEN_ABSOLUTE_EXPIRATION",
    "REFRESH_TOKEN_GRACE",
    "REFRESH_TOKEN_REUSE",
];

impl Settings {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// [`SettingsError`] for the first variable that has no meaning; its `Display` is one line that names it.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads the settings from these variables. Others than the ones above are not looked at.
    ///
    /// # Errors
    /// [`SettingsError`] for the first variable that has no meaning.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, SettingsError> {
        let vars = Vars(
            vars.into_iter()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
        );
        let settings = Self {
            listen: vars.read("LISTEN", "127.0.0.1:3000", listen::parse)?,
            store: vars.read("STORE", "sqlite://auth.db", store::parse)?,
            keys: vars.read("AUTH_KEYS", "auth-keys.json", path)?,
            issuer: vars.read("AUTH_ISSUER", "http://localhost:3000", identifier)?,
            audience: vars.read("AUTH_AUDIENCE", "api", identifier)?,
            access_lifetime: vars.read("ACCESS_TOKEN_EXPIRATION", "15m", duration::lifetime)?,
            idle_lifetime: vars.read("REFRESH_TOKEN_EXPIRATION", "7d", duration::lifetime)?,
            absolute_lifetime: vars.read("REFRESH_TOKEN_ABSOLUTE_EXPIRATION", "30d", duration::lifetime)?,
            grace: vars.read("REFRESH_TOKEN_GRACE", "30s", duration::parse)?,
            reuse: vars.read("REFRESH_TOKEN_REUSE", "recover", reuse::parse)?,
            trusted_origins: vars.read_or_empty("TRUSTED_ORIGINS", origins::parse)?,
            log: vars.read("RUST_LOG", "info", LogFilter::parse)?,
            ignored: vars.ignored(),
        };
        if settings.idle_lifetime > settings.absolute_lifetime {
            return Err(SettingsError::new(
                "REFRESH_TOKEN_EXPIRATION",
                Problem::IdleLongerThanAbsolute,
            ));
        }
        Ok(settings)
    }
}

/// The variables of a process whose names are text.
struct Vars(HashMap<String, OsString>);

impl Vars {
    fn read<T>(
        &self,
        variable: &'static str,
        default: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<T, SettingsError> {
        let value = match self.text(variable)? {
            Some("") => return Err(SettingsError::new(variable, Problem::Empty { default })),
            Some(value) => value,
            None => default,
        };
        parse(value).map_err(|problem| SettingsError::new(variable, problem))
    }

    fn read_or_empty<T>(
        &self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<T, SettingsError> {
        parse(self.text(variable)?.unwrap_or_default()).map_err(|problem| SettingsError::new(variable, problem))
    }

    fn text(&self, variable: &'static str) -> Result<Option<&str>, SettingsError> {
        match self.0.get(variable) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some(text) => {
                    slip::check(text).map_err(|problem| SettingsError::new(variable, problem))?;
                    Ok(Some(text))
                }
                None => Err(SettingsError::new(variable, Problem::NotUtf8)),
            },
        }
    }

    /// The secrets' names are judged by whoever reads the secrets.
    fn ignored(&self) -> Vec<String> {
        let is_secret =
            |name: &str| name.starts_with("ACCESS_TOKEN_SECRET") || name.starts_with("REFRESH_TOKEN_SECRET");
        let mut ignored: Vec<_> = self
            .0
            .keys()
            .filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
            .filter(|name| !PREFIXED.contains(&name.as_str()) && !is_secret(name))
            .cloned()
            .collect();
        ignored.sort_unstable();
        ignored
    }
}

/// A file's name that a person would have written.
fn path(text: &str) -> Result<PathBuf, Problem> {
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(Problem::Path);
    }
    Ok(PathBuf::from(text))
}

/// A claim that verifiers compare byte by byte: what cannot be seen must not be in it.
fn identifier(text: &str) -> Result<String, Problem> {
    if text.trim() != text || text.chars().any(char::is_control) || text.len() > 255 {
        return Err(Problem::Identifier);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
