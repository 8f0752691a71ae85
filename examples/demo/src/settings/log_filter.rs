//! What is logged.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::error::{Problem, Shown};

/// A log filter that is known to parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// Stricter than [`EnvFilter`] in two points: every directive is one, and ends in a level. The filter would take `inof`
    /// for a target's name and silently log nothing else, and `auth=` for all of a target.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let refused = || Problem::LogFilter(Shown::new(text));
        for directive in text.split(',') {
            // A span's fields may hold a `=` of their own, so only what follows the last one is looked at.
            let level = match directive.rsplit_once('=') {
                Some((_, level)) => level,
                None => directive,
            };
            let names_a_span = directive.contains('[');
            if level.is_empty() || (!names_a_span && level.parse::<LevelFilter>().is_err()) {
                return Err(refused());
            }
        }
        EnvFilter::builder().parse(text).map_err(|_| refused())?;
        Ok(Self(text.to_owned()))
    }

    /// The filter, to be put into a subscriber.
    pub fn to_env_filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}
