//! Where a file lies, and whether one may be there.

use std::fs;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::error::{DAMAGED, READ_ONLY, refuse};
use crate::store::error::StoreError;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const SMALLEST_PAGE: u64 = 512;

/// The path that `location` names, from the root: the process may change its folder later.
pub(super) fn parse(location: &Path) -> Result<PathBuf, StoreError> {
    let path = match location.to_str().and_then(|text| text.strip_prefix("sqlite:")) {
        None => location,
        Some(rest) => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.contains('?') {
                return Err(refuse("parameters after a ? are not understood; give the path alone"));
            }
            Path::new(path)
        }
    };
    if path.as_os_str().is_empty() {
        return Err(refuse("no path was given"));
    }
    if path == Path::new(":memory:") {
        return Err(refuse("a database in memory cannot be shared; use the memory store"));
    }
    std::path::absolute(path).map_err(|error| open_error("the current folder cannot be found", error))
}

/// Makes an empty file that only its owner can read, or looks at the one that is there. An empty file becomes a database
/// when its tables are made; nothing else is changed.
pub(super) fn claim(path: &Path) -> Result<(), StoreError> {
    let mut create = OpenOptions::new();
    create.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        create.mode(0o600);
    }
    match create.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => inspect(path),
        Err(error) => Err(match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => open_error("its folder does not exist", error),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => open_error(READ_ONLY, error),
            ErrorKind::StorageFull => open_error("the disk is full", error),
            _ => open_error("the file cannot be made", error),
        }),
    }
}

/// Looks at the file that is there.
pub(super) fn inspect(path: &Path) -> Result<(), StoreError> {
    let about = fs::metadata(path).map_err(|error| open_error("the file cannot be read", error))?;
    if about.is_dir() {
        return Err(refuse("it is a folder, not a file"));
    }
    if !about.is_file() {
        return Err(refuse("it is not a regular file"));
    }
    if about.permissions().readonly() {
        return Err(refuse(READ_ONLY));
    }
    // SQLite itself says what a larger one is. Closing one that this process has open elsewhere would give up SQLite's locks.
    if about.len() == 0 || about.len() >= SMALLEST_PAGE {
        return Ok(());
    }
    let mut start = Vec::with_capacity(MAGIC.len());
    fs::File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start))
        .map_err(|error| open_error("the file cannot be read", error))?;
    if start != MAGIC {
        return Err(refuse(
            "the file is not an SQLite database; name another file, or move this one away",
        ));
    }
    Err(refuse(DAMAGED))
}

fn open_error(reason: &'static str, source: std::io::Error) -> StoreError {
    StoreError::Open {
        reason,
        source: Some(source.into()),
    }
}
