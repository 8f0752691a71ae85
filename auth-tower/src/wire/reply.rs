//! An answer in full, and the body of a request, as a shell reads and writes them.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::wire::denial::{Denial, DenialCode};
use crate::wire::grpc;

/// The body of a request to a ready route.
#[expect(clippy::exhaustive_enums, reason = "shells build it")]
pub enum RequestBody {
    /// All of it, at most [`Endpoint::body_limit`](crate::adapter::Endpoint::body_limit) bytes.
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

/// A header of an answer. Shells copy it as it is told here.
#[derive(Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "shells and their tests take it apart and build it"
)]
pub struct ReplyHeader {
    /// The name, in lower case.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// Whether the line is added to those of its name that are there already; otherwise it takes their place.
    pub append: bool,
    /// Whether the value is a credential, which no log may show.
    pub sensitive: bool,
}

impl ReplyHeader {
    pub(crate) fn plain(name: &'static str, value: impl Into<String>) -> Self {
        Self {
            name,
            value: value.into(),
            append: false,
            sensitive: false,
        }
    }

    pub(crate) fn secret(name: &'static str, value: String) -> Self {
        Self {
            sensitive: true,
            ..Self::plain(name, value)
        }
    }

    pub(crate) fn set_cookie(value: String) -> Self {
        Self {
            append: true,
            ..Self::secret("set-cookie", value)
        }
    }
}

impl fmt::Debug for ReplyHeader {
    /// Without what may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.sensitive { "…" } else { &self.value };
        write!(f, "{}: {value}", self.name)
    }
}

/// An answer in full.
#[derive(Clone)]
#[non_exhaustive]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<ReplyHeader>,
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
        let mut headers = replies(denial.headers());
        headers.push(ReplyHeader::plain("content-type", rendered.content_type));
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
                headers: replies(grpc::trailers_only(&denial, media_type)),
                body: String::new(),
                denial: Some(denial),
            },
        }
    }

    /// Adds what a handle wants to say to the client.
    pub(crate) fn with_headers(mut self, headers: Vec<ReplyHeader>) -> Self {
        for header in headers {
            if !header.append {
                self.headers.retain(|other| other.name != header.name);
            }
            self.headers.push(header);
        }
        self
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

fn no_store() -> ReplyHeader {
    ReplyHeader::plain("cache-control", "no-store")
}

fn json() -> ReplyHeader {
    ReplyHeader::plain("content-type", "application/json")
}

fn replies(headers: Vec<(&'static str, String)>) -> Vec<ReplyHeader> {
    headers
        .into_iter()
        .map(|(name, value)| ReplyHeader::plain(name, value))
        .collect()
}
