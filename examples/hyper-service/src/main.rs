//! A plain hyper server whose service sits behind the tower layer: no web framework, HTTP/1 and HTTP/2.
//!
//! `cargo run -p hyper-service` needs no set-up; what it reads from the environment is described in [`demo::settings`]. Then:
//!
//! ```text
//! curl -s -c jar localhost:3000/auth/login --json '{"username":"alice","password":"wonderland"}'
//! curl -s -b jar -c jar localhost:3000/api/me         # the cookie alone: exchanged in flight
//! curl -sN -b jar -c jar localhost:3000/api/watch     # stays open until the session is over
//! ```
//!
//! In production, put TLS in front of it: browsers keep the refresh cookie over HTTPS or on `localhost` only.

mod service;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use demo::{LAST_REQUESTS, Started, StartupError, Stop};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::util::service_fn;

use crate::service::{App, Body};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => demo::refuse(&error),
    }
}

async fn run() -> Result<ExitCode, StartupError> {
    let started = Started::from_env().await?;
    let address = started.listen;
    let failed = |source| StartupError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let stop = started.stop.clone();
    // One `Auth` for the process: every clone shares its keys and caches.
    let app = App::new(started.auth.clone(), stop.clone());
    started.listening(address);
    serve(listener, app, stop).await;
    Ok(demo::exit_code(Ok(())))
}

/// Serves until `stop`, then finishes what is under way, but not for longer than [`LAST_REQUESTS`].
async fn serve(listener: TcpListener, app: App, mut stop: Stop) {
    let mut connections = JoinSet::new();
    loop {
        let stopping = stop.clone();
        tokio::select! {
            () = stop.requested() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, app.clone(), stopping));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: trying again at once would only spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_REQUESTS, drained).await.is_err() {
        tracing::warn!("stopped with requests under way");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, app: App, mut stop: Stop) {
    // Small answers should not wait for more to send with them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let app = app.clone();
        // Behind a proxy of yours, this is where its word on the client's address is read instead.
        async move { Ok::<Response<Body>, Infallible>(app.answer(request, peer.ip()).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // With a timer, a client that never finishes its headers does not hold a connection forever.
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke off");
    }
}
