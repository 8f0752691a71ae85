//! Denials as actix responses.

use std::error::Error;
use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use actix_web::{HttpResponse, ResponseError};
use auth_tower::adapter::Reply;
use auth_tower::{Denial, DenialCode};

/// Why a request was refused, as a response.
///
/// A handler that takes `Result<Claims<C>, Rejection>` answers in its own way; to change every body at once, see
/// [`render_denials`](auth_tower::AuthorityBuilder::render_denials). The response carries the [`Denial`] in its extensions,
/// for logs and metrics.
#[derive(Debug, Clone)]
pub struct Rejection(Denial);

impl Rejection {
    /// The stable code.
    pub fn code(&self) -> DenialCode {
        self.0.code()
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        status(self.0.status())
    }

    /// One sentence for a person.
    pub fn body_text(&self) -> &'static str {
        self.code().detail()
    }
}

impl From<Denial> for Rejection {
    fn from(denial: Denial) -> Self {
        Self(denial)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Rejection {}

impl ResponseError for Rejection {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        response(Reply::denied(self.0.clone()))
    }
}

pub(crate) fn response(reply: Reply) -> HttpResponse {
    let mut response = HttpResponse::with_body(status(reply.status), BoxBody::new(reply.body));
    for (name, value) in reply.headers {
        let Ok(value) = HeaderValue::try_from(value) else {
            continue;
        };
        let name = HeaderName::from_static(name);
        let value = guarded(&name, value);
        response.headers_mut().append(name, value);
    }
    if let Some(denial) = reply.denial {
        response.extensions_mut().insert(denial);
    }
    response
}

/// Appends cookies and replaces everything else. Once more on the same response, it changes nothing.
pub(crate) fn write(headers: &[(&'static str, String)], into: &mut HeaderMap) {
    for (name, value) in headers {
        let Ok(value) = HeaderValue::from_str(value) else {
            continue;
        };
        let name = HeaderName::from_static(name);
        let value = guarded(&name, value);
        if name != SET_COOKIE {
            into.insert(name, value);
        } else if !into.get_all(&name).any(|line| *line == value) {
            into.append(name, value);
        }
    }
}

/// Credentials stay out of the header map's `Debug`.
fn guarded(name: &HeaderName, mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(*name == SET_COOKIE || *name == "x-access-token");
    value
}

fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_twice_is_written_once() {
        let mut into = HeaderMap::new();
        into.append(SET_COOKIE, HeaderValue::from_static("theme=dark"));
        into.append(
            HeaderName::from_static("cache-control"),
            HeaderValue::from_static("public"),
        );
        let headers = [
            ("set-cookie", "refresh=1".to_owned()),
            ("set-cookie", "access=2".to_owned()),
            ("x-access-token", "3".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        for _ in 0..2 {
            write(&headers, &mut into);
            let cookies: Vec<_> = into.get_all(SET_COOKIE).map(HeaderValue::as_bytes).collect();
            assert_eq!(cookies, [b"theme=dark".as_slice(), b"refresh=1", b"access=2"]);
            for (name, value) in [("x-access-token", "3"), ("cache-control", "no-store")] {
                assert!(into.get_all(name).eq([value]), "{name}");
            }
        }
        let sensitive: Vec<_> = into.get_all(SET_COOKIE).map(HeaderValue::is_sensitive).collect();
        assert_eq!(sensitive, [false, true, true]);
    }
}
