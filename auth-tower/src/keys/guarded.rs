//! A file that holds secrets: opened without waiting for anybody, judged by who may touch it, and read up to a bound.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::path::Path;
use std::{fs, io};

use zeroize::Zeroizing;

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The system said no.
    Io(io::Error),
    /// A folder, a pipe, a device or a socket.
    NotAFile,
    /// It has more bytes than it may.
    TooLarge,
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Who may touch a file, as far as the system tells.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Access {
    /// The permission bits; none where the system has no such thing.
    pub(crate) mode: u32,
    /// It belongs to a user who is neither this process nor root, and could change it at any time.
    pub(crate) foreign: bool,
}

/// A regular file that is open.
pub(crate) struct Guarded {
    file: File,
    len: u64,
    at_most: u64,
    pub(crate) access: Access,
}

/// Opens the file at `path`, which may have up to `at_most` bytes.
pub(crate) fn open(path: &Path, at_most: u64) -> Result<Guarded, Unreadable> {
    // Opening a device may already do something, so it is looked at before.
    if !fs::metadata(path)?.is_file() {
        return Err(Unreadable::NotAFile);
    }
    let mut options = OpenOptions::new();
    options.read(true);
    // A pipe that took the file's place meanwhile must not be waited for.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Unreadable::NotAFile);
    }
    if metadata.len() > at_most {
        return Err(Unreadable::TooLarge);
    }
    Ok(Guarded {
        file,
        len: metadata.len(),
        at_most,
        access: access(&metadata),
    })
}

#[cfg(unix)]
fn access(metadata: &Metadata) -> Access {
    use std::os::unix::fs::MetadataExt as _;
    let owner = metadata.uid();
    Access {
        mode: metadata.mode() & 0o777,
        foreign: owner != 0 && owner != rustix::process::geteuid().as_raw(),
    }
}

#[cfg(not(unix))]
fn access(_: &Metadata) -> Access {
    Access::default()
}

impl Guarded {
    /// Everything that is in it.
    pub(crate) fn read(self) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        // Room for everything at once, so that no outgrown copy of the secrets stays behind in memory.
        let room = usize::try_from(self.len).unwrap_or_default().saturating_add(1);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        // Some files are longer than they say.
        self.file.take(self.at_most.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|len| len <= self.at_most) {
            Ok(bytes)
        } else {
            Err(Unreadable::TooLarge)
        }
    }
}
