//! The facts of an `http` 1.x request.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderMap, Method, Uri, header};

use crate::facts::RequestFacts;

/// The facts of a request of the `http` crate's 1.x generation (hyper 1, axum, tonic).
#[derive(Clone, Copy)]
pub struct HttpFacts<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    client_ip: Option<IpAddr>,
}

impl<'a> HttpFacts<'a> {
    /// The facts of a request with these parts, from this peer.
    pub fn new(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap, client_ip: Option<IpAddr>) -> Self {
        Self {
            method,
            uri,
            headers,
            client_ip,
        }
    }
}

impl fmt::Debug for HttpFacts<'_> {
    /// Without headers and query, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFacts")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

impl RequestFacts for HttpFacts<'_> {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn header_lines(&self, name: &'static str, each: &mut dyn FnMut(&[u8])) {
        // The one header that every authenticated request is asked for is found without parsing its name.
        let lines = match name {
            "authorization" => self.headers.get_all(header::AUTHORIZATION),
            name => self.headers.get_all(name),
        };
        for line in lines {
            each(line.as_bytes());
        }
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(http::uri::Authority::as_str)
    }

    fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }
}
