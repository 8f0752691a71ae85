//! The sessions of one subject.

use super::error::UNEXPECTED_REPLY;
use super::inner::Inner;
use super::replies;
use super::scripts::{Call, LIST};
use crate::clock::Timestamp;
use crate::id::Subject;
use crate::session::SessionRecord;
use crate::store::error::StoreError;

/// The most sessions of one subject that a script sorts. More are sorted here, for one more round trip.
const SORTED_THERE: usize = 1_000;

impl Inner {
    pub(super) async fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        let call = self.call_list(subject, limit);
        match replies::list(&self.connection.call(&call).await?)? {
            (now, Some(listed)) => {
                let mut records: Vec<_> = live(listed, subject, now).collect();
                records.reverse();
                Ok(records)
            }
            (now, None) => self.list_of_many(subject, limit, now).await,
        }
    }

    /// The newest of a subject's sessions, where they are too many for a script to sort: their places are sorted here, and
    /// the sessions that are still in the index then are read.
    async fn list_of_many(
        &self,
        subject: &Subject,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let mut places = self.connection.places(&self.keys.index(subject), now).await?;
        places.sort_unstable_by(|one, other| other.cmp(one));
        let mut places = &places[..];
        let mut records = Vec::new();
        while records.len() < limit && !places.is_empty() {
            let wanted = (limit - records.len()).min(SORTED_THERE).min(places.len());
            let (some, rest) = places.split_at(wanted);
            places = rest;
            let call = self.call_list(subject, wanted).arg(some);
            let (now, listed) = replies::list(&self.connection.call(&call).await?)?;
            records.extend(live(listed.ok_or(UNEXPECTED_REPLY)?, subject, now));
        }
        records.reverse();
        Ok(records)
    }

    fn call_list(&self, subject: &Subject, limit: usize) -> Call {
        let routing = subject.key().routing();
        LIST.on(&[&self.keys.index(subject)])
            .arg(self.clock_offset.millis())
            .arg(self.keys.base(routing))
            .arg(&routing[..])
            .arg(limit)
            .arg(SORTED_THERE)
    }
}

/// The live records of the subject. An index that was tampered with lists no others.
fn live(records: Vec<SessionRecord>, subject: &Subject, now: Timestamp) -> impl Iterator<Item = SessionRecord> {
    records.into_iter().filter(move |record| {
        if record.subject != *subject {
            replies::left_out();
            return false;
        }
        record.status(now).is_none()
    })
}
