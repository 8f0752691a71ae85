//! A gRPC server whose service sits behind the tower layer, with the auth endpoints beside it on the same port.
//!
//! `cargo run -p tonic-service` needs no set-up; what it reads from the environment is described in [`demo::settings`]. Then,
//! with an access token from `POST /auth/login`:
//!
//! ```text
//! TOKEN=$(curl -s localhost:3000/auth/login --json '{"username":"alice","password":"wonderland"}' | jq -r .access_token)
//! grpcurl -plaintext -import-path examples/tonic-service/proto -proto demo.proto -H "authorization: Bearer $TOKEN" localhost:3000 demo.Account/Me
//! ```
//!
//! A gRPC client has no cookie jar, so it refreshes on purpose: on `UNAUTHENTICATED` with `auth-code: token_expired` it calls
//! `POST /auth/refresh` with the refresh token that it keeps, and then the method again. In production, add TLS
//! (`Server::tls_config`), or let a proxy that speaks HTTP/2 to both sides do it.

/// What `proto/demo.proto` says, in Rust.
mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    tonic::include_proto!("demo");
}
mod service;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use auth_tower::Auth;
use demo::users::User;
use demo::{LAST_REQUESTS, Started, StartupError, Stop};
use tokio::net::TcpListener;
use tonic::service::{LayerExt as _, Routes};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::proto::account_server::AccountServer;
use crate::proto::greeter_server::GreeterServer;
use crate::service::{Me, Stranger};

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
    // One `Auth` for the process: every clone shares its keys and caches.
    let routes = routes(&started.auth, &stop);
    started.listening(address);
    Ok(demo::exit_code(serve(listener, routes, stop).await))
}

/// Serves until `stop`, then finishes what is under way, but not for longer than [`LAST_REQUESTS`].
async fn serve(listener: TcpListener, routes: Routes, mut stop: Stop) -> io::Result<()> {
    let mut stopping = stop.clone();
    let server = Server::builder()
        // For the auth endpoints.
        .accept_http1(true)
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async move {
            stop.requested().await;
        });
    let too_late = async {
        stopping.requested().await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        result = server => result.map_err(io::Error::other),
        () = too_late => {
            tracing::warn!("stopped with calls under way");
            Ok(())
        }
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartupError> {
    let failed = |source| StartupError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn routes(auth: &Auth<User>, stop: &Stop) -> Routes {
    // Refuses calls without a user before the service sees them, with a gRPC status.
    let account = auth
        .layer()
        .required()
        .named_layer(AccountServer::new(Me::new(stop.clone())));
    // Lets every call through, and leaves the question who is calling to the method.
    let greeter = auth.layer().named_layer(GreeterServer::new(Stranger));
    Routes::from(axum::Router::from(auth_axum::routes(auth)))
        .add_service(account)
        .add_service(greeter)
}
