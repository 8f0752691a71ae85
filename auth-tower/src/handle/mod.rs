//! The lazy handle of one request: asked at most once, and the last word on the response wins.

pub(crate) mod claims;
pub(crate) mod response;
pub(crate) mod session;
pub(crate) mod watch;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use self::claims::Claims;
use crate::config::OnOutage;
use crate::engine::Engine;
use crate::engine::credentials::{Access, RefreshCookies};
use crate::engine::identify::Identity;
use crate::facts::RequestFacts;
use crate::handle::response::Pending;
use crate::token::verified::VerifiedToken;
use crate::wire::denial::Denial;

/// What a layer leaves in a request's extensions.
///
/// Nothing is verified until an extractor, a guard or [`claims`](Self::claims) asks; then it happens once. Cheap to clone.
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

    /// Reads what matters off the request, once. If memory can already tell who is asking, `claims_now` has the answer
    /// afterwards.
    pub(crate) fn observe(&self, facts: &(impl RequestFacts + ?Sized)) {
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
        self.0.cookies.get_or_init(|| match self.0.engine.authority() {
            Some(authority) => authority.refresh_cookies(facts),
            None => RefreshCookies::none(),
        });
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

    /// The refresh cookies. A request that nobody observed is one without credentials.
    pub(crate) fn cookies(&self) -> &RefreshCookies {
        static NOTHING: RefreshCookies = RefreshCookies::none();
        self.0.cookies.get().unwrap_or(&NOTHING)
    }

    /// Who is asking, if that is known without waiting.
    fn known(&self) -> Option<&Identity> {
        self.0.identity.get()
    }

    pub(crate) async fn identity(&self) -> &Identity {
        let shared = &self.0;
        shared
            .identity
            .get_or_init(|| async {
                let mut write = |outcome| self.apply(outcome);
                let identity = shared
                    .engine
                    .identify(self.access(), self.cookies(), shared.on_outage, &mut write)
                    .await;
                self.drop_refused_cookie(&identity);
                identity
            })
            .await
    }

    /// The verified token, if memory already knows it; `None` if it takes [`claims`](Self::claims) to tell.
    ///
    /// This is the warm path: a shell whose extractors cannot wait uses it first.
    pub(crate) fn claims_now<C: Send + Sync + 'static>(&self) -> Option<Result<Claims<C>, Denial>> {
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
                .ok_or_else(|| Denial::missing_layer("an `Auth` with the claims type that this route asks for")),
            Identity::Anonymous(denial) | Identity::Refused(denial) => Err(denial.clone()),
        }
    }

    pub(crate) async fn user(&self) -> Result<Arc<VerifiedToken>, Denial> {
        match self.identity().await {
            Identity::User(token) => Ok(token.clone()),
            Identity::Anonymous(denial) | Identity::Refused(denial) => Err(denial.clone()),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("asked", &self.0.identity.initialized())
            .finish_non_exhaustive()
    }
}
