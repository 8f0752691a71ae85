//! The auth endpoints as plain request → response functions, the same for every framework.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::accounts::{Login, Password};
use crate::config::{OnOutage, defaults};
use crate::engine::Engine;
use crate::handle::Handle;
use crate::id::SessionId;
use crate::request::{RequestFacts, Single};
use crate::session::{Session, SessionInfo};
use crate::wire::grpc;
use crate::wire::problem::{Code, Denial};

/// A ready route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `POST {prefix}/login`
    Login,
    /// `POST {prefix}/refresh`
    Refresh,
    /// `POST {prefix}/logout`
    Logout,
    /// `POST {prefix}/logout-all`
    LogoutAll,
    /// `GET {prefix}/sessions`
    Sessions,
    /// `DELETE {prefix}/sessions/{id}`
    Session,
    /// `GET /.well-known/jwks.json`
    Jwks,
}

impl Route {
    /// Every ready route.
    pub const ALL: [Self; 7] = [
        Self::Login,
        Self::Refresh,
        Self::Logout,
        Self::LogoutAll,
        Self::Sessions,
        Self::Session,
        Self::Jwks,
    ];

    /// The path below the prefix, with `{id}` where a session's id stands; [`Jwks`](Self::Jwks) has an absolute one
    /// (RFC 8615).
    pub const fn path(self) -> &'static str {
        match self {
            Self::Login => "/login",
            Self::Refresh => "/refresh",
            Self::Logout => "/logout",
            Self::LogoutAll => "/logout-all",
            Self::Sessions => "/sessions",
            Self::Session => "/sessions/{id}",
            Self::Jwks => "/.well-known/jwks.json",
        }
    }

    /// Whether the path stands alone instead of below the prefix.
    pub const fn is_well_known(self) -> bool {
        matches!(self, Self::Jwks)
    }

    /// The methods it answers, for `Allow`.
    const fn allow(self) -> &'static str {
        match self {
            Self::Login | Self::Refresh | Self::Logout | Self::LogoutAll => "POST",
            Self::Sessions | Self::Jwks => "GET, HEAD",
            Self::Session => "DELETE",
        }
    }
}

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

    fn empty() -> Self {
        Self {
            status: 204,
            headers: vec![no_store()],
            body: String::new(),
            denial: None,
        }
    }

    fn json(body: &impl Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self {
                status: 200,
                headers: vec![no_store(), json()],
                body,
                denial: None,
            },
            Err(_) => Self::denied(Denial::new(Code::Internal)),
        }
    }
}

fn no_store() -> (&'static str, String) {
    ("cache-control", "no-store".to_owned())
}

fn json() -> (&'static str, String) {
    ("content-type", "application/json".to_owned())
}

/// One request to a ready route. Everything that the answer depends on has been read off the request but its body.
#[derive(Debug)]
pub struct Endpoint {
    engine: Arc<Engine>,
    route: Route,
    method_fits: bool,
    json: bool,
    handle: Handle,
    session: Session,
}

impl Endpoint {
    pub(crate) fn new(engine: Arc<Engine>, route: Route, facts: &(impl RequestFacts + ?Sized)) -> Self {
        let handle = Handle::new(engine.clone(), OnOutage::Accept);
        let session = Session::observe(&handle, facts);
        Self {
            engine,
            route,
            method_fits: route.allow().split(", ").any(|method| method == facts.method()),
            json: is_json(facts),
            handle,
            session,
        }
    }

    /// How many bytes of the body may be read before [`answer`](Self::answer) is called, or `None` if no body is wanted.
    pub fn body_limit(&self) -> Option<usize> {
        let wanted = self.route == Route::Login && self.method_fits && self.json;
        (wanted && self.session.forbid_cross_site().is_ok()).then_some(defaults::BODY_LIMIT)
    }

    /// The answer. `id` is the path's last segment as it was sent, for [`Route::Session`].
    pub async fn answer(self, body: Option<RequestBody>, id: Option<&str>) -> Reply {
        let reply = match self.act(body, id).await {
            Ok(reply) => reply,
            Err(denial) => Reply::denied(denial),
        };
        self.finish(reply)
    }

    async fn act(&self, body: Option<RequestBody>, id: Option<&str>) -> Result<Reply, Denial> {
        if !self.method_fits {
            return Err(self
                .engine
                .denial(Code::MethodNotAllowed)
                .with_allow(self.route.allow()));
        }
        Ok(match self.route {
            Route::Login => {
                // Before the body is judged: another site learns nothing from what it makes a browser send.
                self.session.forbid_cross_site()?;
                Reply::json(&self.session.log_in(&self.login(body)?).await?)
            }
            Route::Refresh => Reply::json(&self.session.refresh().await?),
            Route::Logout => {
                self.session.log_out().await?;
                Reply::empty()
            }
            Route::LogoutAll => {
                #[derive(Serialize)]
                struct Ended {
                    ended: u64,
                }
                Reply::json(&Ended {
                    ended: self.session.end_all().await?,
                })
            }
            Route::Sessions => {
                #[derive(Serialize)]
                struct Sessions {
                    sessions: Vec<SessionInfo>,
                }
                Reply::json(&Sessions {
                    sessions: self.session.list().await?,
                })
            }
            Route::Session => {
                let id = id.and_then(|id| id.parse::<SessionId>().ok());
                // Who asks comes first: a stranger learns nothing of what is there.
                self.handle.user().await?;
                self.session
                    .end(id.ok_or_else(|| self.engine.denial(Code::NotFound))?)
                    .await?;
                Reply::empty()
            }
            Route::Jwks => Reply {
                status: 200,
                headers: vec![
                    (
                        "cache-control",
                        format!("public, max-age={}", defaults::JWKS_MAX_AGE.as_secs()),
                    ),
                    ("content-type", "application/jwk-set+json".to_owned()),
                ],
                body: self.engine.keys.jwks(),
                denial: None,
            },
        })
    }

    fn login(&self, body: Option<RequestBody>) -> Result<Login, Denial> {
        /// The body of `POST /auth/login`. Further members are ignored (RFC 6749 §3.2 has the same rule).
        #[derive(Deserialize)]
        struct Body {
            username: String,
            password: Password,
            device: Option<String>,
        }
        if !self.json {
            return Err(self.engine.denial(Code::UnsupportedMediaType));
        }
        let unreadable = || self.engine.denial(Code::InvalidRequest);
        match body {
            Some(RequestBody::TooLarge) => Err(self.engine.denial(Code::PayloadTooLarge)),
            Some(RequestBody::Broken) | None => Err(unreadable()),
            Some(RequestBody::Complete(body)) => {
                let Body {
                    username,
                    password,
                    device,
                } = serde_json::from_slice(&body).map_err(|_| unreadable())?;
                Ok(Login::new(username, password, self.session.client(device.as_deref())))
            }
        }
    }

    /// Adds what the handle wants to say to the client.
    fn finish(&self, mut reply: Reply) -> Reply {
        for (name, value) in self.handle.response_headers() {
            if name != "set-cookie" {
                reply.headers.retain(|(other, _)| *other != name);
            }
            reply.headers.push((name, value));
        }
        reply
    }
}

fn is_json(facts: &(impl RequestFacts + ?Sized)) -> bool {
    Single::read(facts, "content-type").as_str().is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}
