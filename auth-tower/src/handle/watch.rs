//! Hearing of a session's end, for connections that outlive their request.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use super::session::Session;
use crate::clock::Timestamp;
use crate::config::{OnOutage, defaults};
use crate::engine::{Engine, Role};
use crate::id::SessionId;
use crate::revocation::registry::Liveness;
use crate::revocation::watchers::{SessionStatus, WatchGuard};
use crate::token::verified::VerifiedToken;
use crate::wire::denial::{Denial, DenialCode};

/// Tells a long-lived connection (a WebSocket, server-sent events, a gRPC stream) when its session is over.
///
/// A request's token is checked once, when the request arrives; what the request leaves open would otherwise outlive a
/// sign-out. From [`Session::watch`] or [`Handle::watch`]. [`over`](Self::over) resolves when
///
/// * **the session is ended**, by whomever on whatever instance: here at once, elsewhere within a second while the feed is
///   up, and within the allowed staleness while it is not;
/// * **its idle or absolute lifetime has passed**, judged by the store within about a second. Only refreshes move the idle
///   deadline, so a connection alone does not keep its session alive, and one whose browser goes on refreshing stays open;
/// * **nothing can be learned**, because neither the feed nor the store answers. With [`OnOutage::Refuse`] that is as soon
///   as it is noticed: within the allowed staleness, a second and the store's deadline. With [`OnOutage::Accept`] it is one
///   access lifetime after the session was last known to live, as it would be for a token.
///
/// Clones watch the same session. A watch costs no task and a few hundred bytes, freed when the last clone and the last
/// future of it are dropped. Nobody is woken but the watchers of the session in question.
///
/// ```
/// # use auth_tower::adapter::{self, HandleSource};
/// # use auth_tower::layer::HttpFacts;
/// # use auth_tower::Accounts;
/// # use auth_tower::AccountsError;
/// # use auth_tower::Auth;
/// # use auth_tower::Denial;
/// # use auth_tower::Grant;
/// # use auth_tower::KeyRing;
/// # use auth_tower::PasswordCredentials;
/// # use auth_tower::MemoryStore;
/// # use auth_tower::Session;
/// # use auth_tower::Subject;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)] struct User {}
/// # struct Everybody;
/// # impl Accounts for Everybody {
/// #     type Claims = User;
/// #     async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> { Ok(Subject::new(login.username()).ok()) }
/// #     async fn claims(&self, _: &Subject) -> Result<Option<Grant<User>>, AccountsError> { Ok(Some(Grant::new(User {}))) }
/// # }
/// # struct Socket;
/// # impl Socket { async fn next(&mut self) -> Option<String> { std::future::pending().await } }
/// async fn talk(session: &Session, mut socket: Socket) -> Result<&'static str, Denial> {
///     // Before an upgrade is accepted: until then, 401 and 503 are still answers.
///     let watch = session.watch().await?;
///     loop {
///         tokio::select! {
///             () = watch.over() => return Ok("signed out"),
///             message = socket.next() => if message.is_none() { return Ok("gone") },
///         }
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let auth = Auth::<User>::authority(KeyRing::generate()?).issuer("i").audience("a").sessions(MemoryStore::new()).accounts(Everybody).build()?;
/// # let observe = |token: Option<&str>| {
/// #     let mut request = http::Request::post("/");
/// #     if let Some(token) = token { request = request.header("authorization", format!("Bearer {token}")); }
/// #     let request = request.body(()).unwrap();
/// #     let facts = HttpFacts::new(request.method(), request.uri(), request.headers(), None);
/// #     adapter::session(&HandleSource::new(&auth).handle(), &facts)
/// # };
/// # let login = PasswordCredentials::new("alice", "any", Default::default());
/// # let signed_in = observe(None)?.log_in(&login).await?;
/// # let session = observe(signed_in.access_token.as_deref())?;
///
/// let end = async {
///     # tokio::task::yield_now().await;
///     auth.end_session(signed_in.session_id).await
/// };
/// let (said, ended) = tokio::join!(talk(&session, Socket), end);
/// assert_eq!((said?, ended?), ("signed out", true));
/// assert_eq!(session.watch().await.unwrap_err().status(), 401);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Watch(Arc<Watching>);

struct Watching {
    ticket: WatchGuard,
    /// The tasks that ask and follow end with the engine.
    _engine: Arc<Engine>,
}

impl Watch {
    /// Resolves once the session is over, at once if it already is, and stays so.
    ///
    /// The future owns what it needs: it may be polled anywhere, and may outlive this value.
    ///
    /// # Cancel safety
    /// Safe in `select!`: dropping the future loses nothing, and the method may be called again, any number of times.
    pub fn over(&self) -> impl Future<Output = ()> + Send + Sync + 'static {
        let watching = self.0.clone();
        async move { watching.ticket.over().await }
    }

    /// Whether the session is known to be over by now.
    pub fn is_over(&self) -> bool {
        self.0.ticket.is_over()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("session", &self.0.ticket.key().0)
            .field("over", &self.is_over())
            .finish()
    }
}

impl Session {
    /// Watches the user's session, so that what outlives the request ends with it. See [`Watch`].
    ///
    /// # Errors
    /// As for a route that needs a user; 401 `token_revoked` or `refresh_token_expired` if the session is over already; 503
    /// if that cannot be told and outages are [refused](OnOutage::Refuse).
    pub async fn watch(&self) -> Result<Watch, Denial> {
        self.handle().watch().await
    }
}

impl Handle {
    /// Watches the user's session: [`Session::watch`] for services that find this handle in their request's extensions.
    ///
    /// # Errors
    /// As [`Session::watch`].
    pub async fn watch(&self) -> Result<Watch, Denial> {
        let user = self.user().await?;
        self.engine().watch(&user, self.on_outage()).await
    }
}

impl Engine {
    /// The store's word on a session; a service without a store hears of revocations from the feed alone.
    async fn ask(&self, session: SessionId) -> SessionStatus {
        match self.role() {
            Role::Authority(authority) => authority.ask(session).await,
            Role::Resource => SessionStatus::Unreachable,
        }
    }

    /// How long a token lives at most, as far as this service knows.
    fn access_lifetime(&self) -> Duration {
        self.authority().map_or(defaults::ACCESS_LIFETIME, |authority| {
            authority.sessions.access_lifetime
        })
    }

    async fn watch(self: &Arc<Self>, token: &VerifiedToken, on_outage: OnOutage) -> Result<Watch, Denial> {
        let session = token.registered.session_id();
        let lifetime = self.access_lifetime();
        let key = (session, on_outage);
        // Entered before the store is asked: what is ended after its answer is heard.
        let (ticket, confirmed) = self.revocations.watchers.enter(
            key,
            token.subject_key,
            Timestamp::from_secs(token.registered.expires_at()),
            lifetime,
            self.now(),
        );
        let over = |code| Err(self.denial(code).presented(true));
        if !confirmed || !self.revocations.knows_live(session, &token.subject_key) {
            match self.ask(session).await {
                SessionStatus::Revoked => return over(DenialCode::TokenRevoked),
                SessionStatus::Expired => return over(DenialCode::RefreshTokenExpired),
                SessionStatus::Unknown | SessionStatus::Unreachable if on_outage == OnOutage::Refuse => {
                    return Err(self.unavailable());
                }
                SessionStatus::Unknown | SessionStatus::Unreachable => {}
                status @ SessionStatus::Live { .. } => {
                    let tolerance = self.revocations.outage_tolerance(lifetime);
                    self.revocations
                        .watchers
                        .record_status(key, status, self.now(), tolerance);
                }
            }
        }
        match self.revocations.registry(session, &token.subject_key) {
            Liveness::Revoked => over(DenialCode::TokenRevoked),
            // As for a token: an outage does not open again what an ending may well cover.
            Liveness::Unclear => Err(self.unavailable()),
            Liveness::Live | Liveness::Stale => Ok(Watch(Arc::new(Watching {
                ticket,
                _engine: self.clone(),
            }))),
        }
    }
}
