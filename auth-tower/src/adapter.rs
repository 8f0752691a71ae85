//! What a framework's shell is made of; applications need nothing of it.
//!
//! A shell reads the facts off a request ([`RequestFacts`]), asks the core, and writes the core's answer onto the response
//! ([`ReplyHeader`], [`Reply`]). It decides nothing by itself: `auth-axum`, `auth-actix` and the [tower layer](crate::layer)
//! are made of these parts, and a shell for another framework is too.
//!
//! 1. The layer puts a [`HandleSource::handle`] into each request, and after the handler copies [`response_headers`] onto the
//!    response.
//! 2. An extractor or guard calls [`observe`] and then asks [`claims_now`], or waits for [`Handle::claims`].
//! 3. Ready routes are answered by an [`Endpoint`] for each [`Route`].

use std::fmt;
use std::sync::Arc;

use crate::auth::Auth;
use crate::config::OnOutage;
use crate::engine::Engine;
use crate::handle::Handle;
use crate::handle::claims::Claims;
use crate::handle::session::Session;
use crate::wire::denial::Denial;

pub use crate::facts::RequestFacts;
pub use crate::routes::endpoint::Endpoint;
pub use crate::routes::{InvalidPrefix, Prefix, Route};
pub use crate::wire::reply::{Reply, ReplyHeader, RequestBody};

/// Makes the handle of each request: what a layer keeps of an [`Auth`], whatever its role.
#[derive(Clone)]
pub struct HandleSource {
    engine: Arc<Engine>,
    on_outage: OnOutage,
}

impl HandleSource {
    /// Handles of `auth`, with [`OnOutage::Accept`].
    pub fn new<C, R>(auth: &Auth<C, R>) -> Self {
        Self {
            engine: auth.engine().clone(),
            on_outage: OnOutage::Accept,
        }
    }

    /// What happens to a valid access token when neither the revocation feed nor the store can be asked.
    #[must_use]
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.on_outage = on_outage;
        self
    }

    /// The handle of one request.
    pub fn handle(&self) -> Handle {
        Handle::new(self.engine.clone(), self.on_outage)
    }

    /// Whether `other` is of an [`Auth`] that was built apart from this one's, for the same issuer and audience: the two share
    /// neither the verified tokens that they remember nor exchanges under way. Shells notice by it what should have been built
    /// once.
    pub fn is_duplicate_of(&self, other: &Self) -> bool {
        let (one, two) = (&self.engine.settings, &other.engine.settings);
        !Arc::ptr_eq(&self.engine, &other.engine) && one.issuer == two.issuer && one.audience == two.audience
    }
}

impl fmt::Debug for HandleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleSource")
            .field("on_outage", &self.on_outage)
            .finish_non_exhaustive()
    }
}

/// Reads what matters off the request, once. If memory can already tell who is asking, [`claims_now`] has the answer afterwards.
pub fn observe(handle: &Handle, facts: &(impl RequestFacts + ?Sized)) {
    handle.observe(facts);
}

/// The claims of a request that needs a user, if memory already knows them; `None` if it takes [`Handle::claims`] to tell.
///
/// This is the warm path: a shell asks here first, so that most requests wait for nothing.
pub fn claims_now<C: Send + Sync + 'static>(handle: &Handle) -> Option<Result<Claims<C>, Denial>> {
    handle.claims_now()
}

/// The session of a request, which is observed by this. Nothing is judged yet.
///
/// # Errors
/// 500, with a log line, at a service that only verifies: it has no sessions.
pub fn session(handle: &Handle, facts: &(impl RequestFacts + ?Sized)) -> Result<Session, Denial> {
    Session::of(handle, facts)
}

/// What the response must carry. Empty for nearly every request.
pub fn response_headers(handle: &Handle) -> Vec<ReplyHeader> {
    handle.response_headers()
}
