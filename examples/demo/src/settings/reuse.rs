//! What a refresh token means that was rotated away, when its successor was never seen.

use auth_tower::session::rotation::Reuse;

use super::error::{Problem, Shown};

pub(super) fn parse(text: &str) -> Result<Reuse, Problem> {
    match text {
        "recover" => Ok(Reuse::Recover),
        "strict" => Ok(Reuse::Strict),
        _ => Err(Problem::Reuse(Shown::new(text))),
    }
}
