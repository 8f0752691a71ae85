//! Instances whose clocks are minutes apart: they go by their store's clock, and nobody notices.

use auth_tower::{Clock, Timestamp};

use super::support::*;

/// An instance whose own clock is this far from the store's.
fn instance(world: &World, apart_millis: i64) -> World {
    let now = world.clock.now().as_millis();
    let own = Clock::manual(Timestamp::from_millis(now + apart_millis));
    world.another_with(|builder| builder.clock(own))
}

const MINUTES: [i64; 4] = [-600_000, -61_000, 61_000, 600_000];

#[tokio::test(start_paused = true)]
async fn a_token_is_good_on_every_instance_at_once() {
    for apart in MINUTES {
        let right = World::new();
        let wrong = instance(&right, apart);
        // Not a moment passes: the sign-in itself is the first that the instance hears of the store's clock.
        let alice = wrong.sign_in("alice").await;
        right.settle().await;
        for world in [&right, &wrong] {
            assert_eq!(world.me(&alice.access).await.status, 200, "{apart} ms apart");
        }
        let bob = right.sign_in("bob").await;
        assert_eq!(wrong.me(&bob.access).await.status, 200, "{apart} ms apart");
        let offset = wrong.auth.health().clock_offset_millis;
        assert_eq!(offset, -apart, "and the operator can see it");
        assert_eq!(right.auth.health().clock_offset_millis, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_on_either_gives_a_token_for_both() {
    for apart in MINUTES {
        let right = World::new();
        let wrong = instance(&right, apart);
        let alice = right.sign_in("alice").await;
        wrong.settle().await;
        let reply = wrong.post_refresh(&alice.refresh).await;
        assert_eq!(reply.status, 200);
        let access = reply.access().unwrap();
        for world in [&right, &wrong] {
            assert_eq!(world.me(&access).await.status, 200, "{apart} ms apart");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_everywhere_at_the_same_moment() {
    for apart in MINUTES {
        let right = World::new();
        let wrong = instance(&right, apart);
        let alice = right.sign_in("alice").await;
        wrong.settle().await;
        assert_eq!(wrong.me(&alice.access).await.status, 200);
        // The instance's own clock stands still; the store's is what counts, and each answer tells it.
        right.travel(900 * SECOND);
        wrong.settle().await;
        for world in [&right, &wrong] {
            assert_eq!(
                world.me(&alice.access).await.code(),
                "token_expired",
                "{apart} ms apart"
            );
        }
    }
}
