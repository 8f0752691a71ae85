//! The session extractor.

use std::ops::Deref;

use auth_tower::adapter;
use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::facts::{facts, handle};
use crate::rejection::Rejection;

/// The session of the request: sign in, sign out, list, end. See [`auth_tower::Session`].
///
/// Extracting it asks for nothing and refuses nobody; what is called on it does.
#[derive(Debug, Clone)]
pub struct Session(auth_tower::Session);

impl Deref for Session {
    type Target = auth_tower::Session;

    fn deref(&self) -> &auth_tower::Session {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let handle = handle(&parts.extensions)?;
        Ok(Self(adapter::session(handle, &facts(parts))?))
    }
}
