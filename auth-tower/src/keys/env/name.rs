//! Which variables are ours, and what each of them is.

use std::ffi::OsStr;
use std::fmt;

use crate::keys::error::{KeyError, VariableProblem};

/// The variable that says which version signs.
pub(super) const VERSION: &str = "KEY_VERSION";

/// The longest version, so that it also fits into a `kid`.
const MAX_VERSION: usize = 64;

/// Which half of a pair a variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Half {
    Access,
    Refresh,
}

impl Half {
    pub(super) const BOTH: [Self; 2] = [Self::Access, Self::Refresh];

    pub(super) const fn plain_name(self) -> &'static str {
        match self {
            Self::Access => "ACCESS_TOKEN_SECRET",
            Self::Refresh => "REFRESH_TOKEN_SECRET",
        }
    }

    /// The variable that holds this half of `version`'s pair; `None` is the pair without a version.
    pub(super) fn name(self, version: Option<&Version>) -> String {
        match version {
            None => self.plain_name().to_owned(),
            Some(version) => format!("{}_{version}", self.plain_name()),
        }
    }
}

/// `v` and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(Box<str>);

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('v')?;
        let is_one =
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= MAX_VERSION;
        is_one.then(|| Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A variable of ours, by its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// `KEY_VERSION`.
    Version,
    /// A half of a pair, or the file that holds it.
    Secret {
        half: Half,
        version: Option<Version>,
        in_file: bool,
    },
}

/// What `name` is; `None` if it is somebody else's.
///
/// Every name that goes on after `…_TOKEN_SECRET_` is meant for us: what is neither a version nor a file is an error, so that a
/// path, a hint or a typing error never becomes a key, and no key is left out in silence.
pub(super) fn read(name: &OsStr) -> Result<Option<Name>, KeyError> {
    let lossy = name.to_string_lossy();
    if lossy == VERSION {
        return Ok(Some(Name::Version));
    }
    let secret = Half::BOTH
        .into_iter()
        .find_map(|half| Some((half, lossy.strip_prefix(half.plain_name())?)));
    let Some((half, rest)) = secret else {
        return Ok(None);
    };
    let Some(rest) = rest.strip_prefix('_') else {
        let plain = Name::Secret {
            half,
            version: None,
            in_file: false,
        };
        return Ok(rest.is_empty().then_some(plain));
    };
    let (version, in_file) = match rest.strip_suffix("FILE") {
        None => (Version::parse(rest).map(Some), false),
        Some("") => (Some(None), true),
        Some(version) => (version.strip_suffix('_').and_then(Version::parse).map(Some), true),
    };
    match version {
        Some(version) => Ok(Some(Name::Secret { half, version, in_file })),
        None => Err(KeyError::Variable {
            problem: if name.to_str().is_some() {
                VariableProblem::UnknownName
            } else {
                VariableProblem::NotUnicode
            },
            name: lossy.into_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_version_is_v_and_digits() {
        for version in ["v0", "v1", "v007", "v2026", &format!("v{}", "9".repeat(63))] {
            assert_eq!(Version::parse(version).unwrap().as_str(), version);
        }
        for other in [
            "",
            "v",
            "1",
            "V1",
            "v1 ",
            " v1",
            "v-1",
            "v+1",
            "v1.2",
            "v1_",
            "v1a",
            "v١",
            "vFILE",
            "FILE",
            "default",
            "\"v1\"",
            "${V}",
            &format!("v{}", "9".repeat(64)),
        ] {
            assert!(Version::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn other_programs_variables_are_left_alone() {
        for name in [
            "PATH",
            "MY_ACCESS_TOKEN_SECRET",
            "ACCESS_TOKEN_SECRETS",
            "ACCESS_TOKEN_SECRETARY_FILE",
            "ACCESS_TOKEN_EXPIRATION",
            "KEY_VERSIONS",
            "access_token_secret_v1",
        ] {
            assert_eq!(read(OsStr::new(name)).unwrap(), None, "{name}");
        }
    }
}
