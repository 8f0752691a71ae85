//! What a server would leave behind when this process ends without a chance to tidy up.

use std::io;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Removes a folder once this value goes, or the process does: a shell waits for the end of a pipe that only we hold.
#[derive(Debug)]
pub(crate) struct Remnants {
    pipe: Option<ChildStdin>,
    shell: Child,
}

/// Line 7 of PostgreSQL's `postmaster.pid` names a shared memory segment, which outlives a server that was killed.
const TIDY_UP: &str = r#"
trap '' INT TERM HUP
read -r _
segment=$(sed -n '7s/.* //p' "$1/data/postmaster.pid" 2>/dev/null)
[ -z "$segment" ] || ipcrm -m "$segment"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf "$1" && [ ! -e "$1" ] && exit
    sleep 0.2
done
"#;

impl Remnants {
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", TIDY_UP, "tidy-up"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            pipe: shell.stdin.take(),
            shell,
        })
    }
}

impl Drop for Remnants {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.shell.wait();
    }
}
