//! The facts of an actix request.

use std::net::IpAddr;

use actix_web::HttpMessage;
use actix_web::dev::RequestHead;
use actix_web::http::header;
use auth_tower::adapter::RequestFacts;
use auth_tower::{Denial, Handle};

use crate::rejection::Rejection;

/// A request's head, read in place: nothing is converted between generations of the `http` crate.
pub(crate) struct Facts<'a>(pub(crate) &'a RequestHead);

impl RequestFacts for Facts<'_> {
    fn method(&self) -> &str {
        self.0.method.as_str()
    }

    fn header_lines(&self, name: &'static str, each: &mut dyn FnMut(&[u8])) {
        // The one header that every authenticated request is asked for is found without parsing its name.
        let lines = match name {
            "authorization" => self.0.headers.get_all(header::AUTHORIZATION),
            name => self.0.headers.get_all(name),
        };
        for line in lines {
            each(line.as_bytes());
        }
    }

    fn path(&self) -> &str {
        self.0.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.0.uri.query()
    }

    fn authority(&self) -> Option<&str> {
        self.0.uri.authority().map(|authority| authority.as_str())
    }

    /// The peer's own: what a forwarding header says is not trusted.
    fn client_ip(&self) -> Option<IpAddr> {
        self.0.peer_addr.map(|peer| peer.ip())
    }
}

/// Asks the handle that the middleware left. `ask` must not wait: the request's extensions are borrowed meanwhile.
pub(crate) fn with_handle<T>(request: &impl HttpMessage, ask: impl FnOnce(&Handle) -> T) -> Result<T, Rejection> {
    match request.extensions().get::<Handle>() {
        Some(handle) => Ok(ask(handle)),
        None => Err(Denial::missing_layer(
            "`.wrap(auth_actix::middleware(&auth))` around this route, outside of any guard",
        )
        .into()),
    }
}
