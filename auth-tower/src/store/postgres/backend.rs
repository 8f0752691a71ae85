//! Stopping what the server does for a call that was given up.
//!
//! Closing a connection does not end what the server is doing for it: a commit that waits for a standby waits on, beyond every
//! timeout. Each such call would leave one more of the server's connections occupied, until the server has none left.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Error, Row as _};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long telling the server may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// The server's side of a connection.
#[derive(Debug)]
pub(super) struct Backend {
    pid: i32,
    /// As text. The number alone may belong to another connection by now.
    since: String,
}

impl Backend {
    /// `None` where the server does not name it, and behind a proxy that lends it to other clients.
    pub(super) async fn of(connection: &mut PgConnection) -> Result<Option<Self>, Error> {
        // Such a proxy refuses the setting, so only a connection of our own has it.
        let own = "SELECT pid::text, backend_start::text FROM pg_catalog.pg_stat_activity \
                   WHERE pid = pg_catalog.pg_backend_pid() AND pg_catalog.current_setting('search_path') = 'pg_catalog'";
        let Some(row) = sqlx::raw_sql(own).fetch_optional(connection).await? else {
            return Ok(None);
        };
        let pid: Option<String> = row.try_get(0)?;
        let since: Option<String> = row.try_get(1)?;
        let pid = pid.and_then(|pid| pid.parse().ok());
        Ok(pid.zip(since).map(|(pid, since)| Self { pid, since }))
    }
}

/// The backends that are still to be stopped.
#[derive(Debug, Clone, Default)]
pub(super) struct Abandoned(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    backends: Vec<Backend>,
    /// Whether a task is stopping backends.
    busy: bool,
}

impl Abandoned {
    /// Has the server stop what it does for a connection that was given up.
    pub(super) fn stop(&self, backend: Backend, options: &PgConnectOptions) {
        // Without a runtime, no call is waiting any more.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut waiting = self.0.lock();
        waiting.backends.push(backend);
        if !std::mem::replace(&mut waiting.busy, true) {
            runtime.spawn(self.clone().stop_all(options.clone()));
        }
    }

    async fn stop_all(self, options: PgConnectOptions) {
        loop {
            let backends = {
                let mut waiting = self.0.lock();
                let backends = std::mem::take(&mut waiting.backends);
                waiting.busy = !backends.is_empty();
                backends
            };
            if backends.is_empty() {
                return;
            }
            // A server that cannot be reached loses its connections by itself.
            if let Ok(Err(error)) = timeout(PATIENCE, stop(&backends, &options)).await {
                let error = super::error::of_step(&error);
                tracing::debug!(target: "auth_tower::store", %error, "calls that were given up could not be stopped");
            }
        }
    }
}

async fn stop(backends: &[Backend], options: &PgConnectOptions) -> Result<(), Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    for backend in backends {
        sqlx::query(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
             WHERE pid = $1 AND backend_start::text = $2",
        )
        .bind(backend.pid)
        .bind(&backend.since)
        .execute(&mut connection)
        .await?;
    }
    connection.close().await
}
