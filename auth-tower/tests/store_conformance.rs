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

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::time::Duration;

    use auth_tower::session::store::conformance::Harness;
    use auth_tower::session::store::{SqliteOptions, SqliteStore};
    use auth_tower::{Clock, Timestamp};

    struct OnFile {
        store: SqliteStore,
        clock: Clock,
        _folder: tempfile::TempDir,
    }

    impl Harness for OnFile {
        type Store = SqliteStore;

        fn store(&self) -> &SqliteStore {
            &self.store
        }

        async fn travel(&self, by: Duration) {
            self.clock.advance(by);
        }
    }

    #[expect(clippy::unwrap_used, reason = "what a test stands on")]
    async fn fresh() -> OnFile {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_secs(1_700_000_000));
        let store = SqliteOptions::new()
            .with_clock(clock.clone())
            // The properties are about what is answered; how fast is another test's matter.
            .with_deadline(Duration::from_secs(30))
            .connect(folder.path().join("auth.db"))
            .await
            .unwrap();
        OnFile {
            store,
            clock,
            _folder: folder,
        }
    }

    auth_tower::session_store_conformance!(fresh);
}
