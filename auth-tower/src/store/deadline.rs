//! How long a store may take: one number, set by the guard and seen by every store.
//!
//! The number travels with the call in a task-local variable, because a store is opened before the
//! [`store_deadline`](crate::AuthorityBuilder::store_deadline) is set, and may serve several `Auth`s whose numbers differ.

use std::time::Duration;

use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static DEADLINE: Duration;
}

/// How long the call of a store that runs now may take, or `None` outside of an [`Auth`](crate::Auth).
///
/// For stores: the [`store_deadline`](crate::AuthorityBuilder::store_deadline) of the `Auth` that calls. Timeouts of a driver
/// should follow from this number, so that the one that people set is the one that holds. `wait` of
/// [`revocations_since`](crate::store::RevocationFeed::revocations_since) comes on top. A task that the store spawns does not
/// see the number; the store hands it on.
pub fn deadline() -> Option<Duration> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// Lets `call` see `deadline`. Ending the call in time is the caller's part.
pub(crate) fn with_deadline<F: Future>(deadline: Duration, call: F) -> TaskLocalFuture<Duration, F> {
    DEADLINE.scope(deadline, call)
}
