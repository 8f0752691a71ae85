//! A store that counts what it is asked, and fails as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use auth_tower::session::{EndReason, SessionRecord};
use auth_tower::store::{
    Acknowledgement, Advance, Advanced, AllEnded, Cursor, Found, NewSession, Retention, RevocationFeed, RevocationPage,
    SessionStore, StoreError,
};
use auth_tower::{Clock, MemoryStore, SessionId, Subject, Timestamp};

/// A method of [`SessionStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Create,
    Find,
    Advance,
    MarkSeen,
    End,
    EndAll,
    List,
    EndedSince,
    Purge,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is done, and an error says so.
    Error,
    /// Nothing is done, and no answer ever comes.
    Hang,
    /// It is done, but an error is answered.
    LostAcknowledgement,
    /// It is done, but no answer ever comes.
    LostAnswer,
    /// Nothing is done, and the error says that what is there cannot be read.
    Damage,
    /// It is done after this long.
    Delay(Duration),
}

#[derive(Clone)]
pub(crate) struct Store(Arc<Shared>);

struct Shared {
    clock: Clock,
    inner: RwLock<MemoryStore>,
    counts: Mutex<BTreeMap<Call, usize>>,
    faults: Mutex<BTreeMap<Call, (Fault, usize)>>,
    created: Mutex<Vec<(Timestamp, NewSession)>>,
}

impl Store {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self(Arc::new(Shared {
            clock: clock.clone(),
            inner: RwLock::new(MemoryStore::with_clock(clock.clone())),
            counts: Mutex::default(),
            faults: Mutex::default(),
            created: Mutex::default(),
        }))
    }

    /// From now on, this call fails.
    pub(crate) fn fail(&self, call: Call, fault: Fault) {
        self.0.faults.lock().unwrap().insert(call, (fault, usize::MAX));
    }

    /// The next such call fails, and no other.
    pub(crate) fn fail_once(&self, call: Call, fault: Fault) {
        self.0.faults.lock().unwrap().insert(call, (fault, 1));
    }

    /// From now on, every call fails.
    pub(crate) fn fail_all(&self, fault: Fault) {
        for call in [
            Call::Create,
            Call::Find,
            Call::Advance,
            Call::MarkSeen,
            Call::End,
            Call::EndAll,
            Call::List,
            Call::EndedSince,
            Call::Purge,
        ] {
            self.fail(call, fault);
        }
    }

    /// Everything works again.
    pub(crate) fn heal(&self) {
        self.0.faults.lock().unwrap().clear();
    }

    /// The calls since the last time this was asked, but those that the library makes by itself in the background.
    pub(crate) fn calls(&self) -> Vec<(Call, usize)> {
        let mut counts = self.0.counts.lock().unwrap();
        let asked = std::mem::take(&mut *counts);
        asked
            .into_iter()
            .filter(|(call, _)| !matches!(call, Call::EndedSince | Call::Purge | Call::MarkSeen))
            .collect()
    }

    /// How often this was called since [`calls`](Self::calls) was asked.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.0.counts.lock().unwrap().get(&call).copied().unwrap_or_default()
    }

    /// A session as it is now; counts nothing and cannot fail.
    pub(crate) async fn record(&self, session: SessionId) -> Option<SessionRecord> {
        let inner = self.inner();
        inner.find(session).await.unwrap().map(|found| found.record)
    }

    /// How many live sessions there are of a subject.
    pub(crate) async fn rows(&self, subject: &str) -> usize {
        let inner = self.inner();
        inner
            .list(&Subject::new(subject).unwrap(), usize::MAX)
            .await
            .unwrap()
            .len()
    }

    /// Puts a backup in place: every session is as it was when it began, and no ending is known.
    pub(crate) async fn restore_backup(&self) {
        let backup = MemoryStore::with_clock(self.0.clock.clone());
        let created = self.0.created.lock().unwrap().clone();
        let now = self.0.clock.now();
        for (begun, session) in created {
            self.0.clock.set(begun);
            backup.create(session).await.unwrap();
        }
        self.0.clock.set(now);
        *self.0.inner.write().unwrap() = backup;
    }

    fn inner(&self) -> MemoryStore {
        self.0.inner.read().unwrap().clone()
    }

    fn note(&self, call: Call) -> Option<Fault> {
        *self.0.counts.lock().unwrap().entry(call).or_default() += 1;
        let mut faults = self.0.faults.lock().unwrap();
        let (fault, left) = faults.get_mut(&call)?;
        let fault = *fault;
        *left -= 1;
        if *left == 0 {
            faults.remove(&call);
        }
        Some(fault)
    }

    async fn run<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let down = || Err(StoreError::unavailable("the test says so"));
        match self.note(call) {
            None => work.await,
            Some(Fault::Error) => down(),
            Some(Fault::Damage) => Err(StoreError::Corrupt("the test says so")),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::LostAcknowledgement) => {
                work.await?;
                down()
            }
            Some(Fault::LostAnswer) => {
                work.await?;
                std::future::pending().await
            }
            Some(Fault::Delay(by)) => {
                tokio::time::sleep(by).await;
                work.await
            }
        }
    }
}

impl RevocationFeed for Store {
    async fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Result<RevocationPage, StoreError> {
        let inner = self.inner();
        self.run(Call::EndedSince, inner.revocations_since(cursor, wait)).await
    }
}

impl SessionStore for Store {
    async fn create(&self, session: NewSession) -> Result<SessionRecord, StoreError> {
        self.0
            .created
            .lock()
            .unwrap()
            .push((self.0.clock.now(), session.clone()));
        let inner = self.inner();
        self.run(Call::Create, inner.create(session)).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Found>, StoreError> {
        let inner = self.inner();
        self.run(Call::Find, inner.find(id)).await
    }

    async fn advance(&self, id: SessionId, step: Advance) -> Result<Option<Advanced>, StoreError> {
        let inner = self.inner();
        self.run(Call::Advance, inner.advance(id, step)).await
    }

    async fn acknowledge(&self, marks: Vec<Acknowledgement>) -> Result<(), StoreError> {
        let inner = self.inner();
        self.run(Call::MarkSeen, inner.acknowledge(marks)).await
    }

    async fn end(&self, id: SessionId, reason: EndReason) -> Result<Option<Found>, StoreError> {
        let inner = self.inner();
        self.run(Call::End, inner.end(id, reason)).await
    }

    async fn end_all(
        &self,
        subject: &Subject,
        keep: Option<SessionId>,
        reason: EndReason,
    ) -> Result<AllEnded, StoreError> {
        let inner = self.inner();
        self.run(Call::EndAll, inner.end_all(subject, keep, reason)).await
    }

    async fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        let inner = self.inner();
        self.run(Call::List, inner.list(subject, limit)).await
    }

    async fn purge(&self, retention: Retention) -> Result<u64, StoreError> {
        let inner = self.inner();
        self.run(Call::Purge, inner.purge(retention)).await
    }
}
