//! One request to a ready route.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::accounts::{Password, PasswordCredentials};
use crate::config::{OnOutage, defaults};
use crate::engine::Engine;
use crate::facts::{RequestFacts, Single};
use crate::handle::Handle;
use crate::handle::session::{Session, SessionInfo};
use crate::id::SessionId;
use crate::routes::Route;
use crate::wire::denial::{Denial, DenialCode};
use crate::wire::reply::{Reply, RequestBody};

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
                .denial(DenialCode::MethodNotAllowed)
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
                    .end(id.ok_or_else(|| self.engine.denial(DenialCode::NotFound))?)
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

    fn login(&self, body: Option<RequestBody>) -> Result<PasswordCredentials, Denial> {
        /// The body of `POST /auth/login`. Further members are ignored (RFC 6749 §3.2 has the same rule).
        #[derive(Deserialize)]
        struct Body {
            username: String,
            password: Password,
            device: Option<String>,
        }
        if !self.json {
            return Err(self.engine.denial(DenialCode::UnsupportedMediaType));
        }
        let unreadable = || self.engine.denial(DenialCode::InvalidRequest);
        match body {
            Some(RequestBody::TooLarge) => Err(self.engine.denial(DenialCode::PayloadTooLarge)),
            Some(RequestBody::Broken) | None => Err(unreadable()),
            Some(RequestBody::Complete(body)) => {
                let Body {
                    username,
                    password,
                    device,
                } = serde_json::from_slice(&body).map_err(|_| unreadable())?;
                Ok(PasswordCredentials::new(
                    username,
                    password,
                    self.session.client(device.as_deref()),
                ))
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
