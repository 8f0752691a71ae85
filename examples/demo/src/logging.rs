//! Logs, on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::util::TryInitError;

use crate::settings::LogFilter;

/// Sends what passes `filter` to stderr; stdout is for the line that says where the app listens.
///
/// # Errors
/// [`TryInitError`] if this process already has a subscriber.
pub fn init(filter: &LogFilter) -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt;
    tracing_subscriber::fmt()
        .with_env_filter(filter.to_env_filter())
        .with_writer(io::stderr)
        // A log file is no place for colour codes.
        .with_ansi(io::stderr().is_terminal())
        .finish()
        .try_init()
}
