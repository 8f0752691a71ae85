//! What can keep an app from starting, in words for the person who starts it.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::{fmt, io};

use auth_tower::store::StoreError;
use auth_tower::{ConfigError, KeyError};
use tracing_subscriber::util::TryInitError;

use crate::settings::SettingsError;

/// An app cannot start. `Display` is one line that names the variable to put right.
#[derive(Debug)]
pub enum StartupError {
    /// A variable has no meaning.
    Settings(SettingsError),
    /// The keys cannot be read or made.
    Keys(KeyError),
    /// The store cannot be opened.
    Store(StoreError),
    /// The settings contradict each other.
    Config(ConfigError),
    /// The address cannot be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The process already logs elsewhere.
    Logging(TryInitError),
    /// The signals to stop cannot be caught.
    Signals(io::Error),
    /// It was told to stop before it had started.
    Stopped,
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => write!(f, "{error}"),
            Self::Keys(error @ KeyError::Variable { .. }) => write!(f, "{error}"),
            Self::Keys(error) => write!(f, "AUTH_KEYS: {error}"),
            Self::Store(error) => {
                write!(f, "STORE: {error}")?;
                causes(f, error)
            }
            Self::Config(error) => write!(f, "settings: {error}"),
            Self::Listen { address, source } => write!(f, "LISTEN: cannot listen on {address}: {source}"),
            Self::Logging(error) => write!(f, "RUST_LOG: {error}"),
            Self::Signals(error) => write!(f, "cannot catch SIGTERM and SIGINT: {error}"),
            Self::Stopped => write!(f, "told to stop during the start"),
        }
    }
}

/// A store says what it wanted to do; only its driver knows why it could not.
fn causes(f: &mut fmt::Formatter<'_>, error: &dyn Error) -> fmt::Result {
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(f, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

impl Error for StartupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Settings(error) => Some(error),
            Self::Keys(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Config(error) => Some(error),
            Self::Listen { source, .. } | Self::Signals(source) => Some(source),
            Self::Logging(error) => Some(error),
            Self::Stopped => None,
        }
    }
}

impl From<SettingsError> for StartupError {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error)
    }
}

impl From<KeyError> for StartupError {
    fn from(error: KeyError) -> Self {
        Self::Keys(error)
    }
}

impl From<StoreError> for StartupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ConfigError> for StartupError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<TryInitError> for StartupError {
    fn from(error: TryInitError) -> Self {
        Self::Logging(error)
    }
}

/// Says on stderr, in one line, why the app cannot start. The exit code is 2, as for wrong usage; 0 if it was told to stop.
pub fn refuse(error: &StartupError) -> ExitCode {
    if matches!(error, StartupError::Stopped) {
        return ExitCode::SUCCESS;
    }
    // Nobody is left to record_status that stderr is closed.
    let _ = writeln!(io::stderr(), "error: {}", one_line(&error.to_string()));
    ExitCode::from(2)
}

/// Says on stdout that the app listens. Whoever started it may be waiting for this line.
///
/// # Errors
/// [`io::Error`] if stdout is closed.
pub fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()
}

/// A path or a driver's message may hold a line break or a terminal's control characters.
fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{1b}[2J\u{85}ä"), "a\\nb\\u{1b}[2J\\u{85}ä");
    }

    #[test]
    fn a_message_names_the_variable() {
        let address = SocketAddr::from(([127, 0, 0, 1], 3000));
        let source = io::Error::from(io::ErrorKind::AddrInUse);
        let listen = StartupError::Listen { address, source };
        assert!(
            listen
                .to_string()
                .starts_with("LISTEN: cannot listen on 127.0.0.1:3000: ")
        );
        let store = StartupError::Store(StoreError::Open {
            reason: "it is not a database",
            source: Some("file is damaged".into()),
        });
        let line = store.to_string();
        assert!(
            line.starts_with("STORE: ") && line.ends_with(": it is not a database: file is damaged"),
            "{line}"
        );
    }
}
