//! Denials as gRPC tells them: a status in a header, instead of an HTTP status and a body.

use super::denial::{Denial, DenialCode};

/// A denial's gRPC status, for a handler that answers by itself.
///
/// With tonic:
///
/// ```
/// # use auth_tower::Denial;
/// # /* the example service has the real thing */ mod tonic {
/// #     pub type Metadata = std::collections::HashMap<&'static str, String>;
/// #     pub struct Status(pub i32, pub String, pub Metadata);
/// #     impl Status {
/// #         pub fn new(code: i32, message: impl Into<String>) -> Self { Self(code, message.into(), Metadata::new()) }
/// #         pub fn metadata_mut(&mut self) -> &mut Metadata { &mut self.2 }
/// #     }
/// # }
/// # type Status = tonic::Status;
/// fn status(denial: &Denial) -> Status {
///     let grpc = denial.grpc();
///     let mut status = Status::new(grpc.code, grpc.message); // tonic: `DenialCode::from(grpc.code)`
///     for (name, value) in grpc.metadata {
///         status.metadata_mut().insert(name, value); // tonic: `value.parse()`
///     }
///     status
/// }
///
/// let status = status(&Denial::missing_layer("the layer of auth-tower"));
/// assert_eq!((status.0, &*status.2["auth-code"]), (13, "internal"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrpcStatus {
    /// The number of a `google.rpc.DenialCode`: 16 `UNAUTHENTICATED` for 401, 7 `PERMISSION_DENIED` for 403, 14 `UNAVAILABLE` for
    /// 503, 8 `RESOURCE_EXHAUSTED` for 429 and 413, 3 `INVALID_ARGUMENT` for 400 and 415, 5 `NOT_FOUND` for 404, 12
    /// `UNIMPLEMENTED` for 405, 13 `INTERNAL` for 500.
    pub code: i32,
    /// One sentence for a person. Fixed: it never quotes the request.
    pub message: &'static str,
    /// What programs read, names in lower case: `auth-code` with the [`DenialCode`], by which a client tells `token_expired`
    /// (refresh, and call again) from what takes a new sign-in; `www-authenticate`, `retry-after` and `cache-control` as
    /// over HTTP; and `grpc-retry-pushback-ms`, which is how a gRPC client's retry policy hears of `retry-after`.
    pub metadata: Vec<(&'static str, String)>,
}

impl Denial {
    /// The same denial as a gRPC status. Bodies that the application renders have no part in it.
    pub fn grpc(&self) -> GrpcStatus {
        let mut metadata = vec![("auth-code", self.code().as_str().to_owned())];
        for (name, value) in self.headers() {
            match name {
                "allow" => {}
                "retry-after" => {
                    metadata.push(("grpc-retry-pushback-ms", format!("{value}000")));
                    metadata.push((name, value));
                }
                _ => metadata.push((name, value)),
            }
        }
        GrpcStatus {
            code: code(self.code()),
            message: self.code().detail(),
            metadata,
        }
    }
}

fn code(code: DenialCode) -> i32 {
    match code.status() {
        400 | 415 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        405 => 12,
        413 | 429 => 8,
        503 => 14,
        _ => 13,
    }
}

/// The media type that a gRPC request is answered in, or `None` for a request that is not gRPC's.
///
/// gRPC-Web is answered alike: its status, too, may stand in the headers of a response that has no body.
pub(crate) fn media_type(content_type: &[u8]) -> Option<&'static str> {
    let content_type = std::str::from_utf8(content_type).ok()?;
    let essence = content_type.split(';').next()?.trim().to_ascii_lowercase();
    // What follows a `+` is how messages are encoded, and there is none in the answer.
    Some(match essence.split('+').next()? {
        "application/grpc" => "application/grpc",
        "application/grpc-web" => "application/grpc-web",
        "application/grpc-web-text" => "application/grpc-web-text",
        _ => return None,
    })
}

/// The headers of a "Trailers-Only" response (gRPC over HTTP/2): status 200, and nothing follows them.
pub(crate) fn trailers_only(denial: &Denial, media_type: &'static str) -> Vec<(&'static str, String)> {
    let status = denial.grpc();
    let mut headers = vec![
        ("content-type", media_type.to_owned()),
        ("grpc-status", status.code.to_string()),
        ("grpc-message", percent_encoded(status.message)),
    ];
    headers.extend(status.metadata);
    headers
}

/// `Percent-Encoded` of gRPC over HTTP/2: printable ASCII but `%` stands for itself.
fn percent_encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_known_by_its_media_type_alone() {
        for (sent, answered) in [
            ("application/grpc", Some("application/grpc")),
            ("application/grpc+proto", Some("application/grpc")),
            ("Application/GRPC+json ; charset=utf-8", Some("application/grpc")),
            ("application/grpc-web", Some("application/grpc-web")),
            ("application/grpc-web+proto", Some("application/grpc-web")),
            ("application/grpc-web-text+proto", Some("application/grpc-web-text")),
            ("application/grpcish", None),
            ("application/grpc-", None),
            ("text/application/grpc", None),
            ("application/json", None),
            ("", None),
        ] {
            assert_eq!(media_type(sent.as_bytes()), answered, "{sent}");
        }
        assert_eq!(media_type(b"application/grpc\xff"), None);
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encoded("100 % sure, ~tilde"), "100 %25 sure, ~tilde");
        assert_eq!(percent_encoded("ü\n\u{7f}"), "%C3%BC%0A%7F");
    }
}
