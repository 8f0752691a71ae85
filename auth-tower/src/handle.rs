//! The lazy handle of one request: asked at most once, and the last word on the response wins.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::claims::Claims;
use crate::config::{AccessTransport, OnOutage};
use crate::engine::{Access, CookieOutcome, Engine, Identity, RefreshCookies};
use crate::exchange::{Exchanged, RefreshCookie};
use crate::id::{SessionId, SubjectKey};
use crate::request::RequestFacts;
use crate::token::{Issued, VerifiedToken};
use crate::wire::cookies;
use crate::wire::problem::{Code, Denial};

/// What a layer leaves in a request's extensions.
///
/// Nothing is verified until somebody asks; then it happens once. After the handler, the layer asks
/// [`response_headers`](Self::response_headers) what to write. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    engine: Arc<Engine>,
    on_outage: OnOutage,
    /// With whether it came in a cookie.
    access: OnceLock<(Access, bool)>,
    cookies: OnceLock<RefreshCookies>,
    identity: OnceCell<Identity>,
    /// Whether `pending` holds anything: a request that wrote nothing pays one load.
    dirty: AtomicBool,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    /// The session whose exchange is handed out. Not that of a sign-in: it is new, and an ending of earlier sessions that
    /// becomes known just now is not its.
    exchanged: Option<(SessionId, SubjectKey)>,
    refresh: Option<RefreshWrite>,
    access: Option<AccessWrite>,
}

enum RefreshWrite {
    Set(String),
    Clear,
}

enum AccessWrite {
    Set { token: String, expires_in: u64 },
    Clear,
}

impl Handle {
    pub(crate) fn new(engine: Arc<Engine>, on_outage: OnOutage) -> Self {
        Self(Arc::new(Shared {
            engine,
            on_outage,
            access: OnceLock::new(),
            cookies: OnceLock::new(),
            identity: OnceCell::new(),
            dirty: AtomicBool::new(false),
            pending: Mutex::new(Pending::default()),
        }))
    }

    /// Reads what matters off the request, once. If memory can already tell who is asking, [`claims_now`](Self::claims_now) has the
    /// answer afterwards.
    pub fn observe(&self, facts: &(impl RequestFacts + ?Sized)) {
        let shared = &self.0;
        // Read once: on the warm path the clock is a part of the price.
        let now = shared.engine.now();
        let (access, _) = shared.access.get_or_init(|| shared.engine.access(facts, now));
        if let Access::Valid(token) = access {
            if !shared.identity.initialized()
                && let Some(identity) = shared.engine.recall(token, now)
            {
                self.drop_refused_cookie(&identity);
                let _ = shared.identity.set(identity);
            }
        } else {
            self.observe_cookies(facts);
        }
    }

    /// Reads the refresh cookies too, for what acts on them whatever the access token says.
    pub(crate) fn observe_cookies(&self, facts: &(impl RequestFacts + ?Sized)) {
        self.0.cookies.get_or_init(|| self.0.engine.refresh_cookies(facts));
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.0.engine
    }

    pub(crate) fn on_outage(&self) -> OnOutage {
        self.0.on_outage
    }

    pub(crate) fn access(&self) -> &Access {
        self.0.access.get().map_or(&Access::Absent, |(access, _)| access)
    }

    pub(crate) fn cookies(&self) -> Option<&RefreshCookies> {
        self.0.cookies.get()
    }

    /// Who is asking, if that is known without waiting.
    fn known(&self) -> Option<&Identity> {
        self.0.identity.get()
    }

    pub(crate) async fn identity(&self) -> &Identity {
        // A request that nobody observed is one without credentials.
        static NOTHING: RefreshCookies = RefreshCookies {
            authority: crate::csrf::CookieAuthority::Absent,
            sent: false,
            authentic: Vec::new(),
        };
        let shared = &self.0;
        shared
            .identity
            .get_or_init(|| async {
                let cookies = shared.cookies.get().unwrap_or(&NOTHING);
                let mut write = |outcome: CookieOutcome| match outcome {
                    CookieOutcome::Exchanged(exchanged) => self.exchanged(&exchanged),
                    CookieOutcome::Over => self.clear(),
                };
                let identity = shared
                    .engine
                    .identify(self.access(), cookies, shared.on_outage, &mut write)
                    .await;
                self.drop_refused_cookie(&identity);
                identity
            })
            .await
    }

    /// An access cookie that is refused for good would be sent again and again, and no script can remove it.
    fn drop_refused_cookie(&self, identity: &Identity) {
        if let (Some((_, true)), Identity::Refused(denial)) = (self.0.access.get(), identity)
            && matches!(denial.code(), Code::InvalidToken | Code::TokenRevoked)
        {
            self.0.pending.lock().access = Some(AccessWrite::Clear);
            self.0.dirty.store(true, Ordering::Release);
        }
    }

    /// The verified token, if memory already knows it; `None` if it takes [`claims`](Self::claims) to tell.
    ///
    /// This is the warm path: a shell whose extractors cannot wait uses it first.
    pub fn claims_now<C: Send + Sync + 'static>(&self) -> Option<Result<Claims<C>, Denial>> {
        self.known().map(|identity| self.required(identity))
    }

    /// The claims of a request that needs a user.
    ///
    /// # Errors
    /// Why there is no user.
    pub async fn claims<C: Send + Sync + 'static>(&self) -> Result<Claims<C>, Denial> {
        self.required(self.identity().await)
    }

    /// The claims, or `None` for a request without a user: nothing was sent, or only a refresh cookie that is dead or
    /// forged.
    ///
    /// # Errors
    /// A bad access token is refused here too, and so is everything that cannot be told now.
    pub async fn maybe_claims<C: Send + Sync + 'static>(&self) -> Result<Option<Claims<C>>, Denial> {
        match self.identity().await {
            Identity::Anonymous(_) => Ok(None),
            identity => self.required(identity).map(Some),
        }
    }

    fn required<C: Send + Sync + 'static>(&self, identity: &Identity) -> Result<Claims<C>, Denial> {
        match identity {
            Identity::User(token) => Claims::of(token.clone(), self.0.engine.settings.renderer.clone())
                .ok_or_else(|| Denial::wiring("an `Auth` with the claims type that this route asks for")),
            Identity::Anonymous(denial) | Identity::Refused(denial) => Err(denial.clone()),
        }
    }

    pub(crate) async fn user(&self) -> Result<Arc<VerifiedToken>, Denial> {
        match self.identity().await {
            Identity::User(token) => Ok(token.clone()),
            Identity::Anonymous(denial) | Identity::Refused(denial) => Err(denial.clone()),
        }
    }

    /// What the response must carry: `set-cookie` lines are to be appended, all others to replace what is there.
    ///
    /// Empty for nearly every request.
    pub fn response_headers(&self) -> Vec<(&'static str, String)> {
        if !self.0.dirty.load(Ordering::Acquire) {
            return Vec::new();
        }
        let settings = &self.0.engine.settings;
        let pending = self.0.pending.lock();
        let mut headers = Vec::with_capacity(4);
        // A session that was ended while this answer was made hands out nothing: its cookies could only overwrite newer ones.
        let ended = pending
            .exchanged
            .is_some_and(|(session, subject)| !self.0.engine.revocations.knows_live(session, &subject));
        match &pending.refresh {
            None => {}
            Some(RefreshWrite::Clear) => headers.push(("set-cookie", cookies::clear(&settings.cookie))),
            Some(RefreshWrite::Set(_)) if ended => {}
            Some(RefreshWrite::Set(cookie)) => headers.push(("set-cookie", cookie.clone())),
        }
        let access = pending
            .access
            .as_ref()
            .filter(|access| !ended || matches!(access, AccessWrite::Clear));
        match (access, &settings.transport) {
            (None, _) | (Some(AccessWrite::Clear), AccessTransport::Header) => {}
            (Some(AccessWrite::Clear), AccessTransport::Cookie(config)) => {
                headers.push(("set-cookie", cookies::clear(config)));
            }
            (Some(AccessWrite::Set { token, expires_in }), AccessTransport::Header) => {
                headers.push(("x-access-token", token.clone()));
                headers.push(("x-access-token-expires-in", expires_in.to_string()));
            }
            (Some(AccessWrite::Set { token, expires_in }), AccessTransport::Cookie(config)) => {
                headers.push((
                    "set-cookie",
                    cookies::set(config, token, std::time::Duration::from_secs(*expires_in)),
                ));
            }
        }
        if !headers.is_empty() {
            headers.push(("cache-control", "no-store".to_owned()));
        }
        headers
    }

    /// An exchange on the silent path: a request that was already under way gets its answer and no token.
    fn exchanged(&self, exchanged: &Exchanged) {
        if !exchanged.late {
            self.hand_out(exchanged);
        }
    }

    pub(crate) fn hand_out(&self, exchanged: &Exchanged) {
        let token = &exchanged.issued.verified;
        self.write(&exchanged.issued, exchanged.refresh.as_ref());
        self.0.pending.lock().exchanged = Some((token.registered.session_id(), token.subject_key));
    }

    pub(crate) fn write(&self, issued: &Issued, refresh: Option<&RefreshCookie>) {
        let config = &self.0.engine.settings.cookie;
        let mut pending = self.0.pending.lock();
        pending.exchanged = None;
        if let Some(refresh) = refresh {
            let cookie = cookies::set(config, refresh.token.expose_secret(), refresh.max_age);
            pending.refresh = Some(RefreshWrite::Set(cookie));
        }
        pending.access = Some(AccessWrite::Set {
            token: issued.token.clone(),
            expires_in: issued.expires_in,
        });
        self.0.dirty.store(true, Ordering::Release);
    }

    /// The access token for a body that carries it, which then replaces the header. With cookie transport it stays out of
    /// the body, where a script could read it.
    pub(crate) fn token_in_body(&self, token: &str) -> Option<String> {
        if self.0.engine.settings.transport != AccessTransport::Header {
            return None;
        }
        self.0.pending.lock().access = None;
        Some(token.to_owned())
    }

    pub(crate) fn clear(&self) {
        let mut pending = self.0.pending.lock();
        pending.refresh = Some(RefreshWrite::Clear);
        pending.access = Some(AccessWrite::Clear);
        self.0.dirty.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("asked", &self.0.identity.initialized())
            .finish_non_exhaustive()
    }
}
