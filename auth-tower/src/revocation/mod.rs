//! Is this session over? Ended sessions, known in memory, and the feed that brings them.

pub(crate) mod feed;
pub(crate) mod poller;
pub(crate) mod registry;
pub(crate) mod watchers;
