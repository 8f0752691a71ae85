//! The facts of an axum request.

use std::net::{IpAddr, SocketAddr};

use auth_tower::layer::HttpFacts;
use auth_tower::{Denial, Handle};
use axum::extract::ConnectInfo;
use http::Extensions;
use http::request::Parts;

use crate::rejection::Rejection;

pub(crate) fn client_ip(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| peer.ip())
}

pub(crate) fn facts(parts: &Parts) -> HttpFacts<'_> {
    HttpFacts::new(&parts.method, &parts.uri, &parts.headers, client_ip(&parts.extensions))
}

/// The handle that the layer left.
pub(crate) fn handle(extensions: &Extensions) -> Result<&Handle, Rejection> {
    extensions
        .get::<Handle>()
        .ok_or_else(|| Denial::missing_layer("`.layer(auth.layer())` around this route").into())
}
