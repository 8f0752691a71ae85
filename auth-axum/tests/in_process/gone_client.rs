//! A client that goes away while its tokens are exchanged.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::support::*;

/// Polls a request `polls` times and then goes away. Returns whether it had been answered.
async fn go_away(world: &World, request: Ask, polls: usize) -> bool {
    let mut response = pin!(world.send(request));
    for _ in 0..polls {
        let done = poll_fn(|cx| Poll::Ready(response.as_mut().poll(cx).is_ready())).await;
        if done {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn an_exchange_once_begun_completes_whenever_its_client_goes_away() {
    for fault in [None, Some(Fault::Delay(SECOND))] {
        for (method, path) in [("GET", "/me"), ("POST", "/auth/refresh"), ("GET", "/option")] {
            for polls in 1..=6 {
                let world = World::new();
                let alice = world.sign_in("alice").await;
                world.travel(HOUR);
                if let Some(fault) = fault {
                    world.store.fail(Call::Advance, fault);
                }
                let answered = go_away(&world, ask(method, path).refresh(&alice.refresh), polls).await;
                assert!(!(answered && fault.is_some()), "the answer takes longer than that");
                world.settle().await;
                let record = world.store.record(alice.session).await.unwrap();
                assert_eq!(record.rotation.current, 2, "after {polls} polls");

                world.store.heal();
                world.travel(5 * SECOND);
                let second = world.silently(&alice.refresh).await.refresh().unwrap();
                assert_eq!(generation_of(&second), 2, "the same successor");
                world.travel(HOUR);
                assert_eq!(generation_of(&world.post_refresh(&second).await.refresh().unwrap()), 3);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_away_before_it_was_looked_at_changes_nothing() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    go_away(&world, ask("GET", "/me").refresh(&alice.refresh), 0).await;
    world.settle().await;
    assert_eq!(world.store.record(alice.session).await.unwrap().rotation.current, 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_share_the_exchange_are_answered_though_its_first_client_is_gone() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    world.store.fail(Call::Advance, Fault::Delay(SECOND));
    let _ = world.store.calls();
    let (first, second) = tokio::join!(
        tokio::time::timeout(MILLISECOND, world.silently(&alice.refresh)),
        world.silently(&alice.refresh),
    );
    assert!(first.is_err());
    assert_eq!(generation_of(&second.refresh().unwrap()), 2);
    assert_eq!(world.store.calls(), [(Call::Advance, 1)]);
}
