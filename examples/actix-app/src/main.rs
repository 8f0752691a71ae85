//! A web app with complete token authentication, on actix-web.
//!
//! `cargo run -p actix-app` needs no set-up; what it reads from the environment is described in [`demo::settings`].
//! Behind a public name, put TLS in front of it: browsers keep the refresh cookie over HTTPS or on `localhost` only.

mod live;
mod routes;

use std::process::ExitCode;
use std::thread::available_parallelism;

use actix_web::{App, HttpServer, web};
use demo::api::Notes;
use demo::{LAST_REQUESTS, Started, StartupError};

/// The fewest worker threads. Each has an event loop of its own, so that one slow handler never holds everybody up.
const LEAST_WORKERS: usize = 4;

#[actix_web::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => demo::refuse(&error),
    }
}

async fn run() -> Result<ExitCode, StartupError> {
    let started = Started::from_env().await?;
    let failed = |source| StartupError::Listen {
        address: started.listen,
        source,
    };
    // Made here and cloned below: the closure runs once per worker, and what is made in it is not shared between them.
    let auth = started.auth.clone();
    let notes = web::Data::new(Notes::default());
    let stop = web::Data::new(started.stop.clone());
    let mut stopping = started.stop.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(notes.clone())
            .app_data(stop.clone())
            .configure(routes::app)
            .configure(auth_actix::routes(&auth))
            .wrap(auth_actix::middleware(&auth))
    })
    .workers(available_parallelism().map_or(LEAST_WORKERS, |cores| cores.get().max(LEAST_WORKERS)))
    // Small answers should not wait for more to send with them.
    .tcp_nodelay(true)
    .shutdown_signal(async move { stopping.requested().await })
    .shutdown_timeout(LAST_REQUESTS.as_secs())
    // HTTP/1.1, and HTTP/2 for a proxy that speaks it to us.
    .bind_auto_h2c(started.listen)
    .map_err(failed)?;
    let address = server.addrs().first().copied().unwrap_or(started.listen);
    let serving = server.run();
    started.listening(address);
    Ok(demo::exit_code(serving.await))
}
