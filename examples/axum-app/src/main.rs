//! A web app with complete token authentication, on axum.
//!
//! `cargo run -p axum-app` needs no set-up; what it reads from the environment is described in [`demo::settings`].
//! Behind a public name, put TLS in front of it: browsers keep the refresh cookie over HTTPS or on `localhost` only.

mod routes;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use demo::{Settings, StartupError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long requests that are under way may take to finish once the app was told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => demo::refuse(&error),
    }
}

async fn run() -> Result<ExitCode, StartupError> {
    let settings = Settings::from_env()?;
    let start = demo::logging::init(&settings.log)?;
    let stop = demo::shutdown().map_err(StartupError::Signals)?;
    let auth = demo::authority(&settings).await?;
    let (listener, address) = listen(settings.listen).await?;
    start.done();
    if let Err(error) = demo::announce(address) {
        tracing::warn!(%error, "cannot print the address");
    }
    tracing::info!(%address, "listening");
    Ok(match serve(listener, routes::app(&auth), stop).await {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(%error, "cannot serve any longer");
            ExitCode::FAILURE
        }
    })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartupError> {
    let failed = |source| StartupError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves until `stop`, then finishes what is under way, but not for longer than [`LAST_REQUESTS`].
async fn serve(
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Small answers should not wait for more to send with them.
        let _ = connection.set_nodelay(true);
    });
    let (stopping, stopped) = oneshot::channel::<()>();
    // The address of the peer is what the list of sessions shows.
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).with_graceful_shutdown(
        async move {
            stop.await;
            let _ = stopping.send(());
        },
    );
    let too_late = async {
        let _ = stopped.await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        result = server => result,
        () = too_late => {
            tracing::warn!("stopped with requests under way");
            Ok(())
        }
    }
}
