//! What outlives its request ends with its session: ended here or elsewhere, lapsed, or out of reach.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use auth_tower::adapter::HandleSource;
use auth_tower::layer::HttpFacts;
use auth_tower::{DenialCode, Handle, OnOutage, Watch, adapter};

use super::support::*;

fn handle(world: &World, access: &str, on_outage: OnOutage) -> Handle {
    let request = build(ask("GET", "/").bearer(access));
    let handle = HandleSource::new(&world.auth).on_outage(on_outage).handle();
    adapter::observe(
        &handle,
        &HttpFacts::new(request.method(), request.uri(), request.headers(), None),
    );
    handle
}

async fn watch(world: &World, access: &str) -> Watch {
    handle(world, access, OnOutage::Accept).watch().await.unwrap()
}

/// Lets both clocks go on together for `by`, a second at a time, or until the watch is over. Returns how long that took.
async fn go_on(world: &World, watch: &Watch, by: Duration) -> Duration {
    let mut gone = Duration::ZERO;
    while gone < by && !watch.is_over() {
        world.travel(SECOND);
        tokio::time::sleep(SECOND).await;
        gone += SECOND;
    }
    gone
}

/// How soon the end of a session that was ended elsewhere is heard of.
async fn heard_within(watch: &Watch, bound: Duration) {
    tokio::time::timeout(bound, watch.over()).await.unwrap();
    assert!(watch.is_over());
    watch.over().await;
}

#[tokio::test(start_paused = true)]
async fn a_sign_out_ends_its_own_watches_here_at_once_and_elsewhere_within_a_second() {
    let here = World::new();
    let there = here.another();
    let (alice, phone) = (here.sign_in("alice").await, here.sign_in("alice").await);
    let (near, far) = (watch(&here, &alice.access).await, watch(&there, &alice.access).await);
    let others = [watch(&here, &phone.access).await, watch(&there, &phone.access).await];
    let clone = far.clone();
    here.settle().await;
    assert!(!near.is_over() && !far.is_over());
    let out = here.send(ask("POST", "/auth/logout").refresh(&alice.refresh)).await;
    assert_eq!(out.status, 204);
    heard_within(&near, Duration::ZERO).await;
    heard_within(&far, SECOND).await;
    heard_within(&clone, Duration::ZERO).await;
    here.settle().await;
    assert!(others.iter().all(|watch| !watch.is_over()));
}

#[tokio::test(start_paused = true)]
async fn ending_all_of_a_users_sessions_ends_their_watches_and_asks_about_nobody_elses() {
    let here = World::new();
    let there = here.another();
    let (kept, other, bob) = (
        here.sign_in("alice").await,
        here.sign_in("alice").await,
        here.sign_in("bob").await,
    );
    let mut watches = Vec::new();
    for signed_in in [&kept, &other, &bob] {
        watches.push([
            watch(&here, &signed_in.access).await,
            watch(&there, &signed_in.access).await,
        ]);
    }
    assert_eq!(here.send(ask("POST", "/others").bearer(&kept.access)).await.body, "1");
    for watch in &watches[1] {
        heard_within(watch, SECOND).await;
    }
    here.settle().await;
    assert!(watches[0].iter().chain(&watches[2]).all(|watch| !watch.is_over()));
    let _ = here.store.calls();
    assert_eq!(here.auth.end_all(&"alice".parse().unwrap()).await.unwrap(), 1);
    for watch in &watches[0] {
        heard_within(watch, SECOND).await;
    }
    assert_eq!(
        here.store.count(Call::Find),
        2,
        "once per instance, and nothing about bob"
    );
    assert!(watches[2].iter().all(|watch| !watch.is_over()));
    // A session of later is another one.
    let again = here.sign_in("alice").await;
    let again = watch(&there, &again.access).await;
    here.settle().await;
    assert!(!again.is_over());
}

#[tokio::test(start_paused = true)]
async fn an_ending_that_may_cover_a_session_counts_although_the_store_is_gone() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let watched = watch(&world, &alice.access).await;
    world.store.fail(Call::Find, Fault::Error);
    assert_eq!(world.auth.end_all(&"alice".parse().unwrap()).await.unwrap(), 1);
    heard_within(&watched, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_lapse_is_noticed_within_a_second_and_a_refresh_puts_it_off() {
    let world = World::with(|builder| builder.idle_lifetime(HOUR).absolute_lifetime(2 * HOUR));
    let alice = world.sign_in("alice").await;
    let watched = watch(&world, &alice.access).await;
    assert_eq!(go_on(&world, &watched, HOUR / 2).await, HOUR / 2);
    let reply = world.post_refresh(&alice.refresh).await;
    let (refresh, fresh) = (reply.refresh().unwrap(), reply.access().unwrap());
    let _ = world.store.calls();
    // The first deadline passes: the store is asked once, and names the second.
    assert_eq!(go_on(&world, &watched, HOUR - 2 * SECOND).await, HOUR - 2 * SECOND);
    assert_eq!(world.store.calls(), [(Call::Find, 1)]);
    let late = go_on(&world, &watched, HOUR).await;
    assert!(late <= 4 * SECOND, "{late:?}");
    assert_eq!(world.post_refresh(&refresh).await.code(), "refresh_token_expired");
    let denial = handle(&world, &fresh, OnOutage::Accept).watch().await.unwrap_err();
    assert_eq!(denial.code(), DenialCode::TokenExpired);
}

#[tokio::test(start_paused = true)]
async fn no_refresh_puts_off_the_absolute_lifetime() {
    let world = World::with(|builder| {
        let builder = builder.idle_lifetime(HOUR).absolute_lifetime(HOUR + HOUR / 2);
        builder.access_lifetime(2 * HOUR)
    });
    let alice = world.sign_in("alice").await;
    let watched = watch(&world, &alice.access).await;
    go_on(&world, &watched, HOUR - SECOND).await;
    assert_eq!(world.post_refresh(&alice.refresh).await.status, 200);
    let more = go_on(&world, &watched, HOUR).await;
    assert!(more > HOUR / 2 && more <= HOUR / 2 + 3 * SECOND, "{more:?}");
    // The token lives on, but there is nothing to wait for.
    let denial = handle(&world, &alice.access, OnOutage::Accept)
        .watch()
        .await
        .unwrap_err();
    assert!(
        matches!(
            denial.code(),
            DenialCode::TokenExpired | DenialCode::RefreshTokenExpired
        ),
        "{denial}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_feed_and_store_a_connection_ends_at_once_or_after_one_access_lifetime_as_the_layer_says() {
    for fault in [Fault::Error, Fault::Hang] {
        let world = World::new();
        let alice = world.sign_in("alice").await;
        let refusing = handle(&world, &alice.access, OnOutage::Refuse).watch().await.unwrap();
        let accepting = watch(&world, &alice.access).await;
        go_on(&world, &refusing, HOUR).await;
        assert!(!refusing.is_over());
        world.store.fail_all(fault);
        let refused = go_on(&world, &refusing, HOUR).await;
        assert!(
            refused >= 4 * SECOND && refused <= 12 * SECOND,
            "{fault:?}: {refused:?}"
        );
        let accepted = refused + go_on(&world, &accepting, HOUR).await;
        assert!(
            accepted >= EXPIRY - 2 * SECOND && accepted <= EXPIRY + 5 * SECOND,
            "{fault:?}: {accepted:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_in_time_ends_nothing() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let watched = watch(&world, &alice.access).await;
    for _ in 0..3 {
        world.store.fail_all(Fault::Error);
        go_on(&world, &watched, EXPIRY - 10 * SECOND).await;
        world.store.heal();
        go_on(&world, &watched, 5 * SECOND).await;
        assert!(!watched.is_over());
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_feed_the_store_is_asked_as_often_as_for_a_token() {
    let here = World::new();
    let there = here.another();
    let (alice, bob) = (here.sign_in("alice").await, here.sign_in("bob").await);
    let watches = [watch(&there, &alice.access).await, watch(&there, &bob.access).await];
    here.store.fail(Call::EndedSince, Fault::Error);
    go_on(&there, &watches[0], 20 * SECOND).await;
    let _ = here.store.calls();
    go_on(&there, &watches[0], 60 * SECOND).await;
    let asked = here.store.count(Call::Find);
    assert!(
        (20..=26).contains(&asked),
        "two sessions, every five seconds for a minute: {asked}"
    );
    here.send(ask("POST", "/auth/logout").refresh(&alice.refresh)).await;
    let late = go_on(&there, &watches[0], 60 * SECOND).await;
    assert!(late <= 6 * SECOND, "{late:?}");
    assert!(!watches[1].is_over());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_begins_in_an_outage_lasts_as_long_as_its_token_would_or_is_refused() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    assert_eq!(world.me(&alice.access).await.status, 200);
    world.store.fail_all(Fault::Error);
    world.travel(5 * 60 * SECOND);
    let denial = handle(&world, &alice.access, OnOutage::Refuse)
        .watch()
        .await
        .unwrap_err();
    assert_eq!(denial.code(), DenialCode::StoreUnavailable);
    let watched = watch(&world, &alice.access).await;
    let lasted = go_on(&world, &watched, HOUR).await;
    assert!(lasted >= 598 * SECOND && lasted <= 603 * SECOND, "{lasted:?}");
    // And one whose outage ends is told its true deadline.
    world.store.heal();
    let again = world.sign_in("alice").await;
    world.store.fail(Call::Find, Fault::Error);
    let watched = watch(&world, &again.access).await;
    go_on(&world, &watched, 5 * SECOND).await;
    world.store.heal();
    assert_eq!(go_on(&world, &watched, HOUR).await, HOUR);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_live_session_has_nothing_to_watch() {
    let world = World::new();
    let nobody = HandleSource::new(&world.auth).handle();
    assert_eq!(nobody.watch().await.unwrap_err().code(), DenialCode::MissingToken);
    let alice = world.sign_in("alice").await;
    let before = handle(&world, &alice.access, OnOutage::Accept);
    world.auth.end_session(alice.session).await.unwrap();
    let after = handle(&world, &alice.access, OnOutage::Accept);
    for handle in [before, after] {
        let denial = handle.watch().await.unwrap_err();
        assert_eq!((denial.status(), denial.code()), (401, DenialCode::TokenRevoked));
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_may_be_broken_off_and_begun_again() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let watched = watch(&world, &alice.access).await;
    let mut turns = 0;
    loop {
        tokio::select! {
            () = watched.over() => break,
            () = tokio::time::sleep(SECOND) => turns += 1,
        }
        if turns == 3 {
            world.auth.end_session(alice.session).await.unwrap();
        }
        assert!(turns <= 3);
    }
    // The future holds on to what it needs.
    let bob = world.sign_in("bob").await;
    let over = watch(&world, &bob.access).await.over();
    let waiting = tokio::spawn(over);
    world.auth.end_session(bob.session).await.unwrap();
    tokio::time::timeout(SECOND, waiting).await.unwrap().unwrap();
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn of_ten_thousand_only_those_concerned_are_woken_and_the_forgotten_cost_nothing() {
    let world = World::new();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut sessions = Vec::new();
    world.settle().await;
    let mut waiting: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for number in 0..2_000 {
        let signed_in = world.sign_in(if number < 3 { "alice" } else { "bob" }).await;
        for _ in 0..5 {
            let mut over: Pin<Box<dyn Future<Output = ()>>> = Box::pin(watch(&world, &signed_in.access).await.over());
            assert!(over.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            waiting.push(over);
        }
        sessions.push(signed_in);
    }
    assert_eq!(
        world.store.count(Call::Find),
        2_000,
        "once per session, whatever the number of its watches"
    );
    world.settle().await;
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    let _ = world.store.calls();
    world.auth.end_session(sessions[1_000].session).await.unwrap();
    assert_eq!(woken.0.swap(0, Ordering::SeqCst), 5);
    world.auth.end_all(&"alice".parse().unwrap()).await.unwrap();
    world.settle().await;
    assert_eq!(woken.0.swap(0, Ordering::SeqCst), 15);
    assert_eq!(world.store.count(Call::Find), 3);
    let mut context = Context::from_waker(&waker);
    let over = waiting.iter_mut().map(|over| over.as_mut().poll(&mut context));
    assert_eq!(over.filter(Poll::is_ready).count(), 20);
    // All at once, and in bounded numbers.
    waiting.clear();
    let _last = pin!(watch(&world, &sessions[1_999].access).await.over());
    let _ = world.store.calls();
    world.store.fail(Call::EndedSince, Fault::Error);
    for _ in 0..20 {
        world.travel(SECOND);
        tokio::time::sleep(SECOND).await;
    }
    assert!(world.store.count(Call::Find) <= 5, "only the one that is still watched");
}
