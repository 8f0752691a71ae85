//! The suite has teeth: for each way to break a store, the property that names it fails.
#![cfg(all(feature = "conformance", feature = "memory"))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test stands on")]

use std::future::Future;
use std::time::Duration;

use auth_tower::session::{ClientInfo, EndReason, SessionRecord};
use auth_tower::store::conformance::{OnClock, expiry, feed, lifecycle, purge, race, rotation};
use auth_tower::store::{
    Acknowledgement, Advance, Advanced, AllEnded, Cursor, Found, NewSession, Retention, RevocationFeed, RevocationPage,
    SessionStore, StoreError,
};
use auth_tower::{Clock, MemoryStore, SessionId, Subject, Timestamp};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    IgnoresTheBound,
    IgnoresSeen,
    IgnoresTheGeneration,
    LooksThenWrites,
    ForgetsTheIdleTime,
    MarksWhateverIsCurrent,
    EndsNothing,
    EndsLater,
    EndsOneByOne,
    KeepsNothing,
    CountsTooMany,
    LosesTheClient,
    ForgetsTheLimit,
    LapsesLate,
    LosesEntries,
    RepeatsEntries,
    NeverWaits,
    NeverWakes,
    PurgesEarly,
    PurgesNothing,
    OverwritesSessions,
}

struct Broken {
    inner: MemoryStore,
    flaw: Flaw,
}

impl Broken {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }
}

impl RevocationFeed for Broken {
    async fn revocations_since(&self, cursor: Cursor, wait: Duration) -> Result<RevocationPage, StoreError> {
        let wait = if self.has(Flaw::NeverWaits) {
            Duration::ZERO
        } else {
            wait
        };
        if self.has(Flaw::NeverWakes) && !wait.is_zero() {
            tokio::time::sleep(wait.min(Duration::from_secs(40))).await;
        }
        let asked = cursor.clone();
        let mut endings = self.inner.revocations_since(cursor, wait).await?;
        match self.flaw {
            Flaw::LosesEntries if endings.entries.len() > 1 => {
                endings.entries.pop();
            }
            Flaw::RepeatsEntries => endings.cursor = asked,
            _ => {}
        }
        Ok(endings)
    }
}

impl SessionStore for Broken {
    async fn create(&self, mut session: NewSession) -> Result<SessionRecord, StoreError> {
        if self.has(Flaw::LosesTheClient) {
            session.client = ClientInfo::default();
        }
        let id = session.id;
        match self.inner.create(session).await {
            Err(_) if self.has(Flaw::OverwritesSessions) => Ok(self.inner.find(id).await?.unwrap().record),
            answer => answer,
        }
    }

    async fn find(&self, id: SessionId) -> Result<Option<Found>, StoreError> {
        let mut found = self.inner.find(id).await?;
        if self.has(Flaw::LapsesLate)
            && let Some(found) = &mut found
        {
            found.now = found.now - Duration::from_millis(1);
        }
        Ok(found)
    }

    async fn advance(&self, id: SessionId, mut step: Advance) -> Result<Option<Advanced>, StoreError> {
        let before = self.inner.find(id).await?;
        match (self.flaw, before) {
            (Flaw::IgnoresTheBound, _) => step.unless_within = Duration::ZERO,
            (Flaw::IgnoresSeen, _) => step.expected_seen = None,
            (Flaw::ForgetsTheIdleTime, _) => step.idle = Duration::from_secs(60),
            (Flaw::IgnoresTheGeneration, Some(before)) => step.expected = before.record.rotation.current,
            (Flaw::LooksThenWrites, Some(before)) if step.allowed(&before.record, before.now) => {
                tokio::task::yield_now().await;
                if let Some(found) = self.inner.find(id).await? {
                    step.expected = found.record.rotation.current;
                }
                let after = self.inner.advance(id, step).await?;
                return Ok(after.map(|after| Advanced {
                    before: before.record,
                    ..after
                }));
            }
            _ => {}
        }
        self.inner.advance(id, step).await
    }

    async fn acknowledge(&self, mut marks: Vec<Acknowledgement>) -> Result<(), StoreError> {
        if self.has(Flaw::MarksWhateverIsCurrent) {
            for mark in &mut marks {
                if let Some(found) = self.inner.find(mark.id).await? {
                    mark.generation = found.record.rotation.current;
                }
            }
        }
        self.inner.acknowledge(marks).await
    }

    async fn end(&self, id: SessionId, reason: EndReason) -> Result<Option<Found>, StoreError> {
        if self.has(Flaw::EndsNothing) {
            return self.inner.find(id).await;
        }
        if self.has(Flaw::EndsLater) {
            let answer = self.inner.find(id).await;
            let inner = self.inner.clone();
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                inner.end(id, reason).await
            });
            return answer;
        }
        self.inner.end(id, reason).await
    }

    async fn end_all(
        &self,
        subject: &Subject,
        mut keep: Option<SessionId>,
        reason: EndReason,
    ) -> Result<AllEnded, StoreError> {
        match self.flaw {
            Flaw::EndsOneByOne => {
                let listed = self.inner.list(subject, usize::MAX).await?;
                let (mut ended, mut at) = (0, Timestamp::from_millis(0));
                for record in listed.iter().filter(|record| Some(record.id) != keep) {
                    tokio::task::yield_now().await;
                    if let Some(found) = self.inner.end(record.id, reason).await? {
                        (ended, at) = (ended + 1, found.now);
                    }
                }
                return Ok(AllEnded { ended, at });
            }
            Flaw::KeepsNothing => keep = None,
            Flaw::CountsTooMany => {
                let all = self.inner.end_all(subject, keep, reason).await?;
                return Ok(AllEnded {
                    ended: all.ended + 1,
                    ..all
                });
            }
            _ => {}
        }
        self.inner.end_all(subject, keep, reason).await
    }

    async fn list(&self, subject: &Subject, limit: usize) -> Result<Vec<SessionRecord>, StoreError> {
        let limit = if self.has(Flaw::ForgetsTheLimit) {
            usize::MAX
        } else {
            limit
        };
        self.inner.list(subject, limit).await
    }

    async fn purge(&self, mut retention: Retention) -> Result<u64, StoreError> {
        match self.flaw {
            Flaw::PurgesEarly => retention.sessions = Duration::ZERO,
            Flaw::PurgesNothing => return Ok(0),
            _ => {}
        }
        self.inner.purge(retention).await
    }
}

fn store(flaw: Flaw) -> OnClock<Broken> {
    let clock = Clock::manual(Timestamp::from_secs(1_700_000_000));
    OnClock {
        store: Broken {
            inner: MemoryStore::with_clock(clock.clone()),
            flaw,
        },
        clock,
    }
}

/// Asserts that `property` holds of a sound store and fails on one with the flaw.
async fn tells<F, Fut>(flaw: Flaw, property: F)
where
    F: Fn(OnClock<Broken>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(property(store(Flaw::None)))
        .await
        .expect("a sound store passes");
    let failed = tokio::spawn(property(store(flaw))).await;
    assert!(failed.is_err_and(|error| error.is_panic()), "{flaw:?} went unnoticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_rotations_are_noticed() {
    tells(
        Flaw::IgnoresTheBound,
        rotation::a_step_waits_until_the_last_rotation_is_past_the_bound,
    )
    .await;
    tells(Flaw::IgnoresSeen, rotation::a_step_asks_for_seen_only_where_told).await;
    tells(Flaw::IgnoresTheGeneration, rotation::a_step_is_taken_once).await;
    tells(
        Flaw::IgnoresTheGeneration,
        rotation::a_step_from_another_generation_is_not_taken,
    )
    .await;
    tells(
        Flaw::MarksWhateverIsCurrent,
        rotation::a_mark_of_another_generation_is_ignored,
    )
    .await;
    tells(
        Flaw::ForgetsTheIdleTime,
        rotation::a_step_moves_the_generation_and_starts_the_idle_time_anew,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_lives_are_noticed() {
    tells(Flaw::LosesTheClient, lifecycle::what_signed_in_is_kept_letter_by_letter).await;
    tells(
        Flaw::OverwritesSessions,
        lifecycle::an_id_in_use_is_refused_and_changes_nothing,
    )
    .await;
    tells(
        Flaw::EndsNothing,
        lifecycle::revocation_returns_the_record_before_and_is_seen_at_once,
    )
    .await;
    tells(Flaw::KeepsNothing, lifecycle::end_all_spares_the_kept_session).await;
    tells(Flaw::CountsTooMany, lifecycle::end_all_counts_only_live_sessions).await;
    tells(
        Flaw::ForgetsTheLimit,
        lifecycle::list_is_oldest_first_and_keeps_the_newest,
    )
    .await;
    tells(
        Flaw::LapsesLate,
        expiry::a_session_expires_at_the_very_end_of_its_idle_time,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_atomicity_is_noticed() {
    tells(
        Flaw::LooksThenWrites,
        race::of_many_steps_from_one_generation_exactly_one_is_taken,
    )
    .await;
    tells(Flaw::EndsOneByOne, race::no_step_is_taken_after_end_all_returned).await;
    tells(Flaw::EndsNothing, race::of_many_endings_one_is_first).await;
    tells(Flaw::EndsLater, race::no_step_is_taken_after_an_ending_returned).await;
    tells(
        Flaw::CountsTooMany,
        race::sessions_begun_during_end_all_are_wholly_before_or_after_it,
    )
    .await;
    tells(Flaw::KeepsNothing, race::the_kept_session_goes_on_while_all_others_end).await;
    tells(
        Flaw::MarksWhateverIsCurrent,
        race::a_late_mark_never_touches_the_next_generation,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_logs_are_noticed() {
    tells(Flaw::LosesEntries, feed::revocations_are_read_in_order_from_the_start).await;
    tells(Flaw::RepeatsEntries, feed::a_cursor_goes_on_after_what_was_read).await;
    tells(
        Flaw::RepeatsEntries,
        feed::every_ending_is_read_exactly_once_while_many_are_made,
    )
    .await;
    tells(Flaw::NeverWaits, feed::a_reader_waits_and_is_woken).await;
    tells(Flaw::NeverWakes, feed::a_reader_waits_and_is_woken).await;
    tells(Flaw::EndsOneByOne, feed::end_all_is_one_entry_whatever_the_number).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_purges_are_noticed() {
    tells(
        Flaw::PurgesEarly,
        purge::an_expired_session_stays_for_the_retention_and_then_goes,
    )
    .await;
    tells(Flaw::PurgesEarly, purge::an_ended_session_counts_from_its_ending).await;
    tells(
        Flaw::PurgesNothing,
        purge::an_expired_session_stays_for_the_retention_and_then_goes,
    )
    .await;
}
