//! A child process that does not outlive this one, however this one ends.

use std::io;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

/// A server's main process. It is killed when this value goes, and when this process ends in any way.
#[derive(Debug)]
pub struct Process(Child);

/// What is to be started, and where to say how it went.
type Order = (Command, mpsc::Sender<io::Result<Child>>);

impl Process {
    /// Starts `program`, by `user` where this process runs as root and the program would refuse to.
    ///
    /// # Panics
    /// If the program is not there, naming the Debian `package` that has it.
    pub fn start(program: &str, package: &str, user: Option<&str>, configure: impl FnOnce(&mut Command)) -> Self {
        // The signal comes with the end of the *thread* that started the child, so one that never ends does it.
        static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
        let starter = STARTER.get_or_init(|| {
            let (sender, orders) = mpsc::channel::<Order>();
            thread::spawn(move || {
                for (mut command, answer) in orders {
                    let _ = answer.send(command.spawn());
                }
            });
            sender
        });
        let mut command = command(program, package, user);
        configure(&mut command);
        let (answer, started) = mpsc::channel();
        starter.send((command, answer)).expect("the starter never ends");
        let child = started.recv().expect("the starter answers");
        Self(child.expect("setpriv starts: it is in the Debian package util-linux"))
    }

    /// Its id.
    pub fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).expect("a process id")).expect("not zero")
    }

    /// Sends a signal, such as SIGSTOP and SIGCONT for a server that hangs.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("a process to signal");
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a process that may be waited for").is_some()
    }

    /// SIGKILL, and the end awaited.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that is killed with the thread that starts it, by `user` if one is named. It reads and prints nothing.
pub(crate) fn command(program: &str, package: &str, user: Option<&str>) -> Command {
    assert!(
        exists(program),
        "{program} is missing: install the Debian package {package}"
    );
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
    }
    command.arg("--").arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn exists(program: &str) -> bool {
    let path = std::path::Path::new(program);
    if path.components().count() > 1 {
        return path.exists();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).exists())
}

/// A port of loopback that was free a moment ago.
///
/// # Panics
/// If loopback has no free port.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
