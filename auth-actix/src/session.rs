//! The session extractor.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use auth_tower::adapter;

use crate::facts::{Facts, with_handle};
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

impl FromRequest for Session {
    type Error = Rejection;
    type Future = Ready<Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let observed = with_handle(request, |handle| adapter::session(handle, &Facts(request.head())));
        ready(observed.and_then(|session| Ok(Self(session?))))
    }
}
