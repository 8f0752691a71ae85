//! Verified claims: admission as a value that only the core can make.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::token::claims::RegisteredClaims;
use crate::token::verified::VerifiedToken;
use crate::wire::denial::{Denial, DenialCode, Renderer};

/// The claims of an access token that was verified for this request, with its session found live.
///
/// Dereferences to the application's own claims; the registered ones are behind [`token`](Self::registered). Cheap to clone.
pub struct Claims<C> {
    app: Arc<C>,
    token: Arc<VerifiedToken>,
    renderer: Option<Renderer>,
}

impl<C: Send + Sync + 'static> Claims<C> {
    /// `None` if the token was made for another claims type.
    pub(crate) fn of(token: Arc<VerifiedToken>, renderer: Option<Renderer>) -> Option<Self> {
        let app = token.app.clone().downcast::<C>().ok()?;
        Some(Self { app, token, renderer })
    }
}

impl<C> Claims<C> {
    /// The registered claims: subject, session, scope, times.
    pub fn registered(&self) -> &RegisteredClaims {
        &self.token.registered
    }

    /// Whether the token's scope has every one of these space-separated values.
    pub fn has_scope(&self, scope: &str) -> bool {
        let granted = self.token.registered.scope().unwrap_or_default();
        scope
            .split_ascii_whitespace()
            .all(|wanted| granted.split(' ').any(|one| one == wanted))
    }

    /// Refuses a token without every one of these space-separated scope values.
    ///
    /// # Errors
    /// 403 `insufficient_scope`, naming the scope in its challenge (RFC 6750 §3.1).
    pub fn require_scope(&self, scope: &str) -> Result<(), Denial> {
        if self.has_scope(scope) {
            return Ok(());
        }
        Err(self.insufficient().with_scope(scope))
    }

    /// Refuses a user for whom `allowed` is false.
    ///
    /// # Errors
    /// 403 `insufficient_scope`.
    pub fn require(&self, allowed: impl FnOnce(&C) -> bool) -> Result<(), Denial> {
        if allowed(&self.app) {
            Ok(())
        } else {
            Err(self.insufficient())
        }
    }

    fn insufficient(&self) -> Denial {
        Denial::of_token(DenialCode::InsufficientScope).with_renderer(self.renderer.clone())
    }
}

impl<C> Deref for Claims<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.app
    }
}

impl<C> Clone for Claims<C> {
    fn clone(&self) -> Self {
        Self {
            app: self.app.clone(),
            token: self.token.clone(),
            renderer: self.renderer.clone(),
        }
    }
}

impl<C> fmt::Debug for Claims<C> {
    /// The registered claims only: the application's own may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("token", &self.token.registered)
            .finish_non_exhaustive()
    }
}
