//! An example app as a process: started with settings, listened to, stopped in every way a process can be.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::target::{App, Store, Target};
use crate::wait::PATIENCE;

/// What an app is started with. Its files live in a folder of the test's own, which every copy of the settings shares.
#[derive(Debug, Clone)]
pub struct Settings {
    target: Target,
    folder: Arc<TempDir>,
    variables: BTreeMap<String, OsString>,
}

impl Settings {
    pub(crate) fn new(target: Target) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let variables = BTreeMap::from([
            ("LISTEN".to_owned(), OsString::from("127.0.0.1:0")),
            ("STORE".to_owned(), target.store.url(folder.path())),
            ("AUTH_KEYS".to_owned(), folder.path().join("auth-keys.json").into()),
        ]);
        Self {
            target,
            folder,
            variables,
        }
    }

    /// For another app with the same settings, on the same files.
    #[must_use]
    pub fn run_by(mut self, app: App) -> Self {
        self.target.app = app;
        self
    }

    /// With an environment variable set.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    /// With an environment variable left out.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// A file in the app's folder, which is also its working directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the app was told to keep its sessions, unless a test said otherwise.
    pub fn store(&self) -> Store {
        self.target.store
    }

    /// The value of `STORE`.
    pub fn store_url(&self) -> &str {
        let url = self.variables.get("STORE").expect("set from the beginning");
        url.to_str().expect("UTF-8")
    }

    /// The app's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the app and waits until it says that it listens.
    pub async fn start(&self) -> Running {
        let mut process = Process::spawn(self);
        let line = tokio::time::timeout(PATIENCE, process.first_line()).await;
        let address = line.ok().flatten().and_then(|line| {
            let address = line.strip_prefix("listening on http://")?;
            address.trim_end().parse().ok()
        });
        let Some(address) = address else {
            let _ = process.child.start_kill();
            let refusal = process.finish().await;
            panic!("the app did not come up: {refusal:?}");
        };
        Running {
            settings: self.clone(),
            address,
            process,
        }
    }

    /// Starts the app and waits until it ends by itself.
    pub async fn refused(&self) -> Refusal {
        let process = Process::spawn(self);
        tokio::time::timeout(PATIENCE, process.finish())
            .await
            .expect("an app with these settings ends by itself")
    }

    /// Starts the app, tells it to stop at `moment`, and waits until it has ended.
    pub async fn stopped_at(&self, moment: impl Future<Output = ()>) -> Refusal {
        let process = Process::spawn(self);
        moment.await;
        process.signal(Signal::TERM);
        tokio::time::timeout(PATIENCE, process.finish())
            .await
            .expect("an app that is told to stop ends")
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Refusal {
    /// The exit status.
    pub status: ExitStatus,
    /// All that was printed on stdout.
    pub stdout: String,
    /// All that was printed on stderr.
    pub stderr: String,
}

/// A running app. It is killed when this value goes.
#[derive(Debug)]
pub struct Running {
    settings: Settings,
    address: SocketAddr,
    process: Process,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `Host` that a client sends.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The origin of its pages.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Another process with the same settings, on the same files.
    pub async fn sibling(&self) -> Self {
        self.settings.start().await
    }

    /// What it has printed on stderr so far.
    pub fn log(&self) -> Vec<u8> {
        self.process.stderr.borrow().clone()
    }

    /// The same, once `text` is part of it.
    pub async fn log_with(&self, text: &str) -> String {
        let mut log = self.process.stderr.clone();
        let told = |log: &Vec<u8>| log.windows(text.len()).any(|part| part == text.as_bytes());
        let log = tokio::time::timeout(PATIENCE, log.wait_for(told)).await;
        let log = log.unwrap_or_else(|_| panic!("the app said nothing of {text:?}"));
        String::from_utf8_lossy(&log.expect("the app is there")).into_owned()
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(mut self) -> Settings {
        self.process.child.start_kill().expect("a process to kill");
        self.process.finish().await;
        self.settings
    }

    /// How much memory it holds at present, in bytes.
    pub fn resident(&self) -> u64 {
        let id = self.process.child.id().expect("a process that was not waited for");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process that is there");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.expect("a number of kB") * 1024
    }

    /// Sends a signal and leaves.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end, at most `bound`.
    pub async fn ended_within(self, bound: Duration) -> Refusal {
        tokio::time::timeout(bound, self.process.finish())
            .await
            .unwrap_or_else(|_| panic!("the app was still there after {bound:?}"))
    }

    /// Sends SIGTERM and waits for a clean end.
    pub async fn terminate(self) -> (Settings, Refusal) {
        let settings = self.settings.clone();
        self.signal(Signal::TERM);
        let end = self.ended_within(PATIENCE).await;
        assert!(end.status.success(), "SIGTERM: {end:?}");
        (settings, end)
    }

    /// Terminates it and starts it again on the same files.
    pub async fn restart(self) -> Self {
        self.terminate().await.0.start().await
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    stdout: BufReader<tokio::process::ChildStdout>,
    seen: String,
    stderr: watch::Receiver<Vec<u8>>,
    drain: JoinHandle<()>,
}

impl Process {
    fn spawn(settings: &Settings) -> Self {
        let mut child = Command::new(binary(settings.target.app))
            .env_clear()
            .envs(&settings.variables)
            .current_dir(settings.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the app's binary starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut pipe = child.stderr.take().expect("a pipe");
        let (sink, stderr) = watch::channel(Vec::new());
        let drain = tokio::spawn(async move {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
                sink.send_modify(|log| log.extend_from_slice(&chunk[..read]));
            }
        });
        Self {
            child,
            stdout,
            seen: String::new(),
            stderr,
            drain,
        }
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("a process that was not waited for");
        let id = Pid::from_raw(i32::try_from(id).expect("a process id")).expect("not zero");
        kill_process(id, signal).expect("a process to signal");
    }

    async fn first_line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).await.expect("UTF-8 on stdout");
        self.seen.push_str(&line);
        (!line.is_empty()).then_some(line)
    }

    async fn finish(mut self) -> Refusal {
        let mut stdout = std::mem::take(&mut self.seen);
        self.stdout.read_to_string(&mut stdout).await.expect("UTF-8 on stdout");
        let status = self.child.wait().await.expect("an exit status");
        let _ = (&mut self.drain).await;
        let stderr = String::from_utf8_lossy(&self.stderr.borrow()).into_owned();
        Refusal { status, stdout, stderr }
    }
}

/// Where this app's binary is. `tests/prepare` has built them all and names the folder in `APPS`; without it, cargo builds them,
/// once per test process, and all at once: what cargo builds an app with depends on what is built beside it.
fn binary(app: App) -> &'static Path {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT
        .get_or_init(build)
        .get(app.package())
        .unwrap_or_else(|| panic!("{} has no binary of its name", app.package()))
}

fn build() -> BTreeMap<String, PathBuf> {
    if let Some(folder) = std::env::var_os("APPS") {
        let package = |app: &App| app.package().to_owned();
        let binary = |app: &App| Path::new(&folder).join(app.package());
        return App::ALL.iter().map(|app| (package(app), binary(app))).collect();
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--message-format=json-render-diagnostics"])
        .args(App::ALL.iter().flat_map(|app| ["--package", app.package()]))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the apps do not build");
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect()
}
