//! The table of DESIGN 5, one row per line.

use auth_tower::session::rotation::Decision::{Keep, Recover, Repair, Resend, ReuseDetected, Rotate, Tolerate};
use auth_tower::session::rotation::{Decision, Reuse};

use super::case::{
    Age, BeforeHealer, BeforeLast, Case, Confirmed, Current, CurrentAndLast, Healer, Later, LaterAndLast, Other, Past,
    Presented, Within, WithinAThird,
};

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    presented: Presented,
    ages: &'static [Age],
    seen: Option<bool>,
    reuse: Option<Reuse>,
    decision: fn(&Case) -> Decision,
}

const ANY: &[Age] = &[WithinAThird, Within, Past];
const IN_GRACE: &[Age] = &[WithinAThird, Within];
const PAST: &[Age] = &[Past];

const fn row(
    name: &'static str,
    presented: Presented,
    ages: &'static [Age],
    seen: Option<bool>,
    reuse: Option<Reuse>,
    decision: fn(&Case) -> Decision,
) -> Row {
    Row {
        name,
        presented,
        ages,
        seen,
        reuse,
        decision,
    }
}

const UNSEEN: Option<bool> = Some(false);
const SEEN: Option<bool> = Some(true);
const STRICT: Option<Reuse> = Some(Reuse::Strict);
const RECOVER: Option<Reuse> = Some(Reuse::Recover);

#[rustfmt::skip]
pub(crate) static ROWS: &[Row] = &[
    row("the current one rotates after the grace", Current, PAST, None, None,
        |case| Rotate { confirmed: case.presented, current: case.presented + 1 }),
    row("the current one is kept within the grace", Current, IN_GRACE, None, None, |_| Keep),
    row("an unseen successor is handed out again in the first third", Confirmed, &[WithinAThird], UNSEEN, None, |_| Resend),
    row("a seen successor is not", Confirmed, &[WithinAThird], SEEN, None, |_| Tolerate),
    row("a predecessor is tolerated until the grace is over", Confirmed, &[Within], None, None, |_| Tolerate),
    row("a lost response is recovered from", Confirmed, PAST, UNSEEN, RECOVER,
        |case| Recover { confirmed: case.presented, current: case.current + 1 }),
    row("or is a theft, strictly", Confirmed, PAST, UNSEEN, STRICT, |_| ReuseDetected),
    row("a predecessor whose successor was seen is a theft", Confirmed, PAST, SEEN, None, |_| ReuseDetected),
    row("any other earlier one is a theft, whenever", Other, ANY, None, None, |_| ReuseDetected),
    row("a lost write is healed by a new pair, and the record shows it", Later, ANY, None, None,
        |case| Repair { confirmed: case.presented + 1, current: case.presented + 1 }),

    row("what healed is a predecessor: its unseen successor is handed out again", Healer, &[WithinAThird], UNSEEN, None, |_| Resend),
    row("a seen one is not", Healer, &[WithinAThird], SEEN, None, |_| Tolerate),
    row("it is tolerated until the grace is over", Healer, &[Within], None, None, |_| Tolerate),
    row("its successor may then be lost although it was seen", Healer, PAST, None, RECOVER,
        |case| Recover { confirmed: case.presented, current: case.current + 1 }),
    row("or this is a theft, strictly", Healer, PAST, None, STRICT, |_| ReuseDetected),
    row("either of the two before is tolerated for a third", BeforeHealer, &[WithinAThird], None, None, |_| Tolerate),
    row("and then a theft", BeforeHealer, &[Within, Past], None, None, |_| ReuseDetected),

    row("the last number of all is kept within the grace", CurrentAndLast, IN_GRACE, None, None, |_| Keep),
    row("and then the session ends", CurrentAndLast, PAST, None, None, |_| ReuseDetected),
    row("there is nothing to heal it with", LaterAndLast, ANY, None, None, |_| ReuseDetected),
    row("its unseen self is handed out", BeforeLast, &[WithinAThird], UNSEEN, None, |_| Resend),
    row("its seen self is not", BeforeLast, &[WithinAThird], SEEN, None, |_| Tolerate),
    row("its predecessor is tolerated", BeforeLast, &[Within], None, None, |_| Tolerate),
    row("but there is nothing to recover to", BeforeLast, PAST, None, None, |_| ReuseDetected),
];

impl Case {
    /// Every row whose columns fit. A column that is empty fits everything.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| {
            row.presented == self.presented()
                && row.ages.contains(&self.age())
                && row.seen.is_none_or(|seen| seen == self.seen)
                && row.reuse.is_none_or(|reuse| reuse == self.reuse)
        })
    }

    /// The only row that fits says the same as `decide`.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fitting: Vec<_> = self.rows().collect();
        let [row] = fitting.as_slice() else {
            return Err(format!("{} rows fit {self:?}", fitting.len()));
        };
        let expected = (row.decision)(self);
        let decided = self.decide();
        if decided == expected {
            Ok(())
        } else {
            Err(format!(
                "{self:?} is {decided:?} and should be {expected:?}: {}",
                row.name
            ))
        }
    }
}
