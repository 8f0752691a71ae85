//! Every store that this crate ships passes the public suite.
#![cfg(feature = "conformance")]

#[cfg(feature = "memory")]
mod memory {
    use auth_tower::Clock;
    use auth_tower::MemoryStore;
    use auth_tower::Timestamp;
    use auth_tower::store::conformance::OnClock;

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

    use auth_tower::Clock;
    use auth_tower::SqliteOptions;
    use auth_tower::SqliteStore;
    use auth_tower::Timestamp;
    use auth_tower::store::conformance::Harness;

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

    use auth_tower::RedisOptions;
    use auth_tower::RedisStore;
    use auth_tower::store::conformance::Harness;

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

#[cfg(feature = "postgres")]
mod postgres {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use auth_tower::PoolerMode;
    use auth_tower::PostgresOptions;
    use auth_tower::PostgresStore;
    use auth_tower::store::conformance::Harness;
    use servers::{PgBouncer, Postgres};
    use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
    use tokio::sync::OnceCell;

    /// A schema of its own, whose clock is a sequence: it stands still until it is moved, and no transaction holds it back.
    struct InSchema {
        store: PostgresStore,
        pool: PgPool,
        schema: String,
    }

    impl Harness for InSchema {
        type Store = PostgresStore;

        fn store(&self) -> &PostgresStore {
            &self.store
        }

        async fn travel(&self, by: Duration) {
            let schema = &self.schema;
            let sql = format!(
                "SELECT setval('{schema}.clock', last_value + {}) FROM {schema}.clock",
                by.as_millis()
            );
            run(&self.pool, sql).await;
        }
    }

    #[expect(clippy::unwrap_used, reason = "what a test stands on")]
    async fn run(pool: &PgPool, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
    }

    /// A database, and the same through a proxy.
    #[expect(clippy::expect_used, reason = "what a test stands on")]
    async fn addresses() -> &'static (String, String) {
        static MADE: OnceCell<(String, String)> = OnceCell::const_new();
        let make = || {
            let server = Postgres::shared();
            let database = server.create_database();
            let proxy: &PgBouncer = Box::leak(Box::new(PgBouncer::start(server)));
            let through = proxy.url(&database);
            (database, through)
        };
        MADE.get_or_try_init(|| tokio::task::spawn_blocking(make))
            .await
            .expect("a database")
    }

    #[expect(clippy::unwrap_used, reason = "what a test stands on")]
    async fn in_schema(proxy: PoolerMode) -> InSchema {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let schema = format!("fresh_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (direct, through) = addresses().await;
        let store = PostgresOptions::new()
            .with_schema(schema.as_str())
            .with_proxy(proxy)
            // The properties are about what is answered; how fast is another test's matter.
            .with_deadline(Duration::from_secs(30))
            .connect(if proxy == PoolerMode::None { direct } else { through })
            .await
            .unwrap();
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy(direct).unwrap();
        let clock = format!(
            "CREATE SEQUENCE {schema}.clock START 1700000000000; SELECT nextval('{schema}.clock'); \
             CREATE OR REPLACE FUNCTION {schema}.now_ms() RETURNS bigint LANGUAGE sql VOLATILE \
             AS 'SELECT last_value FROM {schema}.clock'"
        );
        run(&pool, clock).await;
        InSchema { store, pool, schema }
    }

    async fn fresh() -> InSchema {
        in_schema(PoolerMode::None).await
    }

    auth_tower::session_store_conformance!(fresh);

    mod through_pgbouncer {
        use super::{InSchema, PoolerMode, in_schema};

        async fn fresh() -> InSchema {
            in_schema(PoolerMode::TransactionPooling).await
        }

        auth_tower::session_store_conformance!(fresh);
    }
}
