//! The store passes the suite that every store must pass.

use auth_tower::store::conformance::OnClock;
use auth_tower::{Clock, Timestamp};
use toy_store::ToyStore;

async fn fresh() -> OnClock<ToyStore> {
    let clock = Clock::manual(Timestamp::from_secs(1_700_000_000));
    OnClock {
        store: ToyStore::new(clock.clone()),
        clock,
    }
}

auth_tower::session_store_conformance!(fresh);
