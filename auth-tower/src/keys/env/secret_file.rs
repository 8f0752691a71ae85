//! A secret out of a file, as container platforms mount them.

use std::io::ErrorKind;
use std::path::Path;

use zeroize::Zeroizing;

use crate::keys::error::VariableProblem;
use crate::keys::guarded::{self, Access, Unreadable};
use crate::keys::text::without_bom;

/// Far more than a secret needs.
const MAX_LEN: u64 = 64 * 1024;

/// The text in the file at `path`, without the one line break that editors and `echo` put at its end.
///
/// No problem shows the path: it is the variable's value, and whoever mistook the variable has put a secret there.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, VariableProblem> {
    let file = guarded::open(path, MAX_LEN).map_err(problem)?;
    check(file.access)?;
    let bytes = file.read().map_err(problem)?;
    let text = std::str::from_utf8(without_bom(&bytes))
        .map_err(|_| VariableProblem::File("is not UTF-8 text; a secret of `openssl rand -base64 48` would be"))?;
    let text = text
        .strip_suffix("\r\n")
        .or_else(|| text.strip_suffix('\n'))
        .unwrap_or(text);
    if text.is_empty() {
        return Err(VariableProblem::File("is empty"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// Container platforms mount secrets readable by everybody in the container, and of whoever owns them outside; so only what lets
/// everybody change the secret is refused.
fn check(access: Access) -> Result<(), VariableProblem> {
    if access.mode & 0o002 != 0 {
        return Err(VariableProblem::File(
            "can be changed by every user of this machine: `chmod 600` it",
        ));
    }
    Ok(())
}

fn problem(why: Unreadable) -> VariableProblem {
    VariableProblem::File(match why {
        Unreadable::NotAFile => "is a folder, a pipe or a device",
        Unreadable::TooLarge => "is larger than 64 KiB",
        Unreadable::Io(error) => match error.kind() {
            ErrorKind::NotFound => "is not there",
            ErrorKind::PermissionDenied => "is not readable by this process",
            _ => return VariableProblem::FileUnreadable(error),
        },
    })
}
