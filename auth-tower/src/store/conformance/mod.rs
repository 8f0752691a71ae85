//! The suite that every session store must pass.
//!
//! [`session_store_conformance!`](crate::session_store_conformance) takes an async factory of [`Harness`]es and expands to
//! one test per property of the [`SessionStore`] contract, so that a failure names what is broken. The properties are also
//! plain functions, `conformance::<group>::<property>(harness)`, for those who want to run them otherwise.
//!
//! The crate that uses the macro needs `tokio` with `macros` and `rt-multi-thread` among its dev-dependencies.
//!
//! ```
//! use auth_tower::MemoryStore;
//! use auth_tower::store::conformance::OnClock;
//! use auth_tower::Clock;
//! use auth_tower::Timestamp;
//!
//! /// A fresh store that shares nothing with any other test's.
//! async fn fresh() -> OnClock<MemoryStore> {
//!     let clock = Clock::manual(Timestamp::from_secs(1_700_000_000));
//!     OnClock { store: MemoryStore::with_clock(clock.clone()), clock }
//! }
//!
//! auth_tower::session_store_conformance!(fresh);
//! # fn main() {}
//! ```

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a property that does not hold panics: that is how a test fails"
)]

pub mod expiry;
pub mod feed;
pub mod lifecycle;
pub mod purge;
pub mod race;
pub mod rotation;
mod scene;

use std::future::Future;
use std::time::Duration;

use super::session::SessionStore;
use crate::clock::Clock;

/// One fresh, isolated store, and a way to let its time pass.
///
/// A store whose clock cannot be moved, such as a database server's, lets time pass by other means: by shifting every
/// moment that it keeps into the past, or by an offset added to the server's clock under test. The properties compare
/// moments only to the `now` that the store gave along with them, so either will do.
pub trait Harness: Send + Sync + 'static {
    /// What is tested.
    type Store: SessionStore;

    /// The store.
    fn store(&self) -> &Self::Store;

    /// Lets `by` pass, as the store judges it.
    fn travel(&self, by: Duration) -> impl Future<Output = ()> + Send;

    /// How much time may pass by itself between two calls. Zero (the default, and the strictest) means that time stands
    /// still but for [`travel`](Self::travel), and boundaries are checked to the millisecond; otherwise they are
    /// approached no closer than this. At most 2 s.
    fn slack(&self) -> Duration {
        Duration::ZERO
    }
}

/// The harness of a store that reads a [`Clock`].
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "test code builds it")]
pub struct OnClock<S> {
    /// The store, made with a clone of `clock`.
    pub store: S,
    /// A manual clock.
    pub clock: Clock,
}

impl<S: SessionStore> Harness for OnClock<S> {
    type Store = S;

    fn store(&self) -> &S {
        &self.store
    }

    async fn travel(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// Expands to one `#[tokio::test]` per property of the session store contract.
///
/// The argument is the path of an async function without arguments that returns a
/// [`Harness`](crate::store::conformance::Harness) with a fresh, isolated store. The tests are put into modules
/// named after their groups: `lifecycle`, `rotation`, `expiry`, `race`, `feed` and `purge`.
#[macro_export]
macro_rules! session_store_conformance {
    ($factory:path) => {
        $crate::__session_store_group! { $factory, lifecycle:
            a_new_session_is_found_as_it_was_created,
            a_new_session_is_of_generation_one_and_never_rotated,
            what_signed_in_is_kept_letter_by_letter,
            an_unknown_session_is_none_everywhere,
            an_id_in_use_is_refused_and_changes_nothing,
            an_id_that_does_not_route_to_its_subject_is_refused,
            revocation_returns_the_record_before_and_is_seen_at_once,
            every_reason_is_kept,
            revoking_again_keeps_the_first_reason,
            an_ended_session_is_neither_advanced_nor_acknowledged,
            sessions_are_independent,
            list_holds_only_live_sessions_of_the_subject,
            list_is_oldest_first_and_keeps_the_newest,
            end_all_ends_every_session_of_the_subject_only,
            end_all_spares_the_kept_session,
            end_all_never_keeps_a_session_of_another_subject,
            end_all_never_brings_an_ended_session_back,
            end_all_counts_only_live_sessions,
            end_all_leaves_earlier_reasons_alone,
            sessions_created_after_end_all_live,
            end_all_again_ends_kept_and_new_sessions,
        }
        $crate::__session_store_group! { $factory, rotation:
            a_step_moves_the_generation_and_starts_the_idle_time_anew,
            a_step_returns_the_record_before_it,
            a_step_from_another_generation_is_not_taken,
            a_step_is_taken_once,
            a_step_asks_for_seen_only_where_told,
            a_step_waits_until_the_last_rotation_is_past_the_bound,
            a_bound_of_zero_holds_nothing_back,
            a_session_that_never_rotated_is_not_held_back,
            a_recovering_step_keeps_the_confirmed_generation,
            a_repairing_step_jumps_forward,
            the_largest_generation_is_kept,
            a_mark_of_the_current_generation_is_kept,
            a_mark_of_another_generation_is_ignored,
            a_second_mark_changes_nothing,
            one_call_marks_many_sessions,
            a_step_makes_the_new_generation_unseen,
        }
        $crate::__session_store_group! { $factory, expiry:
            a_session_expires_at_the_very_end_of_its_idle_time,
            a_session_expires_at_the_very_end_of_its_absolute_time,
            refreshing_never_outlives_the_absolute_time,
            a_shorter_idle_time_takes_effect_at_the_next_step,
            an_expired_session_is_neither_advanced_nor_acknowledged,
            an_expired_session_is_not_ended_again,
            an_expired_session_is_neither_listed_nor_counted,
            a_refreshed_session_is_counted_and_listed_past_its_first_deadline,
        }
        $crate::__session_store_group! { $factory, race:
            of_many_steps_from_one_generation_exactly_one_is_taken,
            no_step_is_taken_after_an_ending_returned,
            no_step_is_taken_after_end_all_returned,
            sessions_begun_during_end_all_are_wholly_before_or_after_it,
            the_kept_session_goes_on_while_all_others_end,
            of_many_endings_one_is_first,
            a_late_mark_never_touches_the_next_generation,
        }
        $crate::__session_store_group! { $factory, feed:
            an_empty_log_is_complete_and_can_be_followed,
            revocations_are_read_in_order_from_the_start,
            a_cursor_goes_on_after_what_was_read,
            a_cursor_survives_being_written_down,
            end_all_is_one_entry_whatever_the_number,
            end_all_without_live_sessions_is_an_entry_too,
            what_ends_nothing_is_no_entry,
            a_reader_waits_and_is_woken,
            a_reader_waits_no_longer_than_told,
            a_long_log_is_read_in_bounded_pages,
            every_ending_is_read_exactly_once_while_many_are_made,
        }
        $crate::__session_store_group! { $factory, purge:
            a_live_session_is_never_removed,
            an_expired_session_stays_for_the_retention_and_then_goes,
            an_ended_session_counts_from_its_ending,
            sessions_ended_at_once_count_from_that_moment,
            a_purge_is_bounded,
            entries_stay_for_the_retention_and_then_go,
            a_purge_brings_no_session_back,
            end_all_works_the_same_after_a_purge,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __session_store_group {
    ($factory:path, $group:ident: $($property:ident,)+) => {
        mod $group {
            #[allow(unused_imports, reason = "the factory may be named by a full path")]
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    $crate::store::conformance::$group::$property($factory().await).await;
                }
            )+
        }
    };
}
