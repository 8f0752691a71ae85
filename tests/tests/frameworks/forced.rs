//! Where a framework leaves no choice. Each entry is documented for users on the crate page of `auth-actix`.

use crate::answer::Answer;

/// A difference that a framework forces.
#[derive(Debug)]
pub(crate) struct Forced {
    /// Which rows.
    rows: fn(&str) -> bool,
    /// The answers' statuses, axum's and actix's.
    statuses: (u16, u16),
    /// The reason.
    pub(crate) why: &'static str,
}

impl Forced {
    /// Whether the answers differ as they are said to.
    pub(crate) fn holds(&self, axum: &Answer, actix: &Answer) -> bool {
        (axum.status, actix.status) == self.statuses
    }
}

const FORCED: &[Forced] = &[];

/// The difference that is expected in this row.
pub(crate) fn difference(what: &str) -> Option<&'static Forced> {
    FORCED.iter().find(|forced| (forced.rows)(what))
}
