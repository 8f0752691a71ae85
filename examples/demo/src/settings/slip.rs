//! What the way of a value into the environment can leave on it.

use super::error::Problem;

/// Whether `text` is what was meant: without the quotation marks that some readers of env files keep, and with every variable and
/// command replaced. No setting has a use for either.
pub(super) fn check(text: &str) -> Result<(), Problem> {
    let quoted = |quote: char| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if quoted('"') || quoted('\'') {
        return Err(Problem::Quoted);
    }
    let within = |open: &str, close: &str| text.split_once(open).is_some_and(|(_, rest)| rest.contains(close));
    if within("${", "}") || within("$(", ")") || within("{{", "}}") {
        return Err(Problem::Unexpanded);
    }
    Ok(())
}
