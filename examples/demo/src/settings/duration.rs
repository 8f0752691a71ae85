//! Durations such as `15m`.

use std::time::Duration;

use super::error::{Problem, Shown};

/// Browsers cut a cookie's age to this (RFC 6265bis §5.5), and no other setting has a use for more.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// A whole number and a unit, nothing else: no sign, space, fraction or second part.
pub(super) fn parse(text: &str) -> Result<Duration, Problem> {
    let not_one = || Problem::Duration(Shown::new(text));
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(not_one)?;
    let unit: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(not_one()),
    };
    if number.is_empty() {
        return Err(not_one());
    }
    // Digits alone fail to parse only by being too many.
    let duration = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .map(Duration::from_millis);
    match duration {
        Some(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(Problem::TooLong(Shown::new(text))),
    }
}

/// A lifetime is told to clients in seconds (`expires_in`, `exp`, `Max-Age`), so it must be some.
pub(super) fn lifetime(text: &str) -> Result<Duration, Problem> {
    let duration = parse(text)?;
    if duration.is_zero() {
        return Err(Problem::ZeroLifetime(Shown::new(text)));
    }
    if duration.subsec_nanos() != 0 {
        return Err(Problem::FractionalLifetime(Shown::new(text)));
    }
    Ok(duration)
}
