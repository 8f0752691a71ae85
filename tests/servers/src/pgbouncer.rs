//! A PgBouncer in front of a PostgreSQL server.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::postgres::{self, Postgres};
use crate::process::{Process, free_port};
use crate::remnants::Remnants;

/// A proxy that hands every transaction to another connection of the server.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    _process: Process,
    _folder: Remnants,
}

impl PgBouncer {
    /// Starts one with `pool_mode = transaction` and a handful of connections to `server`.
    ///
    /// # Panics
    /// If it does not come up; if it is not installed, the message names the Debian package.
    pub fn start(server: &Postgres) -> Self {
        Self::start_with(server, "")
    }

    /// The same with more lines of its `[pgbouncer]` section.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(server: &Postgres, more: &str) -> Self {
        let folder: PathBuf = tempfile::Builder::new()
            .prefix("pgbouncer-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let remnants = Remnants::of(&folder).expect("a shell");
        let port = free_port();
        let users = folder.join("users");
        fs::write(&users, format!("\"{}\" \"{}\"\n", postgres::USER, postgres::PASSWORD)).expect("a file");
        let settings = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = plain\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 8\n\
             max_client_conn = 1000\nserver_reset_query_always = 1\n{more}",
            server.port(),
            users.display(),
        );
        fs::write(&settings, text).expect("a file");
        if let Some(user) = postgres::user() {
            let (uid, gid) = postgres::ids_of(user);
            for path in [&folder, &users, &settings] {
                chown(path, Some(uid), Some(gid)).expect("files for its user");
            }
        }
        let mut process = Process::start("/usr/sbin/pgbouncer", "pgbouncer", postgres::user(), |command| {
            command.arg(&settings);
        });
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                !process.has_ended() && Instant::now() < until,
                "pgbouncer did not come up"
            );
            thread::sleep(Duration::from_millis(10));
        }
        Self {
            port,
            _process: process,
            _folder: remnants,
        }
    }

    /// The address of the database that is at `url` on the server, through the proxy.
    ///
    /// # Panics
    /// If that is no address of [`Postgres`].
    pub fn url(&self, url: &str) -> String {
        let (before, after) = url.split_once("@127.0.0.1:").expect("an address of the server");
        let (_, database) = after.split_once('/').expect("a database");
        format!("{before}@127.0.0.1:{}/{database}", self.port)
    }
}
