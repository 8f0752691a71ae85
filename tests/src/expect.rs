//! What every answer of a kind has in common, so that a scenario says only what is special about it.

use crate::REFRESH_COOKIE;
use crate::http::Response;
use crate::jar::SetCookie;

/// A refusal: the status, an RFC 9457 body with a stable code, never cached, a challenge where one is due.
#[track_caller]
pub fn problem(response: &Response, status: u16, code: &str) {
    assert_eq!(
        (response.status, response.code().as_deref()),
        (status, Some(code)),
        "{response:?}"
    );
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json"),
        "BR-07: {response:?}"
    );
    let body = response.json();
    assert!(
        body["type"].is_string() && body["title"].is_string(),
        "BR-07: {response:?}"
    );
    assert_eq!(body["status"], status, "BR-07: {response:?}");
    assert_no_store(response);
    challenge(response, status, code);
    if status == 503 {
        let after: u64 = response
            .header("retry-after")
            .and_then(|text| text.parse().ok())
            .expect("Retry-After");
        assert!((1..=60).contains(&after), "Retry-After: {after}");
    }
}

/// RFC 6750 §3: a challenge with every 401 and 403 about a bearer token, without `error` when no credential was sent.
#[track_caller]
fn challenge(response: &Response, status: u16, code: &str) {
    let challenge = response.header("www-authenticate");
    match (status, code) {
        (401, "missing_token") => {
            let challenge = challenge.expect("BR-01: a challenge");
            assert!(challenge.starts_with("Bearer"), "BR-01: {challenge}");
            assert!(!challenge.contains("error"), "BR-01: {challenge}");
        }
        (401, "invalid_token" | "token_expired" | "token_revoked") => {
            let challenge = challenge.expect("BR-02: a challenge");
            assert!(challenge.starts_with("Bearer "), "BR-02: {challenge}");
            assert!(challenge.contains("error=\"invalid_token\""), "BR-02: {challenge}");
        }
        (403, "insufficient_scope") => {
            let challenge = challenge.expect("BR-04: a challenge");
            assert!(challenge.starts_with("Bearer "), "BR-04: {challenge}");
            assert!(challenge.contains("error=\"insufficient_scope\""), "BR-04: {challenge}");
        }
        (503 | 405 | 404, _) => assert_eq!(
            challenge, None,
            "no challenge where credentials do not help: {response:?}"
        ),
        _ => {}
    }
}

/// The answer is never kept by a cache.
#[track_caller]
pub fn assert_no_store(response: &Response) {
    let directives = response.header("cache-control").unwrap_or_default();
    assert!(
        directives.split(',').any(|directive| directive.trim() == "no-store"),
        "no-store: {response:?}"
    );
}

/// The answer says nothing about the refresh cookie and brings no access token in a header.
#[track_caller]
pub fn untouched(response: &Response) {
    assert_eq!(
        response.refresh_cookie(),
        None,
        "the cookie is left alone: {response:?}"
    );
    assert_eq!(
        response.header("x-access-token"),
        None,
        "nothing was exchanged: {response:?}"
    );
}

/// The answer deletes the refresh cookie, in the words in which it was set (CK-07), and brings no access token.
#[track_caller]
pub fn cleared(response: &Response) {
    let cookie = response
        .refresh_cookie()
        .unwrap_or_else(|| panic!("the cookie is cleared: {response:?}"));
    assert!(cookie.deletes(), "the cookie is cleared: {response:?}");
    assert_eq!(cookie.value, "", "nothing is left in it: {response:?}");
    attributes(&cookie);
    assert_no_store(response);
    assert_eq!(
        response.header("x-access-token"),
        None,
        "nothing was exchanged: {response:?}"
    );
}

/// CK-01, CK-02, CK-04: the attributes of every line about the refresh cookie.
#[track_caller]
pub fn attributes(cookie: &SetCookie) {
    assert_eq!(cookie.name, REFRESH_COOKIE);
    assert_eq!(cookie.attribute("httponly"), Some(""), "CK-01: {cookie:?}");
    assert_eq!(cookie.attribute("secure"), Some(""), "CK-01: {cookie:?}");
    assert_eq!(cookie.attribute("path"), Some("/"), "CK-02: {cookie:?}");
    assert_eq!(cookie.attribute("domain"), None, "CK-02: {cookie:?}");
    assert_eq!(cookie.attribute("samesite"), Some("Strict"), "CK-04: {cookie:?}");
    assert!(cookie.line.len() <= 200, "CK-05: {} bytes", cookie.line.len());
}

/// A silent exchange with a new pair: returns the refresh token.
#[track_caller]
pub fn exchanged(response: &Response) -> String {
    let token = response
        .header("x-access-token")
        .unwrap_or_else(|| panic!("exchanged: {response:?}"));
    assert_eq!(token.split('.').count(), 3, "a JWT: {response:?}");
    let lifetime = response
        .header("x-access-token-expires-in")
        .and_then(|text| text.parse::<u64>().ok());
    assert!(
        lifetime.is_some_and(|seconds| seconds > 0),
        "a lifetime in whole seconds: {response:?}"
    );
    let cookie = response
        .refresh_cookie()
        .unwrap_or_else(|| panic!("a new cookie: {response:?}"));
    assert!(!cookie.deletes(), "a new cookie: {response:?}");
    attributes(&cookie);
    assert_no_store(response);
    cookie.value
}

/// The answer of `/auth/login` and `/auth/refresh`: returns its access token.
#[track_caller]
pub fn signed_in(response: &Response) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(
        response.header("content-type"),
        Some("application/json"),
        "{response:?}"
    );
    assert_no_store(response);
    let body = response.json();
    assert_eq!(body["token_type"], "Bearer", "{response:?}");
    assert!(
        body["expires_in"].as_u64().is_some_and(|seconds| seconds > 0),
        "{response:?}"
    );
    let token = body["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("an access token: {response:?}"));
    let claims = crate::forge::Jwt::decode(token).claims;
    assert_eq!(
        body["session_id"], claims["sid"],
        "the session's public id: {response:?}"
    );
    let members: Vec<_> = body
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        ["access_token", "expires_in", "session_id", "token_type"],
        "RT-22: nothing else"
    );
    token.to_owned()
}
