//! Denials as actix responses.

use std::error::Error;
use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use auth_tower::adapter::{Reply, ReplyHeader};
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
    for header in &reply.headers {
        if let Some((name, value)) = copied(header) {
            response.headers_mut().append(name, value);
        }
    }
    if let Some(denial) = reply.denial {
        response.extensions_mut().insert(denial);
    }
    response
}

/// Copies headers as they are told. Once more on the same response, it changes nothing.
pub(crate) fn write(headers: &[ReplyHeader], into: &mut HeaderMap) {
    for header in headers {
        let Some((name, value)) = copied(header) else {
            continue;
        };
        if !header.append {
            into.insert(name, value);
        } else if !into.get_all(&name).any(|line| *line == value) {
            into.append(name, value);
        }
    }
}

fn copied(header: &ReplyHeader) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(&header.value).ok()?;
    value.set_sensitive(header.sensitive);
    Some((HeaderName::from_static(header.name), value))
}

fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::SET_COOKIE;

    use super::*;

    #[test]
    fn written_twice_is_written_once() {
        let mut into = HeaderMap::new();
        into.append(SET_COOKIE, HeaderValue::from_static("theme=dark"));
        into.append(
            HeaderName::from_static("cache-control"),
            HeaderValue::from_static("public"),
        );
        let header = |name, value: &str, is_cookie| ReplyHeader {
            name,
            value: value.to_owned(),
            append: is_cookie,
            sensitive: is_cookie,
        };
        let headers = [
            header("set-cookie", "refresh=1", true),
            header("set-cookie", "access=2", true),
            header("x-access-token", "3", false),
            header("cache-control", "no-store", false),
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
