use super::*;

const LIFETIME: Duration = Duration::from_secs(900);
const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn session(number: u8) -> SessionId {
    SessionId::from_bytes([number; 18])
}

fn subject(name: &str) -> SubjectKey {
    name.parse::<crate::id::Subject>().unwrap().key()
}

fn enter(watchers: &Arc<Watchers>, number: u8, on_outage: OnOutage, name: &str) -> WatchGuard {
    let key = (session(number), on_outage);
    watchers.enter(key, subject(name), NOW + LIFETIME, LIFETIME, NOW).0
}

fn tolerance(feed_read_at: Timestamp) -> OutageTolerance {
    OutageTolerance {
        access_lifetime: LIFETIME,
        feed_read_at,
    }
}

fn is_clean(watchers: &Watchers) -> bool {
    let state = watchers.state.lock();
    state.watched.is_empty() && state.by_subject.is_empty() && state.due.is_empty() && state.recheck_queue.is_empty()
}

#[test]
fn a_session_is_forgotten_with_its_last_watcher_or_its_end() {
    let watchers = Arc::<Watchers>::default();
    let (one, two) = (
        enter(&watchers, 1, OnOutage::Accept, "a"),
        enter(&watchers, 1, OnOutage::Accept, "a"),
    );
    watchers.queue_recheck(subject("a"));
    drop(one);
    assert_eq!(watchers.take_recheck_queue().len(), 1);
    drop(two);
    assert!(is_clean(&watchers));
    let ended = enter(&watchers, 1, OnOutage::Accept, "a");
    watchers.ended(session(1));
    assert!(ended.is_over() && is_clean(&watchers));
    // The name is taken anew, and the old ticket is not of that slot.
    let anew = enter(&watchers, 1, OnOutage::Accept, "a");
    drop(ended);
    assert!(!is_clean(&watchers) && !anew.is_over());
    drop(anew);
    assert!(is_clean(&watchers));
}

#[test]
fn doubt_falls_on_one_subject_only() {
    let watchers = Arc::<Watchers>::default();
    let _tickets = [
        enter(&watchers, 1, OnOutage::Accept, "a"),
        enter(&watchers, 2, OnOutage::Refuse, "a"),
        enter(&watchers, 0, OnOutage::Accept, "b"),
        enter(&watchers, 255, OnOutage::Accept, "c"),
    ];
    watchers.queue_recheck(subject("a"));
    let recheck_queue: Vec<SessionId> = watchers.take_recheck_queue().iter().map(|(key, _)| key.0).collect();
    assert_eq!(recheck_queue, [session(1), session(2)]);
    assert!(watchers.take_recheck_queue().is_empty());
}

#[test]
fn the_store_is_asked_at_deadlines_when_the_feed_is_stale_and_after_a_step_back_of_the_clock() {
    let watchers = Arc::<Watchers>::default();
    let second = Duration::from_secs(1);
    let key = (session(1), OnOutage::Accept);
    let _ticket = enter(&watchers, 1, OnOutage::Accept, "a");
    let live = SessionStatus::Live {
        left: 60 * second,
        absolute_left: 600 * second,
    };
    watchers.record_status(key, live, NOW, tolerance(NOW));
    assert!(watchers.take_due(NOW + 59 * second, None).is_empty());
    assert_eq!(watchers.take_due(NOW + 60 * second, None), [key]);
    assert!(
        watchers.take_due(NOW + 60 * second, None).is_empty(),
        "it is being asked"
    );
    watchers.record_status(key, live, NOW + 60 * second, tolerance(NOW));
    let stale = Some(5 * second);
    assert!(watchers.take_due(NOW + 64 * second, stale).is_empty());
    assert_eq!(watchers.take_due(NOW + 65 * second, stale), [key]);
    assert!(watchers.take_due(NOW + 65 * second, stale).is_empty());
    assert_eq!(watchers.take_due(NOW, None), [key], "the clock was set back");
    assert!(watchers.take_due(NOW, None).is_empty());
}

#[test]
fn silence_is_borne_for_one_access_lifetime_and_never_past_the_absolute_deadline() {
    let lease = ConfirmedLiveness {
        confirmed: NOW,
        deadline: NOW + 2 * LIFETIME,
        absolute: NOW + 10 * LIFETIME,
    };
    let millisecond = Duration::from_millis(1);
    let unread = Timestamp::from_millis(i64::MIN);
    for (lease, feed_read_at, end) in [
        (lease, unread, LIFETIME),
        (lease, NOW + LIFETIME, 2 * LIFETIME),
        // The feed does not tell of a lapse.
        (lease, NOW + 9 * LIFETIME, 3 * LIFETIME),
        (
            ConfirmedLiveness {
                absolute: NOW + LIFETIME / 2,
                ..lease
            },
            NOW,
            LIFETIME / 2,
        ),
        (
            ConfirmedLiveness::of_token(NOW + LIFETIME / 3, LIFETIME),
            NOW + LIFETIME,
            LIFETIME / 3,
        ),
    ] {
        let given_up = |after| lease.given_up(OnOutage::Accept, NOW + after, tolerance(feed_read_at));
        assert!(!given_up(end - millisecond) && given_up(end), "{lease:?}");
        assert!(lease.given_up(OnOutage::Refuse, NOW, tolerance(feed_read_at)));
    }
}
