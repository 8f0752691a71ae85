//! Truly parallel requests, on several threads.

use std::collections::HashSet;

use super::support::*;

/// A burst of 200 requests of one browser.
async fn burst(world: &World, request: Ask) -> Vec<Reply> {
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(200));
    let burst: Vec<_> = (0..200)
        .map(|_| {
            let (app, request, barrier) = (world.app.clone(), request.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                send(&app, request).await
            })
        })
        .collect();
    let mut replies = Vec::new();
    for one in burst {
        replies.push(one.await.unwrap());
    }
    replies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rt_07_a_burst_of_200_rotates_once_and_shares_one_successor() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    world.travel(EXPIRY);
    let mut refresh = alice.refresh;
    for round in 0..20 {
        let _ = world.store.calls();
        let request = match round % 3 {
            0 => ask("POST", "/auth/refresh").refresh(&refresh),
            1 => ask("POST", "/me").refresh(&refresh),
            _ => ask("GET", "/option").bearer(&alice.access).refresh(&refresh),
        };
        let replies = burst(&world, request).await;
        assert_eq!(world.store.calls(), [(Call::Advance, 1)]);
        assert!(replies.iter().all(|reply| reply.status == 200));
        let successors: HashSet<_> = replies.iter().map(|reply| reply.refresh().unwrap()).collect();
        assert_eq!(successors.len(), 1);
        refresh = successors.into_iter().next().unwrap();
        world.travel(GRACE + MILLISECOND);
    }
    assert_eq!(world.store.rows("alice").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rt_07_bursts_at_two_instances_rotate_once_and_share_one_successor() {
    let here = World::new();
    let there = here.another();
    let mut refresh = here.sign_in("alice").await.refresh;
    for round in 2..22 {
        let _ = here.store.calls();
        let request = ask("GET", "/me").refresh(&refresh);
        let (one, other) = tokio::join!(burst(&here, request.clone()), burst(&there, request));
        assert_eq!(here.store.calls(), [(Call::Advance, 2)], "one for each instance");
        let successors: HashSet<_> = one.iter().chain(&other).map(|reply| reply.refresh().unwrap()).collect();
        assert_eq!(successors.len(), 1);
        refresh = successors.into_iter().next().unwrap();
        assert_eq!(generation_of(&refresh), round);
        here.travel(GRACE + MILLISECOND);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rt_08_after_a_sign_out_nothing_that_a_refresh_gave_works() {
    let here = World::new();
    let there = here.another();
    let (mut accesses, mut refreshes) = (Vec::new(), Vec::new());
    for round in 0..500 {
        let alice = here.sign_in("alice").await;
        let refreshing = [&here, &there].map(|world| {
            let (app, refresh) = (world.app.clone(), alice.refresh.clone());
            tokio::spawn(async move { send(&app, ask("POST", "/auth/refresh").refresh(&refresh)).await })
        });
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let out = here.send(ask("POST", "/auth/logout").refresh(&alice.refresh)).await;
        assert_eq!(out.status, 204);
        refreshes.push(alice.refresh);
        for one in refreshing {
            let reply = one.await.unwrap();
            accesses.extend(reply.access());
            refreshes.extend(reply.refresh());
        }
        // Here at once.
        for access in accesses.iter().rev().take(2) {
            assert_eq!(here.me(access).await.code(), "token_revoked");
        }
        for refresh in refreshes.iter().rev().take(3) {
            assert_eq!(here.post_refresh(refresh).await.code(), "session_ended");
        }
    }
    assert!(!accesses.is_empty(), "some refreshes were faster");
    // There once the feed has told of the last one: within a second.
    let told = async {
        while there.post_refresh(refreshes.last().unwrap()).await.status != 401 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SECOND, told).await.unwrap();
    for access in &accesses {
        assert_eq!(there.me(access).await.code(), "token_revoked");
    }
    for refresh in &refreshes {
        assert_eq!(there.post_refresh(refresh).await.code(), "session_ended");
    }
}
