//! Sessions to try things on.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use auth_tower::session::{ClientInfo, EndReason, Lifetime};
use auth_tower::store::{
    Advance, Cursor, NewSession, RevocationEvent, RevocationFeed as _, Revoked, SessionStore, StoreError,
};
use auth_tower::{RedisOptions, RedisStore, SessionId, Subject};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

pub(crate) fn session(name: &str) -> NewSession {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let subject = subject(name);
    let mut id = [0x5a; 18];
    id[..2].copy_from_slice(&subject.key().routing());
    id[2..10].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    NewSession {
        id: SessionId::from_bytes(id),
        subject,
        client_id: "web".into(),
        lifetime: Lifetime {
            idle: HOUR,
            absolute: HOUR * 3,
        },
        client: ClientInfo::default(),
    }
}

pub(crate) fn step(generation: u32) -> Advance {
    Advance {
        expected: generation,
        expected_seen: None,
        unless_within: Duration::ZERO,
        confirmed: generation,
        current: generation + 1,
        idle: HOUR,
    }
}

pub(crate) async fn connect(url: &str) -> RedisStore {
    RedisStore::connect(url).await.unwrap()
}

/// With a deadline that a test can wait for.
pub(crate) async fn impatient(url: &str) -> RedisStore {
    let options = RedisOptions::new().with_deadline(Duration::from_millis(600));
    options.connect(url).await.unwrap()
}

pub(crate) async fn begin(store: &RedisStore, name: &str) -> SessionId {
    store.create(session(name)).await.unwrap().id
}

pub(crate) async fn end(store: &RedisStore, id: SessionId) {
    store.end(id, EndReason::SignedOut).await.unwrap().unwrap();
}

pub(crate) async fn is_live(store: &RedisStore, id: SessionId) -> bool {
    let found = store.find(id).await.unwrap();
    found.is_some_and(|found| found.record.status(found.now).is_none())
}

/// Everything after `cursor`, and where it ends.
pub(crate) async fn read_on(store: &RedisStore, mut cursor: Cursor) -> (Vec<RevocationEvent>, Cursor) {
    let mut entries = Vec::new();
    loop {
        let page = store.revocations_since(cursor, Duration::ZERO).await.unwrap();
        entries.extend(page.entries);
        cursor = page.cursor;
        if page.complete {
            return (entries, cursor);
        }
    }
}

pub(crate) fn sessions(entries: &[RevocationEvent]) -> Vec<SessionId> {
    entries
        .iter()
        .filter_map(|entry| match entry.what {
            Revoked::Session(id) => Some(id),
            Revoked::Subject { .. } => None,
        })
        .collect()
}

/// How long it took until `find` was answered again.
pub(crate) async fn until_it_answers(store: &RedisStore, id: SessionId) -> Duration {
    let begun = Instant::now();
    loop {
        match store.find(id).await {
            Ok(_) => return begun.elapsed(),
            Err(error) => assert!(begun.elapsed() < PATIENCE, "no answer any more: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn is_outage(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::Timeout)
}

/// A way to a server on which everything that was under way can get stuck, without either end being told.
pub(crate) struct Tunnel {
    pub(crate) port: u16,
    stuck: watch::Sender<u32>,
    end: Arc<AtomicU16>,
}

impl Tunnel {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().port();
        let stuck = watch::Sender::new(0);
        let sender = stuck.clone();
        let end = Arc::new(AtomicU16::new(port));
        let leads_to = end.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let port = leads_to.load(Ordering::Relaxed);
                let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                for (mut from, mut to) in [(from_near, to_far), (from_far, to_near)] {
                    let mut stuck = sender.subscribe();
                    tokio::spawn(async move {
                        let mut chunk = [0; 4096];
                        loop {
                            tokio::select! {
                                // Held open for ever.
                                _ = stuck.changed() => std::future::pending::<()>().await,
                                read = from.read(&mut chunk) => match read {
                                    Ok(read @ 1..) if to.write_all(&chunk[..read]).await.is_ok() => {}
                                    _ => return,
                                },
                            }
                        }
                    });
                }
            }
        });
        Self { port: here, stuck, end }
    }

    /// New connections lead to this port; those that are there stay.
    pub(crate) fn lead_to(&self, port: u16) {
        self.end.store(port, Ordering::Relaxed);
    }

    /// Everything under way gets stuck; new connections do not.
    pub(crate) fn jam(&self) {
        self.stuck.send_modify(|times| *times += 1);
    }
}
