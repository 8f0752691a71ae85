//! The tower shell: reads facts off a request, asks the core, writes its answer onto the response.
//!
//! [`AuthLayer`] is lazy. It leaves a [`Handle`](crate::handle::Handle) in the request's extensions; nothing is verified until an
//! extractor asks, and the response carries what came of it. [`AuthLayer::required`] makes a layer for services without
//! extractors (hyper, tonic): it asks before the service is called, refuses what has no user, and leaves the verified
//! [`Claims`](crate::handle::claims::Claims) in the extensions.
//!
//! ```
//! use auth_tower::Auth;
//! use auth_tower::Claims;
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, service_fn};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Serialize, Deserialize)] struct User { name: String }
//!
//! # fn demo(auth: Auth<User>) {
//! let service = ServiceBuilder::new().layer(auth.layer().required()).service(service_fn(
//!     |request: Request<String>| async move {
//!         let claims = request.extensions().get::<Claims<User>>();
//!         let name = claims.map(|claims| claims.name.clone()).unwrap_or_default();
//!         Ok::<_, std::convert::Infallible>(Response::new(name))
//!     },
//! ));
//! # fn typed<S: tower::Service<Request<String>>>(_: S) {} typed(service);
//! # }
//! ```
//!
//! What outlives its request (a stream, an upgraded connection) finds the [`Handle`](crate::handle::Handle) there too, and ends with its
//! session by [`Handle::watch`](crate::handle::Handle::watch).
//!
//! # gRPC
//!
//! A request whose `content-type` is `application/grpc` (with any suffix) is refused as gRPC is: HTTP status 200, the truth in
//! `grpc-status` and `grpc-message`, no body, and as metadata `auth-code`, `www-authenticate`, `retry-after` and what the cookies
//! need. [`GrpcStatus`](crate::wire::grpc::GrpcStatus) has the table; a handler that asks by itself gets the same from
//! [`Denial::grpc`](crate::wire::denial::Denial::grpc). Behind the lazy layer the request of a gRPC call is read by the layer, because its handler
//! never sees it.
//!
//! gRPC clients keep no cookies as a rule: one whose token has expired is told `UNAUTHENTICATED` with `auth-code:
//! token_expired`, refreshes by `POST /auth/refresh`, and calls again. One that does send the refresh cookie is exchanged silently, and
//! finds `x-access-token` and `set-cookie` in the metadata of its answer.
//!
//! gRPC-Web (`application/grpc-web`, `application/grpc-web-text`) is answered alike, in its own media type: its clients accept a
//! status in the headers of an answer without a body. A page of another origin reads them only if CORS exposes `grpc-status`,
//! `grpc-message`, `auth-code` and `x-access-token`. Behind a translator such as `tonic-web` the request is plain gRPC already.

mod body;
mod facts;
mod future;
mod required;
mod service;

use std::fmt;

use tower_layer::Layer;

use crate::auth::Auth;
use crate::config::OnOutage;

pub use self::body::ResponseBody;
pub use self::facts::HttpFacts;
pub use self::future::{RequiredFuture, ResponseFuture};
pub use self::required::{Required, RequiredLayer};
pub use self::service::AuthService;

/// Puts the lazy handle into requests, and what came of it onto responses.
#[must_use]
pub struct AuthLayer<C> {
    auth: Auth<C>,
    on_outage: OnOutage,
}

impl<C> AuthLayer<C> {
    pub(crate) fn new(auth: Auth<C>) -> Self {
        Self {
            auth,
            on_outage: OnOutage::Accept,
        }
    }

    /// What happens to a valid access token when neither the revocation feed nor the store can be asked. Default:
    /// [`OnOutage::Accept`].
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.on_outage = on_outage;
        self
    }

    /// A layer that refuses requests without a user before the service sees them.
    pub fn required(self) -> RequiredLayer<C> {
        RequiredLayer::new(self.auth, self.on_outage)
    }
}

impl<S, C> Layer<S> for AuthLayer<C> {
    type Service = AuthService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, self.auth.clone(), self.on_outage)
    }
}

impl<C> Clone for AuthLayer<C> {
    fn clone(&self) -> Self {
        Self {
            auth: self.auth.clone(),
            on_outage: self.on_outage,
        }
    }
}

impl<C> fmt::Debug for AuthLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("on_outage", &self.on_outage)
            .finish_non_exhaustive()
    }
}
