//! Every store that this crate ships passes the public suite.
#![cfg(feature = "conformance")]

#[cfg(feature = "memory")]
mod memory {
    use auth_tower::session::store::MemoryStore;
    use auth_tower::session::store::conformance::OnClock;
    use auth_tower::{Clock, Timestamp};

    async fn fresh() -> OnClock<MemoryStore> {
        let clock = Clock::manual(Timestamp::from_secs(1_700_000_000));
        OnClock {
            store: MemoryStore::with_clock(clock.clone()),
            clock,
        }
    }

    auth_tower::session_store_conformance!(fresh);
}
