//! One request to a ready route.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Route;
use crate::accounts::{Password, PasswordCredentials};
use crate::auth::Auth;
use crate::config::{OnOutage, defaults};
use crate::engine::authority::Authority;
use crate::facts::{RequestFacts, Single};
use crate::handle::Handle;
use crate::handle::session::{Session, SessionInfo};
use crate::id::SessionId;
use crate::wire::denial::{Denial, DenialCode};
use crate::wire::reply::{Reply, ReplyHeader, RequestBody};

/// One request to a ready route. Everything that the answer depends on has been read off the request but its body.
#[derive(Debug)]
pub struct Endpoint {
    authority: Arc<Authority>,
    route: Route,
    method_fits: bool,
    json: bool,
    /// The path's last segment, where it names a session.
    id: Option<SessionId>,
    handle: Handle,
    session: Session,
}

impl Endpoint {
    /// Begins to answer a request to `route`.
    pub fn new<C>(auth: &Auth<C>, route: Route, facts: &(impl RequestFacts + ?Sized)) -> Self {
        let (engine, authority) = (auth.engine().clone(), auth.authority_role().clone());
        let handle = Handle::new(engine, OnOutage::Accept);
        let session = Session::of_authority(&handle, &authority, facts);
        Self {
            authority,
            route,
            method_fits: route.allow().split(", ").any(|method| method == facts.method()),
            json: is_json(facts),
            id: facts.path().rsplit('/').next().and_then(|id| id.parse().ok()),
            handle,
            session,
        }
    }

    /// How many bytes of the body may be read before [`answer`](Self::answer) is called, or `None` if no body is wanted.
    pub fn body_limit(&self) -> Option<usize> {
        let wanted = self.route == Route::Login && self.method_fits && self.json;
        (wanted && self.session.forbid_cross_site().is_ok()).then_some(defaults::BODY_LIMIT)
    }

    /// How long the body may take to arrive; a slower one is [`Broken`](RequestBody::Broken).
    pub fn body_deadline(&self) -> Duration {
        defaults::BODY_DEADLINE
    }

    /// The answer.
    pub async fn answer(self, body: Option<RequestBody>) -> Reply {
        self.act(body)
            .await
            .unwrap_or_else(Reply::denied)
            .with_headers(self.handle.response_headers())
    }

    async fn act(&self, body: Option<RequestBody>) -> Result<Reply, Denial> {
        if !self.method_fits {
            return Err(self
                .authority
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
                // Who asks comes first: a stranger learns nothing of what is there.
                self.handle.user().await?;
                self.session
                    .end(self.id.ok_or_else(|| self.authority.denial(DenialCode::NotFound))?)
                    .await?;
                Reply::empty()
            }
            Route::Jwks => Reply {
                status: 200,
                headers: vec![
                    ReplyHeader::plain(
                        "cache-control",
                        format!("public, max-age={}", defaults::JWKS_MAX_AGE.as_secs()),
                    ),
                    ReplyHeader::plain("content-type", "application/jwk-set+json"),
                ],
                body: self.authority.keys.jwks(),
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
            return Err(self.authority.denial(DenialCode::UnsupportedMediaType));
        }
        let unreadable = || self.authority.denial(DenialCode::InvalidRequest);
        match body {
            Some(RequestBody::TooLarge) => Err(self.authority.denial(DenialCode::PayloadTooLarge)),
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
}

fn is_json(facts: &(impl RequestFacts + ?Sized)) -> bool {
    Single::read(facts, "content-type").as_str().is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}
