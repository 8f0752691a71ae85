//! An answer with everything replaced that may differ between two apps which mean the same.

use std::collections::{BTreeMap, BTreeSet};

use acceptance::{Jwt, RefreshToken, Response};
use serde_json::{Map, Value};

/// What a client can tell of an answer, but for tokens, ids and times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Every header, its lines in the order in which they came.
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(response: &Response) -> Self {
        let mut headers = BTreeMap::<_, Vec<_>>::new();
        for (name, value) in &response.headers {
            let value = String::from_utf8_lossy(value);
            let value = match name.as_str() {
                "date" => "<date>".to_owned(),
                "set-cookie" => cookie(&value),
                "x-access-token-expires-in" => seconds(&value),
                // Its key is the client's.
                "sec-websocket-accept" => "<accept>".to_owned(),
                _ => text(&value),
            };
            headers.entry(name.clone()).or_default().push(value);
        }
        Self {
            status: response.status,
            headers,
            body: body(&response.body),
        }
    }

    /// With nothing but a status; 0 where the connection was closed without an answer.
    pub(crate) fn bare(status: u16) -> Self {
        Self {
            status,
            headers: BTreeMap::new(),
            body: String::new(),
        }
    }

    /// The refusal of a request that brings nothing.
    pub(crate) fn missing_token() -> Self {
        let body = r#"{"type":"about:blank","title":"Unauthorized","status":401,"code":"missing_token","detail":"No access token was sent."}"#;
        let mut answer = Self::bare(401)
            .with("cache-control", "no-store")
            .with("content-type", "application/problem+json")
            .with("content-length", &body.len().to_string())
            .with("date", "<date>")
            .with("www-authenticate", "Bearer");
        answer.body = self::body(body.as_bytes());
        answer
    }

    /// With one more header.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.entry(name.to_owned()).or_default().push(value.to_owned());
        self
    }

    /// Without a header, if it has this value.
    #[must_use]
    pub(crate) fn without(mut self, name: &str, value: &str) -> Self {
        if self.headers.get(name).is_some_and(|lines| lines == &[value]) {
            self.headers.remove(name);
        }
        self
    }

    /// What differs between the two, axum's and actix's, for a person.
    pub(crate) fn difference(axum: &Self, actix: &Self) -> String {
        let mut told = format!("{} against {}", axum.status, actix.status);
        let names: BTreeSet<_> = axum.headers.keys().chain(actix.headers.keys()).collect();
        for name in names {
            let (one, other) = (axum.headers.get(name), actix.headers.get(name));
            if one != other {
                told += &format!("\n    {name}: {one:?} against {other:?}");
            }
        }
        if axum.body != actix.body {
            told += &format!("\n    {:.300} against {:.300}", axum.body, actix.body);
        }
        told
    }
}

fn body(body: &[u8]) -> String {
    match serde_json::from_slice(body) {
        Ok(json @ (Value::Object(_) | Value::Array(_))) => shape("", json).to_string(),
        _ => text(&String::from_utf8_lossy(body)),
    }
}

/// The members' order is the text's: `serde_json` keeps it or sorts it for both apps alike.
fn shape(member: &str, value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = shape(&name, value);
                    (name, value)
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Array(values) => values.into_iter().map(|value| shape("", value)).collect(),
        Value::String(value) => Value::String(text(&value)),
        // How many notes or sessions there are is the tests' own history.
        Value::Number(number) if matches!(member, "expires_in" | "id") => Value::String(seconds(&number.to_string())),
        other => other,
    }
}

/// A `Set-Cookie` line: the value as what it is, `Max-Age` to the minute, and every attribute as it stands.
fn cookie(line: &str) -> String {
    let parts = line
        .split("; ")
        .enumerate()
        .map(|(at, part)| match part.split_once('=') {
            Some((name, value)) if at == 0 => format!("{name}={}", text(value)),
            Some(("Max-Age", age)) => {
                let age: i64 = age.parse().expect("a whole Max-Age");
                format!("Max-Age={}", (age + 59) / 60 * 60)
            }
            _ => part.to_owned(),
        });
    parts.collect::<Vec<_>>().join("; ")
}

fn seconds(text: &str) -> String {
    match text.parse::<i64>() {
        Ok(1..) => "<positive>".to_owned(),
        _ => text.to_owned(),
    }
}

/// Text with every token, id and time replaced by what it is.
fn text(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "-_.:+".contains(c);
    let mut shape = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        shape.push_str(&what_is(word));
        let mut after = after.chars();
        shape.extend(after.next());
        rest = after.as_str();
    }
    shape
}

fn what_is(word: &str) -> String {
    let base64url = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let time = || word.len() >= 20 && word.as_bytes().get(10) == Some(&b'T') && word.ends_with('Z');
    if word.starts_with("eyJ") && word.split('.').count() == 3 {
        return jwt(&Jwt::decode(word));
    }
    match word.len() {
        72 if word.chars().all(base64url) => {
            format!("<refresh token {}>", RefreshToken::decode(word).generation())
        }
        24 if word.chars().all(base64url) => "<id>".to_owned(),
        _ if time() => "<time>".to_owned(),
        _ => word.to_owned(),
    }
}

/// The header as it is; of the claims, those that do not depend on when and for which session it was made.
fn jwt(token: &Jwt) -> String {
    let claims = token.claims.as_object().expect("claims");
    let claims = claims.iter().map(|(name, value)| match name.as_str() {
        "exp" | "iat" | "nbf" | "auth_time" | "jti" | "sid" => name.clone(),
        _ => format!("{name}={value}"),
    });
    format!("<jwt {} {}>", token.header, claims.collect::<Vec<_>>().join(" "))
}

#[test]
fn what_may_differ_is_replaced_and_nothing_else() {
    let response = |max_age: &str, kind: &str, body: &str| Response {
        status: 200,
        headers: vec![
            (
                "set-cookie".to_owned(),
                format!("__Host-refresh={}; Path=/; Max-Age={max_age}", "A".repeat(72)).into_bytes(),
            ),
            ("content-type".to_owned(), kind.as_bytes().to_vec()),
        ],
        body: body.as_bytes().to_vec(),
    };
    let body =
        r#"{"id":7,"expires_in":899,"at":"2026-01-01T00:00:00Z","sid":"AAAAAAAAAAAAAAAAAAAAAAAA","name":"alice"}"#;
    let one = Answer::of(&response("604799", "application/json", body));
    assert_eq!(
        one.body,
        r#"{"at":"<time>","expires_in":"<positive>","id":"<positive>","name":"alice","sid":"<id>"}"#
    );
    assert_eq!(
        one.headers["set-cookie"],
        ["__Host-refresh=<refresh token 0>; Path=/; Max-Age=604800"]
    );
    let later = body.replace("899", "898").replace("AAAA", "BBBB");
    assert_eq!(one, Answer::of(&response("604790", "application/json", &later)));
    for other in [
        response("604700", "application/json", body),
        response("604799", "application/json; charset=utf-8", body),
        response("604799", "application/json", &body.replace("alice", "bob")),
        response("604799", "application/json", &body.replace(":7", ":null")),
        response("604799", "application/json", &body.replace("sid", "session")),
    ] {
        assert_ne!(one, Answer::of(&other));
    }
}
