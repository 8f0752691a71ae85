//! Logs, on stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::TryInitError;

use crate::settings::LogFilter;

/// Sends what passes `filter` to stderr; stdout is for the line that says where the app listens.
///
/// Nothing is written before [`Start::done`]: an app that cannot start says one line about it, and not what it tried before.
///
/// # Errors
/// [`TryInitError`] if this process already has a subscriber.
pub fn init(filter: &LogFilter) -> Result<Start, TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let start = Start(Arc::new(Mutex::new(Some(Vec::new()))));
    tracing_subscriber::fmt()
        .with_env_filter(filter.to_env_filter())
        .with_writer(start.clone())
        // A log file is no place for colour codes.
        .with_ansi(io::stderr().is_terminal())
        .finish()
        .try_init()?;
    Ok(start)
}

/// An app that is starting: what it logs is held back.
#[derive(Debug, Clone)]
#[must_use = "logs are held back until `done` is called"]
pub struct Start(Arc<Mutex<Option<Vec<u8>>>>);

impl Start {
    /// The app runs: writes what was held back, and from now on everything at once.
    pub fn done(self) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nobody is left to record_status that stderr is closed.
        let _ = io::stderr().write_all(&held.unwrap_or_default());
    }
}

impl Write for &Start {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(held) => held.write(line),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Start {
    type Writer = &'a Start;

    fn make_writer(&'a self) -> &'a Start {
        self
    }
}
