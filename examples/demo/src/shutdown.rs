//! When to stop.

use std::io;
use std::time::Duration;

use tokio::sync::watch;

/// How long requests that are under way may take to finish once the app was told to stop.
pub const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// The wish that this app stops, and what then has to come to its end. Every copy hears of it.
#[derive(Debug, Clone)]
pub struct Stop {
    wish: watch::Receiver<()>,
    live: watch::Sender<usize>,
}

impl Stop {
    /// Stops when `signal` comes. Call it inside the runtime.
    pub fn when(signal: impl Future<Output = ()> + Send + 'static) -> Self {
        let (stopping, wish) = watch::channel(());
        tokio::spawn(async move {
            signal.await;
            drop(stopping);
        });
        Self {
            wish,
            live: watch::Sender::new(0),
        }
    }

    /// Waits for the wish. Returns at once if it came before.
    ///
    /// # Cancel safety
    /// Nothing is lost with this future.
    pub async fn requested(&mut self) {
        // Nothing is ever sent: the sender goes when the wish comes.
        while self.wish.changed().await.is_ok() {}
    }

    /// Waits until nothing [holds](Self::hold) the end up.
    pub async fn quiet(&self) {
        // The sender is here, so that it cannot be gone.
        let _ = self.live.subscribe().wait_for(|live| *live == 0).await;
    }

    /// Something that is to come to its end before the app does: for as long as the value lives.
    pub fn hold(&self) -> Hold {
        self.live.send_modify(|live| *live = live.saturating_add(1));
        Hold(self.live.clone())
    }
}

/// Holds the end of the app up.
#[derive(Debug)]
pub struct Hold(watch::Sender<usize>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_modify(|live| *live = live.saturating_sub(1));
    }
}

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
