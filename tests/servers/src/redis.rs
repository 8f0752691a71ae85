//! Private Redis servers: alone, with replicas, with TLS.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{Process, free_port};
use crate::remnants::Remnants;

/// Far longer than a server takes to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on loopback with a folder of its own. It keeps an append-only file, as it should.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    certificates: Option<Certificates>,
    // Dropped after the process.
    _remnants: Remnants,
}

impl Redis {
    /// Starts a server.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with more settings, such as `["--requirepass", "secret"]`.
    pub fn with(settings: &[&str]) -> Self {
        let server = Self::begin(settings, None);
        server.await_answer();
        server
    }

    /// Starts a server that speaks TLS only.
    pub fn with_tls() -> Self {
        let server = Self::begin(&[], Some(Certificates::make()));
        server.await_answer();
        server
    }

    /// A server that every test of this process may use, each under a prefix of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Makes a user who sees the keys of one prefix only, and returns the address for them. The prefix is the user's name
    /// and a colon.
    pub fn create_user(&self) -> String {
        let name = new_user();
        self.add_user(&name);
        format!("redis://{name}:any@localhost:{}/?prefix={name}:", self.port)
    }

    pub(crate) fn add_user(&self, name: &str) {
        let rights = "+@scripting +@read +@write +time +info +ping +cluster +wait";
        let keys = format!("~{name}:*");
        let mut command = vec!["ACL", "SETUSER", name, "on", "nopass", &keys];
        command.extend(rights.split(' '));
        assert_eq!(self.cli(&command), "OK");
    }

    /// Starts a replica of this server, and waits until it has all of its data.
    pub fn replica(&self) -> Self {
        let replica = Self::with(&["--replicaof", "127.0.0.1", &self.port.to_string()]);
        replica.until("its primary's data", || {
            replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
        });
        replica
    }

    pub(crate) fn begin(settings: &[&str], certificates: Option<Certificates>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("redis-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let remnants = Remnants::of(&folder).expect("a shell");
        let port = free_port();
        let mut arguments = vec![];
        for setting in [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--logfile",
            "log",
            // A replica need not wait for others that might want the same copy.
            "--repl-diskless-sync-delay",
            "0",
        ] {
            arguments.push(setting.to_owned());
        }
        let number = port.to_string();
        let ports = match &certificates {
            None => vec!["--port", &number],
            Some(made) => vec![
                "--port",
                "0",
                "--tls-port",
                &number,
                "--tls-auth-clients",
                "no",
                "--tls-cert-file",
                text(&made.certificate),
                "--tls-key-file",
                text(&made.key),
                "--tls-ca-cert-file",
                text(&made.authority),
            ],
        };
        arguments.extend(ports.into_iter().map(str::to_owned));
        arguments.extend(settings.iter().map(|&setting| setting.to_owned()));
        Self {
            process: run(&folder, &arguments),
            port,
            folder,
            arguments,
            certificates,
            _remnants: remnants,
        }
    }

    /// Where it listens, for a client that needs no password.
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://localhost:{}", self.port)
    }

    /// Its folder, where its append-only files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that signed the server's, in PEM.
    pub fn root_certificate(&self) -> Vec<u8> {
        let made = self.certificates.as_ref().expect("a server with TLS");
        std::fs::read(&made.authority).expect("a certificate")
    }

    /// What `redis-cli` prints for a command, without colours and quotes.
    pub fn cli(&self, command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["--no-auth-warning", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(made) = &self.certificates {
            cli.args(["--tls", "--cacert", text(&made.authority)]);
        }
        if let Some(password) = self.setting("--requirepass") {
            cli.args(["-a", password]);
        }
        let output = cli
            .args(command)
            .output()
            .expect("redis-cli is missing: install the Debian package redis-tools");
        // An error is printed on the one or the other, as the version likes.
        let all = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&all).trim_end().to_owned()
    }

    /// The port of the cluster's bus.
    pub(crate) fn bus_port(&self) -> String {
        self.setting("--cluster-port").expect("a node of a cluster").to_owned()
    }

    fn setting(&self, name: &str) -> Option<&str> {
        let place = self.arguments.iter().position(|argument| argument == name)?;
        self.arguments.get(place + 1).map(String::as_str)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGSTOP: it keeps its connections and says nothing.
    pub fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Kills it if it still runs, and starts it on the same port and folder.
    pub fn restart(&mut self) {
        self.restart_without_waiting();
        self.await_answer();
    }

    /// The same, and returns while it may still be loading its data.
    pub fn restart_without_waiting(&mut self) {
        self.kill();
        self.process = run(&self.folder, &self.arguments);
    }

    /// Waits until it answers.
    pub fn await_answer(&self) {
        self.until("a server that answers", || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.cli(&["PING"]) == "PONG"
        });
    }

    /// Waits until something is true of it.
    ///
    /// # Panics
    /// If it never is, with what the server logged.
    pub fn until(&self, what: &str, is_true: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_true() {
            assert!(
                begun.elapsed() < PATIENCE,
                "no {what}; its log:\n{}",
                std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A name that no other test of this process has.
pub(crate) fn new_user() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn run(folder: &Path, arguments: &[String]) -> Process {
    Process::start("redis-server", "redis-server", None, |command| {
        command.args(arguments).current_dir(folder);
    })
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// An authority, and a certificate for `localhost` that it has signed.
#[derive(Debug)]
pub(crate) struct Certificates {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    _folder: tempfile::TempDir,
}

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let openssl = |arguments: &str| {
            let output = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(folder.path())
                .output()
                .expect("openssl is missing: install the Debian package openssl");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!(
            "req -x509 {KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority"
        ));
        openssl(&format!(
            "req {KEY} -keyout key.pem -out request.pem -subj /CN=localhost"
        ));
        std::fs::write(folder.path().join("names"), "subjectAltName=DNS:localhost\n").expect("a file");
        openssl(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile names",
        );
        Self {
            authority: folder.path().join("ca.pem"),
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            _folder: folder,
        }
    }
}
