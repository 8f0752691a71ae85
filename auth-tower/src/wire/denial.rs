//! Denials: why a request was refused, and the one place that says how that looks on the wire.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// A stable code for programs, as the member `code` of every problem document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DenialCode {
    /// No credential was sent.
    MissingToken,
    /// The access token is malformed, forged, or not for this service.
    InvalidToken,
    /// The access token has expired, and nothing could be exchanged for a new one.
    TokenExpired,
    /// The access token's session is over.
    TokenRevoked,
    /// The token is good but does not allow this.
    InsufficientScope,
    /// Wrong user name or password.
    InvalidCredentials,
    /// A refresh without a refresh cookie.
    MissingRefreshToken,
    /// The refresh cookie is not one of ours.
    InvalidRefreshToken,
    /// The session has lapsed.
    RefreshTokenExpired,
    /// An earlier refresh token was presented; its session has been ended.
    RefreshTokenReused,
    /// The session was ended.
    SessionEnded,
    /// Another site's page asked for something that only the user may ask for.
    CrossSiteRequest,
    /// The request cannot be read.
    InvalidRequest,
    /// There is nothing here, or nothing of the caller's.
    NotFound,
    /// The route does not know this method.
    MethodNotAllowed,
    /// The body is larger than the route takes.
    PayloadTooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// Too many attempts.
    RateLimited,
    /// The session store cannot be asked now.
    StoreUnavailable,
    /// A fault of the server.
    Internal,
}

impl DenialCode {
    /// Status, code and what a person is told; the table of the HTTP surface.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::MissingToken => (401, "missing_token", "No access token was sent."),
            Self::InvalidToken => (401, "invalid_token", "The access token is not valid here."),
            Self::TokenExpired => (401, "token_expired", "The access token has expired."),
            Self::TokenRevoked => (401, "token_revoked", "The session of this access token has ended."),
            Self::InsufficientScope => (403, "insufficient_scope", "The access token does not allow this."),
            Self::InvalidCredentials => (401, "invalid_credentials", "The user name or the password is wrong."),
            Self::MissingRefreshToken => (401, "missing_refresh_token", "No refresh token was sent."),
            Self::InvalidRefreshToken => (401, "invalid_refresh_token", "The refresh token is not valid here."),
            Self::RefreshTokenExpired => (401, "refresh_token_expired", "The session has expired. Sign in again."),
            Self::RefreshTokenReused => (
                401,
                "refresh_token_reused",
                "A superseded refresh token was used, so the session was ended. Sign in again.",
            ),
            Self::SessionEnded => (401, "session_ended", "The session has ended. Sign in again."),
            Self::CrossSiteRequest => (403, "cross_site_request", "This request came from another site."),
            Self::InvalidRequest => (400, "invalid_request", "The request cannot be understood."),
            Self::NotFound => (404, "not_found", "There is nothing here."),
            Self::MethodNotAllowed => (405, "method_not_allowed", "This method is not allowed here."),
            Self::PayloadTooLarge => (413, "payload_too_large", "The request body is too large."),
            Self::UnsupportedMediaType => (
                415,
                "unsupported_media_type",
                "The request body must be application/json.",
            ),
            Self::RateLimited => (429, "rate_limited", "Too many attempts. Try again later."),
            Self::StoreUnavailable => (
                503,
                "store_unavailable",
                "Sessions cannot be checked now. Try again shortly.",
            ),
            Self::Internal => (500, "internal", "Something went wrong on the server."),
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The code as it is written.
    pub const fn as_str(self) -> &'static str {
        self.row().1
    }

    /// One sentence for a person. Fixed: it never quotes the request.
    pub const fn detail(self) -> &'static str {
        self.row().2
    }

    /// The status' phrase (RFC 9110 §15), the title of a problem of type `about:blank` (RFC 9457 §4.2.1).
    pub const fn title(self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
            429 => "Too Many Requests",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        }
    }
}

impl fmt::Display for DenialCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An answer's body, as the application's renderer made it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "renderers build it")]
pub struct DenialBody {
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Turns a denial into a body of the application's own.
pub(crate) type Renderer = Arc<dyn Fn(&Denial) -> DenialBody + Send + Sync>;

/// Why a request was refused, and everything its answer says.
///
/// The same for every framework: status, `WWW-Authenticate` challenge, headers and body are decided here.
#[derive(Clone)]
pub struct Denial {
    code: DenialCode,
    /// Whether a bearer token was sent: only then may the challenge carry an error code (RFC 6750 §3.1).
    presented: bool,
    scope: Option<Arc<str>>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    renderer: Option<Renderer>,
}

impl Denial {
    pub(crate) fn new(code: DenialCode) -> Self {
        Self {
            code,
            presented: false,
            scope: None,
            retry_after: None,
            allow: None,
            renderer: None,
        }
    }

    /// A denial in answer to a bearer token that was sent.
    pub(crate) fn of_token(code: DenialCode) -> Self {
        Self {
            presented: true,
            ..Self::new(code)
        }
    }

    pub(crate) fn presented(mut self, presented: bool) -> Self {
        self.presented = presented;
        self
    }

    pub(crate) fn with_scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.into());
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    pub(crate) fn with_allow(mut self, allow: &'static str) -> Self {
        self.allow = Some(allow);
        self
    }

    pub(crate) fn with_renderer(mut self, renderer: Option<Renderer>) -> Self {
        self.renderer = renderer;
        self
    }

    /// The layer is missing from the application: a fault of its wiring, which is the log's matter and not the client's.
    ///
    /// `missing` names what to add.
    pub fn missing_layer(missing: &'static str) -> Self {
        tracing::error!(target: "auth", missing, "authentication is not wired up: add the missing layer to the application");
        Self::new(DenialCode::Internal)
    }

    /// The code.
    pub fn code(&self) -> DenialCode {
        self.code
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.code.status()
    }

    /// The answer's headers, names in lower case; those of the cookies come from the request's handle.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("cache-control", "no-store".to_owned())];
        if let Some(challenge) = self.challenge() {
            headers.push(("www-authenticate", challenge));
        }
        if let Some(retry_after) = self.retry_after {
            headers.push(("retry-after", retry_after.as_secs().max(1).to_string()));
        }
        if let Some(allow) = self.allow {
            headers.push(("allow", allow.to_owned()));
        }
        headers
    }

    /// The answer's body and its type: an RFC 9457 problem document, unless the application renders its own.
    pub fn body(&self) -> DenialBody {
        match &self.renderer {
            Some(render) => render(self),
            None => self.problem(),
        }
    }

    /// The RFC 9457 problem document.
    pub fn problem(&self) -> DenialBody {
        #[derive(Serialize)]
        struct Problem {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            code: &'static str,
            detail: &'static str,
        }
        let problem = Problem {
            r#type: "about:blank",
            title: self.code.title(),
            status: self.code.status(),
            code: self.code.as_str(),
            detail: self.code.detail(),
        };
        DenialBody {
            content_type: "application/problem+json",
            body: serde_json::to_string(&problem).unwrap_or_else(|_| "{}".to_owned()),
        }
    }

    /// The challenge of RFC 6750 §3, on every 401 (RFC 9110 §15.5.2) and on denials about a bearer token.
    fn challenge(&self) -> Option<String> {
        let error = match self.code {
            DenialCode::InvalidRequest if self.presented => "invalid_request",
            DenialCode::InsufficientScope => "insufficient_scope",
            _ if self.status() != 401 => return None,
            _ if !self.presented => return Some("Bearer".to_owned()),
            _ => "invalid_token",
        };
        let mut challenge = format!("Bearer error=\"{error}\", error_description=\"{}\"", self.code.detail());
        // A scope that could not stand in a quoted string is left out rather than escaped: RFC 6749 §3.3 has no such scope.
        if let Some(scope) = self
            .scope
            .as_deref()
            .filter(|s| s.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\'))
        {
            challenge.push_str(&format!(", scope=\"{scope}\""));
        }
        Some(challenge)
    }
}

impl fmt::Debug for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denial")
            .field("code", &self.code)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request denied: {}", self.code)
    }
}

impl std::error::Error for Denial {}
