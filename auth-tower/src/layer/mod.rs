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
use std::marker::PhantomData;

use tower_layer::Layer;

use crate::adapter::HandleSource;
use crate::auth::Auth;
use crate::config::OnOutage;

pub use self::body::ResponseBody;
pub use self::facts::HttpFacts;
pub use self::future::{RequiredFuture, ResponseFuture};
pub use self::required::{Required, RequiredLayer};
pub use self::service::AuthService;

impl<C, R> Auth<C, R> {
    /// The tower layer: lazy, so a public route costs next to nothing. See [`AuthLayer::required`] for plain services.
    pub fn layer(&self) -> AuthLayer<C> {
        AuthLayer::new(HandleSource::new(self))
    }
}

/// Puts the lazy handle into requests, and what came of it onto responses.
#[must_use]
pub struct AuthLayer<C> {
    handles: HandleSource,
    claims: PhantomData<fn() -> C>,
}

impl<C> AuthLayer<C> {
    fn new(handles: HandleSource) -> Self {
        Self {
            handles,
            claims: PhantomData,
        }
    }

    /// What happens to a valid access token when neither the revocation feed nor the store can be asked. Default:
    /// [`OnOutage::Accept`].
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.handles = self.handles.on_outage(on_outage);
        self
    }

    /// A layer that refuses requests without a user before the service sees them.
    pub fn required(self) -> RequiredLayer<C> {
        RequiredLayer::new(self.handles)
    }
}

impl<S, C> Layer<S> for AuthLayer<C> {
    type Service = AuthService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, self.handles.clone())
    }
}

impl<C> Clone for AuthLayer<C> {
    fn clone(&self) -> Self {
        Self::new(self.handles.clone())
    }
}

impl<C> fmt::Debug for AuthLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("handles", &self.handles)
            .finish_non_exhaustive()
    }
}
