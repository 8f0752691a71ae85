//! A gRPC server whose service sits behind the tower layer, with the auth endpoints beside it on the same port.
//!
//! `cargo run -p tonic-service` needs no set-up; what it reads from the environment is described in [`demo::settings`]. Then,
//! with an access token from `POST /auth/login`:
//!
//! ```text
//! TOKEN=$(curl -s localhost:3000/auth/login --json '{"username":"alice","password":"wonderland"}' | jq -r .access_token)
//! grpcurl -plaintext -import-path proto -proto demo.proto -H "authorization: Bearer $TOKEN" localhost:3000 demo.Account/Me
//! ```
//!
//! A gRPC client has no cookie jar, so it refreshes on purpose: on `UNAUTHENTICATED` with `auth-code: token_expired` it calls
//! `POST /auth/refresh` with the refresh token that it keeps, and then the method again. In production, add TLS
//! (`Server::tls_config`), or let a proxy that speaks HTTP/2 to both sides do it.

/// What `proto/demo.proto` says, in Rust.
mod proto {
    #![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, reason = "generated")]
    tonic::include_proto!("demo");
}
mod service;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use auth_tower::Auth;
use demo::users::User;
use demo::{Settings, StartupError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::{LayerExt as _, Routes};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::proto::account_server::AccountServer;
use crate::proto::greeter_server::GreeterServer;
use crate::service::{Me, Stranger};

/// How long calls that are under way may take to finish once the app was told to stop.
const LAST_CALLS: Duration = Duration::from_secs(10);

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
    // One for the process: every clone shares its keys and caches.
    let auth = demo::authority(&settings).await?;
    let (listener, address) = listen(settings.listen).await?;
    start.done();
    if let Err(error) = demo::announce(address) {
        tracing::warn!(%error, "cannot print the address");
    }
    let (stopping, stopped) = watch::channel(());
    let routes = routes(&auth, stopped.clone());
    let server = Server::builder()
        // For the auth endpoints.
        .accept_http1(true)
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async move {
            stop.await;
            // Open streams hear it too, and end.
            drop(stopping);
        });
    let too_late = async {
        let mut stopped = stopped;
        let _ = stopped.changed().await;
        tokio::time::sleep(LAST_CALLS).await;
    };
    Ok(tokio::select! {
        served = server => match served {
            Ok(()) => {
                tracing::info!("stopped");
                ExitCode::SUCCESS
            }
            Err(error) => {
                tracing::error!(%error, "cannot serve any longer");
                ExitCode::FAILURE
            }
        },
        () = too_late => {
            tracing::warn!("stopped with calls under way");
            ExitCode::SUCCESS
        }
    })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartupError> {
    let failed = |source| StartupError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn routes(auth: &Auth<User>, stopped: watch::Receiver<()>) -> Routes {
    // Refuses calls without a user before the service sees them, with a gRPC status.
    let account = auth
        .layer()
        .required()
        .named_layer(AccountServer::new(Me::new(stopped)));
    // Lets every call through, and leaves the question who is calling to the method.
    let greeter = auth.layer().named_layer(GreeterServer::new(Stranger));
    Routes::from(axum::Router::from(auth_axum::routes(auth)))
        .add_service(account)
        .add_service(greeter)
}
