//! The claims extractors.

use std::fmt;
use std::ops::Deref;

use auth_tower::{Handle, RegisteredClaims, adapter};
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use crate::facts::{facts, handle};
use crate::rejection::Rejection;

/// The verified claims of the user who asks. Without one, the request is refused before the handler runs.
///
/// Dereferences to the application's own claims. `Option<Claims<C>>` makes the user optional, in the way of [`MaybeClaims`].
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

impl<C: Send + Sync + 'static, S: Send + Sync> FromRequestParts<S> for Claims<C> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let handle = observed(parts)?;
        let claims = match adapter::claims_now(&handle) {
            Some(known) => known,
            None => handle.claims().await,
        };
        Ok(Self(claims?))
    }
}

impl<C: Send + Sync + 'static, S: Send + Sync> OptionalFromRequestParts<S> for Claims<C> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        Ok(observed(parts)?.maybe_claims().await?.map(Self))
    }
}

/// The claims of the user who asks, if there is one.
///
/// No credential is no user, and so is a refresh cookie alone that is forged or whose session is over. A bad access token is
/// refused all the same, and so is everything while it cannot be told. The same on every framework.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "a handler takes it apart among its arguments")]
pub struct MaybeClaims<C>(pub Option<Claims<C>>);

impl<C: Send + Sync + 'static, S: Send + Sync> FromRequestParts<S> for MaybeClaims<C> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        <Claims<C> as OptionalFromRequestParts<S>>::from_request_parts(parts, state)
            .await
            .map(Self)
    }
}

fn observed(parts: &Parts) -> Result<Handle, Rejection> {
    let handle = handle(&parts.extensions)?;
    adapter::observe(handle, &facts(parts));
    Ok(handle.clone())
}
