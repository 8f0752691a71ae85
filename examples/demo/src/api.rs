//! What the API's routes answer, and the rules for a note.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// The largest request body that `POST /api/notes` takes, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// The longest note, in bytes.
pub const MAX_NOTE: usize = 4 * 1024;

/// The role that `GET /api/admin` asks for.
pub const ADMIN: &str = "admin";

/// The answer of `GET /api/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Me {
    /// The subject.
    pub sub: String,
    /// The user's name.
    pub name: String,
    /// The user's roles.
    pub roles: Vec<String>,
    /// The session's public id.
    pub sid: String,
}

/// The answer of `GET /api/public`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Public {
    /// Who is there, if anybody is signed in.
    pub user: Option<String>,
}

/// The answer of `GET /api/admin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Admin {
    /// The administrator's name.
    pub admin: String,
}

/// The answer of `POST /api/notes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// A number that no other note of this process has.
    pub id: u64,
    /// The text, as it was sent.
    pub text: String,
}

/// Makes notes. They are numbered and handed back, not kept: the apps show authentication, not a database.
#[derive(Debug, Default)]
pub struct Notes {
    made: AtomicU64,
}

impl Notes {
    /// Reads `{"text": …}` from a request's body. Members that a note does not have are ignored.
    ///
    /// # Errors
    /// The [`Problem`] to answer, if the body is not declared as JSON, too large, or not a note.
    pub fn create(&self, content_type: Option<&[u8]>, body: Body<'_>) -> Result<Note, Problem> {
        #[derive(Deserialize)]
        struct NewNote<'a> {
            #[serde(borrow)]
            text: Cow<'a, str>,
        }
        if !content_type.is_some_and(is_json) {
            return Err(Problem::NOT_JSON);
        }
        let body = match body {
            Body::Complete(body) if body.len() <= MAX_BODY => body,
            Body::Complete(_) | Body::TooLarge => return Err(Problem::TOO_LARGE),
            Body::Broken => return Err(Problem::UNREADABLE),
        };
        let NewNote { text } = serde_json::from_slice(body).map_err(|_| Problem::NOT_A_NOTE)?;
        if text.len() > MAX_NOTE {
            return Err(Problem::NOT_A_NOTE);
        }
        Ok(Note {
            id: self.made.fetch_add(1, Ordering::Relaxed).wrapping_add(1),
            text: text.into_owned(),
        })
    }
}

/// What an app could read of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// All of it.
    Complete(&'a [u8]),
    /// There was more than [`MAX_BODY`].
    TooLarge,
    /// It broke off.
    Broken,
}

fn is_json(content_type: &[u8]) -> bool {
    content_type
        .split(|byte| *byte == b';')
        .next()
        .is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"application/json"))
}

/// An error of the app's own routes, of the same shape as those of the auth routes (RFC 9457).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
}

impl Problem {
    /// Its `Content-Type`.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// The body is not a note.
    pub const NOT_A_NOTE: Self = Self::new(
        400,
        "Bad Request",
        "invalid_request",
        "The body must be {\"text\": …} with a string of at most 4096 bytes.",
    );
    /// The body broke off or cannot be read.
    pub const UNREADABLE: Self = Self::new(400, "Bad Request", "invalid_request", "The body cannot be read.");
    /// The route takes WebSocket handshakes only (RFC 6455 §4.2.1).
    pub const NOT_A_HANDSHAKE: Self = Self::new(
        400,
        "Bad Request",
        "invalid_request",
        "This route takes WebSocket handshakes of version 13 only.",
    );
    /// There is no such route.
    pub const NOT_FOUND: Self = Self::new(404, "Not Found", "not_found", "There is nothing here.");
    /// The route has other methods.
    pub const WRONG_METHOD: Self = Self::new(
        405,
        "Method Not Allowed",
        "method_not_allowed",
        "This method is not allowed here.",
    );
    /// The body is larger than [`MAX_BODY`].
    pub const TOO_LARGE: Self = Self::new(
        413,
        "Content Too Large",
        "payload_too_large",
        "The request body is too large.",
    );
    /// The body is not declared as JSON.
    pub const NOT_JSON: Self = Self::new(
        415,
        "Unsupported Media Type",
        "unsupported_media_type",
        "The request body must be application/json.",
    );

    const fn new(status: u16, title: &'static str, code: &'static str, detail: &'static str) -> Self {
        Self {
            r#type: "about:blank",
            title,
            status,
            code,
            detail,
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The stable code, as in the body.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The body.
    pub fn to_json(&self) -> String {
        // Five plain members always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(notes: &Notes, content_type: Option<&[u8]>, body: impl AsRef<[u8]>) -> Result<Note, Problem> {
        notes.create(content_type, Body::Complete(body.as_ref()))
    }

    const JSON: Option<&[u8]> = Some(b"application/json");

    #[test]
    fn notes_are_numbered_and_handed_back() {
        let notes = Notes::default();
        let first = create(&notes, JSON, br#"{"text":"Hello"}"#).unwrap();
        let second = create(
            &notes,
            Some(b"Application/JSON ; charset=utf-8"),
            br#"{"text":"\u00e4\n","more":[1]}"#,
        );
        assert_eq!(serde_json::to_string(&first).unwrap(), r#"{"id":1,"text":"Hello"}"#);
        assert_eq!(
            second.unwrap(),
            Note {
                id: 2,
                text: "ä\n".into()
            }
        );
    }

    #[test]
    fn what_is_not_a_note_is_refused_with_its_status() {
        let notes = Notes::default();
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "{\"text\":1}",
            "{\"text\":null}",
            "{\"text\":\"a\",\"text\":\"b\"}",
            "{\"text\":\"a\"} x",
            "{\"text\":\"\\ud800\"}",
        ] {
            assert_eq!(create(&notes, JSON, body), Err(Problem::NOT_A_NOTE), "{body}");
        }
        assert_eq!(create(&notes, JSON, b"{\"text\":\"\xff\"}"), Err(Problem::NOT_A_NOTE));
        let nested = "[".repeat(MAX_BODY);
        assert_eq!(create(&notes, JSON, nested), Err(Problem::NOT_A_NOTE));
        for content_type in [
            None,
            Some(&b"text/plain"[..]),
            Some(b"application/jsonp"),
            Some(b"\xff"),
            Some(b""),
        ] {
            assert_eq!(
                create(&notes, content_type, b"{\"text\":\"a\"}"),
                Err(Problem::NOT_JSON)
            );
        }
    }

    #[test]
    fn both_limits_hold_to_the_byte() {
        let notes = Notes::default();
        let with_text = |len: usize| format!("{{\"text\":\"{}\"}}", "a".repeat(len));
        assert!(create(&notes, JSON, with_text(MAX_NOTE).as_bytes()).is_ok());
        assert_eq!(
            create(&notes, JSON, with_text(MAX_NOTE + 1).as_bytes()),
            Err(Problem::NOT_A_NOTE)
        );
        let padded = |len: usize| format!("{:<len$}", "{\"text\":\"a\"}");
        assert!(create(&notes, JSON, padded(MAX_BODY).as_bytes()).is_ok());
        assert_eq!(
            create(&notes, JSON, padded(MAX_BODY + 1).as_bytes()),
            Err(Problem::TOO_LARGE)
        );
    }

    #[test]
    fn a_problem_has_the_shape_of_the_auth_routes() {
        assert_eq!(
            Problem::NOT_FOUND.to_json(),
            r#"{"type":"about:blank","title":"Not Found","status":404,"code":"not_found","detail":"There is nothing here."}"#
        );
    }
}
