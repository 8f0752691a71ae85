//! What a framework's shell is made of, and nobody else needs.

pub use crate::facts::RequestFacts;
pub use crate::routes::Route;
pub use crate::routes::endpoint::Endpoint;
pub use crate::wire::reply::{Reply, RequestBody};
