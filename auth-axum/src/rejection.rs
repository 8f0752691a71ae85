//! Denials as axum responses.

use std::error::Error;
use std::fmt;

use auth_tower::adapter::Reply;
use auth_tower::{Denial, DenialCode};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

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
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
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

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        response(Reply::denied(self.0))
    }
}

pub(crate) fn response(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for header in reply.headers {
        let Ok(mut value) = HeaderValue::try_from(header.value) else {
            continue;
        };
        value.set_sensitive(header.sensitive);
        response
            .headers_mut()
            .append(HeaderName::from_static(header.name), value);
    }
    if let Some(denial) = reply.denial {
        response.extensions_mut().insert(denial);
    }
    response
}
