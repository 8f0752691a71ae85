//! A session store in a `Mutex<HashMap>`, written from the documentation of [`SessionStore`] alone.
//!
//! It shows what a store costs that no crate of this workspace knows, and keeps the trait implementable from outside: with the
//! public items only, and with nothing that the documentation does not say. It promises everything but to survive the
//! process, and ends a subject's sessions one by one where a store for many of them would leave an epoch behind.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use auth_tower::session::{EndReason, SessionRecord};
use auth_tower::store::{
    Acknowledgement, Advance, Advanced, AllEnded, Cursor, Found, NewSession, Retention, RevocationEvent,
    RevocationFeed, RevocationPage, Revoked, SessionStore, StoreError,
};
use auth_tower::{Clock, SessionId, Subject, Timestamp};
use tokio::sync::watch;

/// The most rows that a purge removes and the most entries that a reader gets at once: the trait says so.
const AT_ONCE: usize = 1_000;

/// Sessions in a map behind one lock, which makes every step atomic. Clones share them.
#[derive(Debug, Clone)]
pub struct ToyStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
    /// The number of the newest entry of the revocation log, for readers that wait for the next one.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionId, Kept>,
    log: VecDeque<(u64, RevocationEvent)>,
}

#[derive(Debug)]
struct Kept {
    record: SessionRecord,
    ended_at: Option<Timestamp>,
}

impl Kept {
    fn end(&mut self, reason: EndReason, now: Timestamp) {
        self.record.ended = Some(reason);
        self.ended_at = Some(now);
    }

    /// When the session was over, if it is not ended before: its deadline.
    fn over_at(&self) -> Timestamp {
        self.ended_at.unwrap_or_else(|| self.record.expires_at())
    }
}

impl ToyStore {
    /// An empty store on `clock`.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared {
            clock,
            state: Mutex::default(),
            newest: watch::Sender::new(0),
        }))
    }

    /// The store, and the time, which is read behind the lock: moments then never run against the order of the steps.
    fn step(&self) -> (MutexGuard<'_, State>, Timestamp) {
        // A panic elsewhere cannot leave a step half done: no step calls foreign code between two writes.
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state, self.0.clock.now())
    }

    /// Appends to the log while the lock is held, so that nobody sees a revocation and then not its entry.
    fn append(&self, state: &mut State, what: Revoked, at: Timestamp) {
        let number = *self.0.newest.borrow() + 1;
        state.log.push_back((number, RevocationEvent { what, at }));
        self.0.newest.send_replace(number);
    }

    fn page(&self, after: u64) -> RevocationPage {
        let (state, now) = self.step();
        let mut news = state.log.iter().filter(|(number, _)| *number > after);
        let page: Vec<_> = news.by_ref().take(AT_ONCE).collect();
        RevocationPage {
            cursor: Cursor::at(page.last().map_or(after, |(number, _)| *number).to_string()),
            entries: page.iter().map(|(_, event)| *event).collect(),
            complete: news.next().is_none(),
            now,
        }
    }
}

impl RevocationFeed for ToyStore {
    async fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Result<RevocationPage, StoreError> {
        let after = cursor.place().map_or(Ok(0), str::parse);
        let after: u64 = after.map_err(|_| StoreError::Corrupt("the cursor is not of this store"))?;
        // Before the look, so that nothing slips in between the look and the wait.
        let mut newest = self.0.newest.subscribe();
        // A cursor of a process before this one: everything is news.
        let after = if after > *newest.borrow() { 0 } else { after };
        let page = self.page(after);
        if !page.entries.is_empty() || wait.is_zero() {
            return Ok(page);
        }
        // Whether an entry or the clock ended the wait, the page says.
        let _ = tokio::time::timeout(wait, newest.wait_for(|newest| *newest > after)).await;
        Ok(self.page(after))
    }
}

impl SessionStore for ToyStore {
    async fn create(&self, session: NewSession) -> Result<SessionRecord, StoreError> {
        session.check()?;
        let (mut state, now) = self.step();
        if state.sessions.contains_key(&session.id) {
            return Err(StoreError::Corrupt("the session id is already in use"));
        }
        let NewSession {
            id,
            subject,
            client_id,
            lifetime,
            client,
        } = session;
        let record = SessionRecord::begin(id, subject, client_id, lifetime, client, now);
        let kept = Kept {
            record: record.clone(),
            ended_at: None,
        };
        state.sessions.insert(id, kept);
        Ok(record)
    }

    async fn find(&self, id: SessionId) -> Result<Option<Found>, StoreError> {
        let (state, now) = self.step();
        let record = state.sessions.get(&id).map(|kept| kept.record.clone());
        Ok(record.map(|record| Found { record, now }))
    }

    async fn advance(&self, id: SessionId, step: Advance) -> Result<Option<Advanced>, StoreError> {
        let (mut state, now) = self.step();
        Ok(state.sessions.get_mut(&id).map(|kept| {
            let before = kept.record.clone();
            let taken = step.allowed(&before, now);
            if taken {
                step.apply(&mut kept.record, now);
            }
            Advanced { before, taken, now }
        }))
    }

    async fn acknowledge(&self, marks: Vec<Acknowledgement>) -> Result<(), StoreError> {
        let (mut state, now) = self.step();
        for mark in marks {
            if let Some(Kept { record, .. }) = state.sessions.get_mut(&mark.id)
                && record.status(now).is_none()
                && record.rotation.current == mark.generation
                && !record.rotation.seen
            {
                record.rotation.seen = true;
                record.last_seen_at = now;
            }
        }
        Ok(())
    }

    async fn end(&self, id: SessionId, reason: EndReason) -> Result<Option<Found>, StoreError> {
        let (mut state, now) = self.step();
        let Some(kept) = state.sessions.get_mut(&id) else {
            return Ok(None);
        };
        let record = kept.record.clone();
        if record.status(now).is_none() {
            kept.end(reason, now);
            self.append(&mut state, Revoked::Session(id), now);
        }
        Ok(Some(Found { record, now }))
    }

    async fn end_all(
        &self,
        subject: &Subject,
        keep: Option<SessionId>,
        _reason: EndReason,
    ) -> Result<AllEnded, StoreError> {
        let (mut state, now) = self.step();
        let is_live = |kept: &Kept| kept.record.subject == *subject && kept.record.status(now).is_none();
        let keep = keep.filter(|id| state.sessions.get(id).is_some_and(is_live));
        let mut ended = 0;
        for kept in state.sessions.values_mut() {
            if is_live(kept) && Some(kept.record.id) != keep {
                kept.end(EndReason::AllEnded, now);
                ended += 1;
            }
        }
        let subject = subject.key();
        self.append(&mut state, Revoked::Subject { subject, keep }, now);
        Ok(AllEnded { ended, at: now })
    }

    async fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        let (state, now) = self.step();
        let records = state.sessions.values().map(|kept| &kept.record);
        let live = records.filter(|record| record.subject == *subject && record.status(now).is_none());
        let mut newest: Vec<_> = live.cloned().collect();
        newest.sort_by_key(|record| (record.created_at, record.id));
        Ok(newest.split_off(newest.len().saturating_sub(limit)))
    }

    async fn purge(&self, retention: Retention) -> Result<u64, StoreError> {
        let (mut state, now) = self.step();
        let old = |event: &RevocationEvent| event.at < now - retention.revocations;
        let entries = state
            .log
            .iter()
            .take(AT_ONCE)
            .take_while(|(_, event)| old(event))
            .count();
        state.log.drain(..entries);
        let over = state
            .sessions
            .iter()
            .filter(|(_, kept)| kept.over_at() < now - retention.sessions);
        let over: Vec<SessionId> = over.map(|(id, _)| *id).take(AT_ONCE - entries).collect();
        for id in &over {
            state.sessions.remove(id);
        }
        Ok(u64::try_from(entries + over.len()).unwrap_or(u64::MAX))
    }
}
