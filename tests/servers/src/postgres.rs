//! A PostgreSQL server of one's own.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, geteuid};

use crate::process::{Process, command, free_port};
use crate::remnants::Remnants;

const PACKAGE: &str = "postgresql";
pub(crate) const USER: &str = "auth";
pub(crate) const PASSWORD: &str = "test only, known to all";
const PATIENCE: Duration = Duration::from_secs(60);

/// A private PostgreSQL server on a free port of loopback, which asks for a password.
#[derive(Debug)]
pub struct Postgres {
    /// `None` while it is down.
    process: Option<Process>,
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    databases: AtomicU32,
    // Dropped after the process.
    _remnants: Remnants,
}

impl Postgres {
    /// A server for tests of what is answered: it does not wait for the disk, so it loses what it had when the machine does.
    ///
    /// # Panics
    /// If it does not come up; if it is not installed, the message names the Debian package.
    pub fn start() -> Self {
        Self::start_with(&["fsync=off", "full_page_writes=off"])
    }

    /// A server that waits for the disk as one in production does, for measuring.
    ///
    /// # Panics
    /// As [`Postgres::start`].
    pub fn start_durable() -> Self {
        Self::start_with(&[])
    }

    /// A server with settings of `postgresql.conf`, each `name=value`.
    ///
    /// # Panics
    /// As [`Postgres::start`].
    pub fn start_with(settings: &[&str]) -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new()
            .prefix("postgres-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let remnants = Remnants::of(&folder).expect("a shell");
        let password = folder.join("password");
        fs::write(&password, PASSWORD).expect("a file");
        if let Some(user) = user() {
            let (uid, gid) = ids_of(user);
            for path in [&folder, &password] {
                chown(path, Some(uid), Some(gid)).expect("a folder for the server's user");
            }
        }
        let initdb = programs.join("initdb");
        let output = command(text(&initdb), PACKAGE, user())
            .args([
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--wal-segsize=4",
                "--auth=scram-sha-256",
            ])
            .args(["--username", USER, "--pwfile", text(&password), "--pgdata"])
            .arg(folder.join("data"))
            .stderr(std::process::Stdio::piped())
            .output()
            .expect("initdb starts");
        assert!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut server = Self {
            process: None,
            programs,
            folder,
            port: free_port(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            databases: AtomicU32::new(0),
            _remnants: remnants,
        };
        server.up();
        server
    }

    /// One server for this whole process, made at the first call: for tests that do nothing to the server itself.
    ///
    /// # Panics
    /// As [`Postgres::start`].
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The address of a database on it. `postgres` is there from the beginning.
    pub fn url(&self, database: &str) -> String {
        let password = PASSWORD.replace(' ', "%20").replace(',', "%2C");
        format!(
            "postgres://{USER}:{password}@127.0.0.1:{}/{database}?sslmode=prefer",
            self.port
        )
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, for more files such as a certificate.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes an empty database and returns its address.
    ///
    /// # Panics
    /// If the server does not make it.
    pub fn create_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.query("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// What `psql` prints for a query, without headings and decoration.
    ///
    /// # Panics
    /// If the query fails.
    pub fn query(&self, database: &str, sql: &str) -> String {
        Self::query_at(&self.url(database), sql)
    }

    /// The same for a database named by its address.
    ///
    /// # Panics
    /// If the query fails.
    pub fn query_at(url: &str, sql: &str) -> String {
        let output = Self::psql(url).args(["-c", sql]).output().expect("psql starts");
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// A `psql` of its installation, told where to connect.
    ///
    /// # Panics
    /// If it is not installed.
    pub fn psql(url: &str) -> Command {
        let mut command = Command::new(programs().join("psql"));
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "-v",
            "ON_ERROR_STOP=1",
            url,
        ]);
        command
    }

    /// A `pg_dump` of its installation, whose output replaces the tables that are there.
    ///
    /// # Panics
    /// If it is not installed.
    pub fn dump(url: &str) -> Command {
        let mut command = Command::new(programs().join("pg_dump"));
        command.args(["--clean", "--if-exists", "--no-owner", url]);
        command
    }

    /// SIGKILL to the server and with it to all of its backends: what is on disk stays, as after a crash.
    ///
    /// # Panics
    /// If it is down.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a server that is up");
        process.kill();
        // Its backends end by themselves when they notice, and a new server waits for the last of them.
    }

    /// Stops it as an administrator would who does not wait for clients (`pg_ctl stop -m fast`).
    ///
    /// # Panics
    /// If it is down, or does not stop.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("a server that is up");
        process.signal(Signal::INT);
        wait_until("the server stops", || process.has_ended());
    }

    /// Starts it again on the same port and the same files.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn up(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.try_up() {
            assert!(Instant::now() < until, "the server did not come up: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it and starts it again.
    ///
    /// # Panics
    /// If it does not stop or does not come up.
    pub fn restart(&mut self) {
        self.stop();
        self.up();
    }

    /// SIGSTOP to the server and all of its backends: it accepts connections and answers nothing.
    ///
    /// # Panics
    /// If it is down.
    pub fn pause(&self) {
        self.signal_all("STOP");
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    /// If it is down.
    pub fn resume(&self) {
        self.signal_all("CONT");
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn try_up(&mut self) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("a log");
        let mut process = Process::start(text(&self.programs.join("postgres")), PACKAGE, user(), |command| {
            command.arg("-D").arg(self.folder.join("data")).stderr(log);
            let fixed = [
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "max_connections=400",
            ];
            let own = self.settings.iter().map(String::as_str);
            for setting in fixed.into_iter().chain(own).chain([&*format!("port={}", self.port)]) {
                command.args(["-c", setting]);
            }
        });
        let until = Instant::now() + PATIENCE;
        loop {
            if process.has_ended() {
                return false;
            }
            let asked = Command::new(self.programs.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .expect("pg_isready starts");
            if asked.success() {
                self.process = Some(process);
                return true;
            }
            assert!(Instant::now() < until, "the server did not come up: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal_all(&self, signal: &str) {
        let main = self
            .process
            .as_ref()
            .expect("a server that is up")
            .id()
            .as_raw_nonzero();
        let script = format!("kill -{signal} {main} $(ps -o pid= --ppid {main})");
        // A backend may have ended between the two.
        let _ = Command::new("sh")
            .args(["-c", &script])
            .stderr(std::process::Stdio::null())
            .status();
    }
}

/// The user that owns a server's files: PostgreSQL refuses to run as root.
pub(crate) fn user() -> Option<&'static str> {
    geteuid().is_root().then_some("postgres")
}

pub(crate) fn ids_of(user: &str) -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("a list of users");
    users
        .lines()
        .find_map(|line| {
            let mut fields = line.strip_prefix(user)?.strip_prefix(':')?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .unwrap_or_else(|| panic!("no user {user}: install the Debian package {PACKAGE}"))
}

/// Where the newest installed version keeps its programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let folder = version.path().join("bin");
            folder.join("initdb").exists().then_some((number, folder))
        })
        .max()
        .unwrap_or_else(|| panic!("PostgreSQL is missing: install the Debian package {PACKAGE}"))
        .1
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
