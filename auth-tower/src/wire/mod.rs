//! Header and body bytes, in and out: cookies, RFC 6750 credentials and challenges, RFC 9457 problems, gRPC statuses.

pub(crate) mod bearer;
pub(crate) mod cookies;
pub(crate) mod denial;
pub(crate) mod grpc;
pub(crate) mod reply;
