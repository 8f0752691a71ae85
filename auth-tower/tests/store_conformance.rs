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

#[cfg(feature = "redis")]
mod on_redis {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
    use std::time::Duration;

    use auth_tower::session::store::conformance::Harness;
    use auth_tower::session::store::{RedisOptions, RedisStore};

    pub(super) struct OnServer {
        store: RedisStore,
        shift: Arc<AtomicI64>,
    }

    impl Harness for OnServer {
        type Store = RedisStore;

        fn store(&self) -> &RedisStore {
            &self.store
        }

        async fn travel(&self, by: Duration) {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            self.shift.fetch_add(millis, Ordering::SeqCst);
        }

        fn slack(&self) -> Duration {
            Duration::from_secs(2)
        }
    }

    /// A store under a prefix of its own.
    #[expect(clippy::unwrap_used, reason = "what a test stands on")]
    pub(super) async fn at(url: &str) -> OnServer {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let shift = Arc::new(AtomicI64::new(0));
        let store = RedisOptions::new()
            .with_prefix(format!("t{}:", NEXT.fetch_add(1, Ordering::Relaxed)))
            // The properties are about what is answered; how fast is another test's matter.
            .with_deadline(Duration::from_secs(30))
            .with_shifted_clock(Arc::clone(&shift))
            .connect(url)
            .await
            .unwrap();
        OnServer { store, shift }
    }
}

#[cfg(feature = "redis")]
mod redis {
    async fn fresh() -> super::on_redis::OnServer {
        super::on_redis::at(&servers::Redis::shared().url()).await
    }

    auth_tower::session_store_conformance!(fresh);
}

#[cfg(feature = "redis")]
mod redis_cluster {
    async fn fresh() -> super::on_redis::OnServer {
        super::on_redis::at(&servers::RedisCluster::shared().url()).await
    }

    auth_tower::session_store_conformance!(fresh);
}
