//! An answer in full, and the body of a request, as a shell reads and writes them.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::wire::denial::{Denial, DenialCode};
use crate::wire::grpc;

/// The body of a request to a ready route.
#[expect(clippy::exhaustive_enums, reason = "shells build it")]
pub enum RequestBody {
    /// All of it, at most [`Endpoint::body_limit`] bytes.
    Complete(Bytes),
    /// There was more.
    TooLarge,
    /// It broke off.
    Broken,
}

impl fmt::Debug for RequestBody {
    /// Without what may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete(body) => write!(f, "Complete({} bytes)", body.len()),
            Self::TooLarge => f.write_str("TooLarge"),
            Self::Broken => f.write_str("Broken"),
        }
    }
}

/// An answer in full.
#[derive(Clone)]
#[non_exhaustive]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case. Several may be `set-cookie`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// Why the request was refused, if it was.
    pub denial: Option<Denial>,
}

impl fmt::Debug for Reply {
    /// Without what may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("denial", &self.denial)
            .finish_non_exhaustive()
    }
}

impl Reply {
    /// The answer that a denial makes by itself.
    pub fn denied(denial: Denial) -> Self {
        let rendered = denial.body();
        let mut headers = denial.headers();
        headers.push(("content-type", rendered.content_type.to_owned()));
        Self {
            status: denial.status(),
            headers,
            body: rendered.body,
            denial: Some(denial),
        }
    }

    /// The answer that a denial makes to a request with this `Content-Type`: to a gRPC request a gRPC status, to all others
    /// that of [`denied`](Self::denied).
    pub fn denied_to(content_type: Option<&[u8]>, denial: Denial) -> Self {
        match content_type.and_then(grpc::media_type) {
            None => Self::denied(denial),
            Some(media_type) => Self {
                status: 200,
                headers: grpc::trailers_only(&denial, media_type),
                body: String::new(),
                denial: Some(denial),
            },
        }
    }

    pub(crate) fn empty() -> Self {
        Self {
            status: 204,
            headers: vec![no_store()],
            body: String::new(),
            denial: None,
        }
    }

    pub(crate) fn json(body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self {
                status: 200,
                headers: vec![no_store(), json()],
                body,
                denial: None,
            },
            Err(_) => Self::denied(Denial::new(DenialCode::Internal)),
        }
    }
}

pub(crate) fn no_store() -> (&'static str, String) {
    ("cache-control", "no-store".to_owned())
}

pub(crate) fn json() -> (&'static str, String) {
    ("content-type", "application/json".to_owned())
}
