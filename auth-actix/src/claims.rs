//! The claims extractors.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use auth_tower::{Handle, RegisteredClaims, adapter};

use crate::facts::{Facts, with_handle};
use crate::rejection::Rejection;

/// The verified claims of the user who asks. Without one, the request is refused before the handler runs.
///
/// Dereferences to the application's own claims. Where the user is optional, take [`MaybeClaims`]: `Option<Claims<C>>` turns every
/// refusal into `None`, see the [crate page](crate#an-optional-user).
pub struct Claims<C>(auth_tower::Claims<C>);

impl<C> Claims<C> {
    /// The registered claims: subject, session, scope, times.
    pub fn registered(&self) -> &RegisteredClaims {
        self.0.registered()
    }

    /// Whether the token's scope has every one of these space-separated values.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.has_scope(scope)
    }

    /// Refuses a token without every one of these space-separated scope values.
    ///
    /// # Errors
    /// 403 `insufficient_scope`, naming the scope in its challenge (RFC 6750 §3.1).
    pub fn require_scope(&self, scope: &str) -> Result<(), Rejection> {
        Ok(self.0.require_scope(scope)?)
    }

    /// Refuses a user for whom `allowed` is false.
    ///
    /// # Errors
    /// 403 `insufficient_scope`.
    pub fn require(&self, allowed: impl FnOnce(&C) -> bool) -> Result<(), Rejection> {
        Ok(self.0.require(allowed)?)
    }
}

impl<C> Deref for Claims<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> Clone for Claims<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C> fmt::Debug for Claims<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C: Send + Sync + 'static> FromRequest for Claims<C> {
    type Error = Rejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Extracting<Self> {
        Extracting::new(request, |handle| match adapter::claims_now(handle) {
            Some(known) => Extracting::known(known.map(Self).map_err(Rejection::from)),
            None => {
                let handle = handle.clone();
                Extracting::asking(async move { Ok(Self(handle.claims().await?)) })
            }
        })
    }
}

/// The claims of the user who asks, if there is one.
///
/// No credential is no user, and so is a refresh cookie alone that is forged or whose session is over. A bad access token is
/// refused all the same, and so is everything while it cannot be told. The same on every framework.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "a handler takes it apart among its arguments")]
pub struct MaybeClaims<C>(pub Option<Claims<C>>);

impl<C: Send + Sync + 'static> FromRequest for MaybeClaims<C> {
    type Error = Rejection;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Extracting<Self> {
        Extracting::new(request, |handle| match adapter::claims_now(handle) {
            Some(Ok(claims)) => Extracting::known(Ok(Self(Some(Claims(claims))))),
            Some(Err(_)) | None => {
                let handle = handle.clone();
                Extracting::asking(async move { Ok(Self(handle.maybe_claims().await?.map(Claims))) })
            }
        })
    }
}

/// The future of an extractor: done at once where memory knows who asks.
pub struct Extracting<T>(State<T>);

type Asking<T> = Pin<Box<dyn Future<Output = Result<T, Rejection>> + Send>>;

enum State<T> {
    Known(Option<Result<T, Rejection>>),
    Asking(Asking<T>),
}

impl<T> Extracting<T> {
    fn new(request: &HttpRequest, extract: impl FnOnce(&Handle) -> Self) -> Self {
        let observed = with_handle(request, |handle| {
            adapter::observe(handle, &Facts(request.head()));
            extract(handle)
        });
        observed.unwrap_or_else(|rejection| Self::known(Err(rejection)))
    }

    fn known(known: Result<T, Rejection>) -> Self {
        Self(State::Known(Some(known)))
    }

    fn asking(asking: impl Future<Output = Result<T, Rejection>> + Send + 'static) -> Self {
        Self(State::Asking(Box::pin(asking)))
    }
}

impl<T: Unpin> Future for Extracting<T> {
    type Output = Result<T, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            // Polled again after it was done; a future may answer that as it likes.
            State::Known(known) => known.take().map_or(Poll::Pending, Poll::Ready),
            State::Asking(asking) => asking.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for Extracting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extracting").finish_non_exhaustive()
    }
}
