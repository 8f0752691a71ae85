//! Steps that meet are taken one after the other, wholly or not at all.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::Harness;
use super::scene::{
    acknowledge, advance, begin, end, end_all, found, list, look, prompt_step, session, step, subject, terminated,
    whole_log,
};
use crate::session::EndReason;
use crate::store::feed::Revoked;
use crate::store::session::SessionStore;

const CALLERS: usize = 24;

/// More steps than a session lives to see here.
const MANY: u32 = 1_000_000;

/// Runs `count` of the same future at once and gathers what they return.
async fn at_once<F, Fut, T>(count: usize, make: F) -> Vec<T>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(make(number));
    }
    tasks.join_all().await
}

/// The promise behind "exactly one rotates".
pub async fn of_many_steps_from_one_generation_exactly_one_is_taken<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    let id = begin(&*harness, "alice").await.id;
    for generation in 1..=40 {
        let answers = at_once(CALLERS, |_| {
            let harness = Arc::clone(&harness);
            async move { advance(&*harness, id, prompt_step(generation)).await }
        })
        .await;
        let taken: Vec<_> = answers.iter().filter(|answer| answer.taken).collect();
        assert_eq!(taken.len(), 1, "of generation {generation}");
        assert_eq!(taken[0].before.rotation.current, generation);
        for answer in answers.iter().filter(|answer| !answer.taken) {
            assert_eq!(answer.before.rotation.current, generation + 1);
        }
        assert_eq!(found(&*harness, id).await.record.rotation.current, generation + 1);
    }
}

/// Thousands of steps race a revocation; none that begins after the revocation returned is taken.
pub async fn no_step_is_taken_after_an_ending_returned<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    for round in 0..400 {
        let id = begin(&*harness, "alice").await.id;
        let ended = Arc::new(AtomicBool::new(false));
        let runner = {
            let (harness, ended) = (Arc::clone(&harness), Arc::clone(&ended));
            tokio::spawn(async move {
                for generation in 1..MANY {
                    // A store may answer without ever waiting, and then the other tasks would get no turn.
                    tokio::task::yield_now().await;
                    let late = ended.load(Ordering::SeqCst);
                    let answer = advance(&*harness, id, prompt_step(generation)).await;
                    assert!(
                        !(late && answer.taken),
                        "a step was taken after the revocation returned"
                    );
                    if !answer.taken {
                        return generation;
                    }
                }
                panic!("nothing ends this session");
            })
        };
        // Different moments of the runner's life, among them before its first step.
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        let before = end(&*harness, id, EndReason::SignedOut).await.expect("known").record;
        ended.store(true, Ordering::SeqCst);
        let reached = runner.await.expect("no step after the revocation");
        assert_eq!(
            before.rotation.current, reached,
            "the revocation saw every step before it"
        );
        let after = found(&*harness, id).await.record;
        assert_eq!(after.rotation, before.rotation);
        assert_eq!(after.ended, Some(EndReason::SignedOut));
    }
}

/// The same with every session of a subject, which end together: once one was refused, no other goes on.
pub async fn no_step_is_taken_after_end_all_returned<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    for round in 0..100 {
        let ended = Arc::new(AtomicBool::new(false));
        let mut runners = JoinSet::new();
        for _ in 0..4 {
            let id = begin(&*harness, "alice").await.id;
            let (harness, ended) = (Arc::clone(&harness), Arc::clone(&ended));
            runners.spawn(async move {
                for generation in 1..MANY {
                    // A store may answer without ever waiting, and then the other tasks would get no turn.
                    tokio::task::yield_now().await;
                    let late = ended.load(Ordering::SeqCst);
                    let answer = advance(&*harness, id, prompt_step(generation)).await;
                    assert!(!(late && answer.taken), "a step was taken after end_all was in force");
                    if !answer.taken {
                        ended.store(true, Ordering::SeqCst);
                        break;
                    }
                }
                assert!(terminated(&*harness, id).await.is_some(), "only end_all stops a runner");
            });
        }
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        let count = end_all(&*harness, "alice", None).await;
        ended.store(true, Ordering::SeqCst);
        runners.join_all().await;
        assert_eq!(count, 4);
        assert!(list(&*harness, "alice", 10).await.is_empty());
    }
}

/// A sign-in that overlaps a sign-out everywhere falls to one side of it, and the count says to which.
pub async fn sessions_begun_during_end_all_are_wholly_before_or_after_it<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    for _ in 0..40 {
        let returned = Arc::new(AtomicBool::new(false));
        let early = begin(&*harness, "alice").await.id;
        let mut begun = JoinSet::new();
        for _ in 0..8 {
            let (harness, returned) = (Arc::clone(&harness), Arc::clone(&returned));
            begun.spawn(async move {
                let mut sessions = Vec::new();
                for _ in 0..4 {
                    let late = returned.load(Ordering::SeqCst);
                    sessions.push((begin(&*harness, "alice").await.id, late));
                }
                sessions
            });
        }
        let ended = end_all(&*harness, "alice", None).await;
        returned.store(true, Ordering::SeqCst);
        let sessions: Vec<_> = begun.join_all().await.into_iter().flatten().collect();
        assert!(terminated(&*harness, early).await.is_some());
        let mut gone = 1;
        for (id, late) in sessions {
            let is_over = terminated(&*harness, id).await.is_some();
            assert!(
                !(late && is_over),
                "a session begun after end_all returned was ended by it"
            );
            gone += u64::from(is_over);
        }
        assert_eq!(ended, gone, "the count is that of the sessions that ended");
        end_all(&*harness, "alice", None).await;
    }
}

/// "Sign out everywhere else" never costs its caller the session, nor a rotation that was under way.
pub async fn the_kept_session_goes_on_while_all_others_end<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    let kept = begin(&*harness, "alice").await.id;
    let done = Arc::new(AtomicBool::new(false));
    let runner = {
        let (harness, done) = (Arc::clone(&harness), Arc::clone(&done));
        tokio::spawn(async move {
            let mut generation = 1;
            while !done.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
                let answer = advance(&*harness, kept, prompt_step(generation)).await;
                assert!(answer.taken, "the kept session was held up");
                generation += 1;
            }
            generation
        })
    };
    for _ in 0..100 {
        begin(&*harness, "alice").await;
        assert_eq!(end_all(&*harness, "alice", Some(kept)).await, 1);
    }
    done.store(true, Ordering::SeqCst);
    let generation = runner.await.expect("the kept session goes on");
    let record = found(&*harness, kept).await.record;
    assert_eq!((record.rotation.current, record.ended), (generation, None));
}

/// One entry in the log, and one caller who is told that the session was live.
pub async fn of_many_endings_one_is_first<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    let reasons = [EndReason::SignedOut, EndReason::Reused, EndReason::Administrator];
    for round in 1..=20 {
        let id = begin(&*harness, "alice").await.id;
        let first = Arc::new(AtomicUsize::new(0));
        let winners = at_once(CALLERS, |number| {
            let (harness, first) = (Arc::clone(&harness), Arc::clone(&first));
            async move {
                let reason = reasons[number % reasons.len()];
                let before = end(&*harness, id, reason).await.expect("known");
                if before.record.ended.is_none() {
                    first.fetch_add(1, Ordering::SeqCst);
                    return Some(reason);
                }
                None
            }
        })
        .await;
        assert_eq!(first.load(Ordering::SeqCst), 1);
        let reason = winners.into_iter().flatten().next();
        assert_eq!(found(&*harness, id).await.record.ended, reason);
        let log = whole_log(&*harness).await;
        assert_eq!(log.len(), round);
        assert_eq!(log[round - 1].what, Revoked::Session(id));
    }
}

/// An acknowledgement that arrives with, or after, a rotation does not confirm its outcome.
pub async fn a_late_mark_never_touches_the_next_generation<H: Harness>(harness: H) {
    let harness = Arc::new(harness);
    let id = begin(&*harness, "alice").await.id;
    for generation in 1..=200 {
        let marker = {
            let harness = Arc::clone(&harness);
            tokio::spawn(async move { acknowledge(&*harness, id, generation).await })
        };
        assert!(advance(&*harness, id, prompt_step(generation)).await.taken);
        marker.await.expect("acknowledge");
        let rotation = found(&*harness, id).await.record.rotation;
        assert_eq!((rotation.current, rotation.seen), (generation + 1, false));
    }
    assert!(look(&*harness, session("alice").id).await.is_none());
    assert!(!advance(&*harness, id, step(201)).await.taken);
    let listed = harness.store().list(&subject("alice"), 2).await.expect("list");
    assert_eq!(listed.len(), 1);
}
