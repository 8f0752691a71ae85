//! A web app with complete token authentication, on axum.
//!
//! `cargo run -p axum-app` needs no set-up; what it reads from the environment is described in [`demo::settings`].
//! Behind a public name, put TLS in front of it: browsers keep the refresh cookie over HTTPS or on `localhost` only.

mod live;
mod routes;

use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::serve::ListenerExt;
use demo::{LAST_REQUESTS, Started, StartupError, Stop};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => demo::refuse(&error),
    }
}

async fn run() -> Result<ExitCode, StartupError> {
    let started = Started::from_env().await?;
    let (listener, address) = listen(started.listen).await?;
    let stop = started.stop.clone();
    let app = routes::app(&started.auth, &stop);
    started.listening(address);
    Ok(demo::exit_code(serve(listener, app, stop).await))
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartupError> {
    let failed = |source| StartupError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves until `stop`, then finishes what is under way, but not for longer than [`LAST_REQUESTS`].
async fn serve(listener: TcpListener, app: Router, stop: Stop) -> std::io::Result<()> {
    let listener = listener.tap_io(|connection| {
        // Small answers should not wait for more to send with them.
        let _ = connection.set_nodelay(true);
    });
    let (mut wish, mut stopping) = (stop.clone(), stop.clone());
    // The address of the peer is what the list of sessions shows.
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move { wish.requested().await });
    let finished = async {
        server.await?;
        // What was upgraded is no longer the server's.
        stop.quiet().await;
        Ok(())
    };
    let too_late = async {
        stopping.requested().await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        result = finished => result,
        () = too_late => {
            tracing::warn!("stopped with requests under way");
            Ok(())
        }
    }
}
