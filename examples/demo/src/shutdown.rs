//! When to stop.

use std::io;

/// Waits for SIGTERM or SIGINT (on other systems than Unix, for Ctrl-C).
///
/// The signals are caught from the moment this returns its future, not from when that is first polled, so that one that
/// arrives during the start is not lost.
///
/// # Errors
/// [`io::Error`] if the signals cannot be caught.
pub fn shutdown() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            // Without a handler there is nothing to wait for: the system then ends the process by itself.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
