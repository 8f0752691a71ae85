//! The `Authorization` header of RFC 6750 §2.1.

use crate::facts::{RequestFacts, Single};

/// What a request says of a bearer token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bearer<T> {
    /// None was sent; another scheme is none of ours.
    Absent,
    /// One was sent, and this became of it.
    Token(T),
    /// The header cannot be read, is repeated, or the token was sent in two ways (RFC 6750 §2, §3.1).
    Malformed,
}

/// Finds the bearer token of a request and hands it to `with`, uncopied.
pub(crate) fn bearer<T>(facts: &(impl RequestFacts + ?Sized), with: impl FnOnce(&[u8]) -> T) -> Bearer<T> {
    let mut with = Some(with);
    let mut lines = 0_usize;
    let mut found = Bearer::Absent;
    facts.header_lines("authorization", &mut |value| {
        lines += 1;
        if lines > 1 {
            return;
        }
        found = match (parse(value), with.take()) {
            (Ok(Some(token)), Some(with)) => Bearer::Token(with(token)),
            (Err(Unreadable), _) => Bearer::Malformed,
            _ => Bearer::Absent,
        };
    });
    if lines > 1 || (lines == 1 && !matches!(found, Bearer::Absent) && token_in_query(facts)) {
        return Bearer::Malformed;
    }
    found
}

struct Unreadable;

fn parse(value: &[u8]) -> Result<Option<&[u8]>, Unreadable> {
    let value = value.trim_ascii();
    let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if scheme.is_empty()
        || !scheme
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
    {
        return Err(Unreadable);
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let token = rest.trim_ascii();
    if token.is_empty() {
        Err(Unreadable)
    } else {
        Ok(Some(token))
    }
}

/// Whether a token could be written in the header at all. What can is judged as a token, so that every malformed one gets
/// the one answer of RFC 6750 §3.1; asked only of refused tokens, because a long one takes a while to look through.
pub(crate) fn is_readable(token: &[u8]) -> bool {
    token.iter().all(u8::is_ascii_graphic)
}

/// Whether the query carries `access_token` too. It is never read as a credential (RFC 9700 §4.3.2).
fn token_in_query(facts: &(impl RequestFacts + ?Sized)) -> bool {
    facts
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair.starts_with("access_token=")))
}

/// The value of a header that tells the client about its browser, cut to what is worth keeping.
pub(crate) fn user_agent(facts: &(impl RequestFacts + ?Sized)) -> Option<String> {
    match Single::read(facts, "user-agent") {
        Single::Once(value) => Some(String::from_utf8_lossy(&value).into_owned()),
        _ => None,
    }
}
