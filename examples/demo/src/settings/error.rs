//! A variable that has no meaning, and what would have one.

use std::fmt;

/// A setting that cannot be used. `Display` is one line that names the variable and says what would be right.
///
/// It repeats a value only where that is harmless, and then escaped: a store's address or an origin may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct SettingsError {
    variable: &'static str,
    problem: Problem,
}

impl SettingsError {
    pub(super) fn new(variable: &'static str, problem: Problem) -> Self {
        Self { variable, problem }
    }

    /// The variable's name.
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("is not valid UTF-8")]
    NotUtf8,
    #[error("is set but empty; unset it for the default, {default}")]
    Empty { default: &'static str },
    #[error("is in quotation marks, which whoever read the env file has kept; write it without them")]
    Quoted,
    #[error("holds a substitution that did not happen, such as ${{NAME}} or $(command)")]
    Unexpanded,
    #[error("is no path that a file should have: there are blanks around it, or control characters in it")]
    Path,
    #[error("is {0}, which is not a duration; write a whole number and a unit (ms, s, m, h, d, w), such as 15m")]
    Duration(Shown),
    #[error("is {0}, which is too long; the longest duration is 400d, which is how long browsers keep a cookie")]
    TooLong(Shown),
    #[error("is {0}, but a lifetime must be at least 1s")]
    ZeroLifetime(Shown),
    #[error("is {0}, but a lifetime must be whole seconds, such as 15m")]
    FractionalLifetime(Shown),
    #[error(
        "is longer than REFRESH_TOKEN_ABSOLUTE_EXPIRATION; lower the one or raise the other (defaults: 7d and 30d)"
    )]
    IdleLongerThanAbsolute,
    #[error(
        "is {0}, which is not an address to listen on; write an IP address and a port, such as 127.0.0.1:3000, [::1]:3000 or :0"
    )]
    Listen(Shown),
    #[error("is {0}; it can be recover or strict")]
    Reuse(Shown),
    #[error("must be at most 255 bytes of text without control characters or spaces around it")]
    Identifier,
    #[error(
        "is not a store that this app knows; write sqlite://PATH (such as sqlite://auth.db), postgres://USER@HOST/DATABASE, redis://HOST or memory:"
    )]
    StoreUnknown,
    #[error(
        "names no usable SQLite file; write sqlite://PATH without options, such as sqlite://auth.db or sqlite:///var/lib/auth.db"
    )]
    StorePath,
    #[error("asks SQLite for a database in memory; write memory: instead")]
    StoreSqliteMemory,
    #[error(
        "is not a list of origins (entry {entry}); write scheme://host or scheme://host:port with http or https and nothing after it, separated by commas"
    )]
    Origin { entry: usize },
    #[error(
        "is {0}, which is not a log filter; write a level (error, warn, info, debug, trace, off) or directives such as info,auth_tower=debug"
    )]
    LogFilter(Shown),
}

/// A harmless value, escaped and cut short, so that it stays on its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown(Box<str>);

impl Shown {
    const MAX_CHARS: usize = 40;

    pub(super) fn new(value: &str) -> Self {
        let mut shown: String = value.chars().take(Self::MAX_CHARS).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self(shown.into_boxed_str())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
