//! From the environment to an app that is ready to listen, and from its end to an exit code.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use auth_tower::Auth;

use crate::authority::authority;
use crate::logging;
use crate::logging::Start;
use crate::settings::Settings;
use crate::shutdown::{Stop, shutdown};
use crate::startup::{StartupError, announce};
use crate::users::User;

/// An app that has everything but a listener.
#[derive(Debug)]
pub struct Started {
    /// `LISTEN`: where to listen.
    pub listen: SocketAddr,
    /// The authority. Clone it; a second one in this process would not share what this one remembers.
    pub auth: Auth<User>,
    /// When to stop.
    pub stop: Stop,
    logs: Start,
}

impl Started {
    /// Reads the settings of this process, and opens what they name. Call it once, inside the runtime.
    ///
    /// # Errors
    /// [`StartupError`], naming the variable to put right; [`StartupError::Stopped`] if the process is told to stop before the
    /// store is open, which may take a while.
    pub async fn from_env() -> Result<Self, StartupError> {
        let settings = Settings::from_env()?;
        let logs = logging::init(&settings.log)?;
        for variable in &settings.ignored {
            tracing::warn!(
                variable,
                "this variable has no effect: it is none of this app's settings"
            );
        }
        let stop = Stop::when(shutdown().map_err(StartupError::Signals)?);
        let mut wish = stop.clone();
        let auth = tokio::select! {
            auth = authority(&settings) => auth?,
            () = wish.requested() => return Err(StartupError::Stopped),
        };
        Ok(Self {
            listen: settings.listen,
            auth,
            stop,
            logs,
        })
    }

    /// Says that the app listens, and lets its logs out.
    pub fn listening(self, address: SocketAddr) {
        self.logs.done();
        if let Err(error) = announce(address) {
            tracing::warn!(%error, "cannot print the address");
        }
        tracing::info!(%address, "listening");
    }
}

/// The exit code of an app that has served.
pub fn exit_code(served: io::Result<()>) -> ExitCode {
    match served {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(%error, "cannot serve any longer");
            ExitCode::FAILURE
        }
    }
}
