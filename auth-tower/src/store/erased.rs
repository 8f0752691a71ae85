//! The single boxed form of [`SessionStore`] and [`RevocationFeed`], so that the engine is compiled once for every store.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::error::StoreError;
use super::feed::{Cursor, RevocationFeed, RevocationPage};
use super::session::{Acknowledgement, Advance, Advanced, AllEnded, Found, NewSession, Retention, SessionStore};
use crate::id::{SessionId, Subject};
use crate::session::{EndReason, SessionRecord};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

pub(crate) trait ErasedFeed: Send + Sync {
    fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Boxed<'_, RevocationPage>;
}

impl<F: RevocationFeed> ErasedFeed for F {
    fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Boxed<'_, RevocationPage> {
        Box::pin(RevocationFeed::revocations_since(self, cursor, wait))
    }
}

pub(crate) trait ErasedStore: ErasedFeed {
    fn create(&self, session: NewSession) -> Boxed<'_, SessionRecord>;
    fn find(&self, id: SessionId) -> Boxed<'_, Option<Found>>;
    fn advance(&self, id: SessionId, step: Advance) -> Boxed<'_, Option<Advanced>>;
    fn acknowledge(&self, acknowledgements: Vec<Acknowledgement>) -> Boxed<'_, ()>;
    fn end(&self, id: SessionId, reason: EndReason) -> Boxed<'_, Option<Found>>;
    fn end_all<'a>(&'a self, subject: &'a Subject, keep: Option<SessionId>, reason: EndReason) -> Boxed<'a, AllEnded>;
    fn list<'a>(&'a self, subject: &'a Subject, limit: usize) -> Boxed<'a, Vec<SessionRecord>>;
    fn purge(&self, retention: Retention) -> Boxed<'_, u64>;
}

impl<S: SessionStore> ErasedStore for S {
    fn create(&self, session: NewSession) -> Boxed<'_, SessionRecord> {
        Box::pin(SessionStore::create(self, session))
    }

    fn find(&self, id: SessionId) -> Boxed<'_, Option<Found>> {
        Box::pin(SessionStore::find(self, id))
    }

    fn advance(&self, id: SessionId, step: Advance) -> Boxed<'_, Option<Advanced>> {
        Box::pin(SessionStore::advance(self, id, step))
    }

    fn acknowledge(&self, acknowledgements: Vec<Acknowledgement>) -> Boxed<'_, ()> {
        Box::pin(SessionStore::acknowledge(self, acknowledgements))
    }

    fn end(&self, id: SessionId, reason: EndReason) -> Boxed<'_, Option<Found>> {
        Box::pin(SessionStore::end(self, id, reason))
    }

    fn end_all<'a>(&'a self, subject: &'a Subject, keep: Option<SessionId>, reason: EndReason) -> Boxed<'a, AllEnded> {
        Box::pin(SessionStore::end_all(self, subject, keep, reason))
    }

    fn list<'a>(&'a self, subject: &'a Subject, limit: usize) -> Boxed<'a, Vec<SessionRecord>> {
        Box::pin(SessionStore::list(self, subject, limit))
    }

    fn purge(&self, retention: Retention) -> Boxed<'_, u64> {
        Box::pin(SessionStore::purge(self, retention))
    }
}
