//! Every row of the rotation table, at the millisecond, through the routes.

use auth_tower::Event;
use auth_tower::session::EndReason;
use auth_tower::session::rotation::Reuse;

use super::support::*;

fn third() -> std::time::Duration {
    GRACE / 3
}

/// Alice's session after one rotation, whose successor nobody has used yet.
struct Rotated {
    world: World,
    first: TokenResponse,
    second: String,
    /// The access token that came with it.
    access: String,
}

async fn rotated() -> Rotated {
    rotated_in(World::new()).await
}

async fn rotated_in(world: World) -> Rotated {
    let first = world.sign_in("alice").await;
    world.travel(HOUR);
    world.settle().await;
    let reply = world.post_refresh(&first.refresh).await;
    let second = reply.refresh().unwrap();
    let access = reply.access().unwrap();
    assert_eq!(generation_of(&second), 2);
    let _ = world.events();
    Rotated {
        world,
        first,
        second,
        access,
    }
}

impl Rotated {
    /// The client proves that it holds the second generation.
    async fn seen(self) -> Self {
        assert_eq!(self.world.me(&self.access).await.status, 200);
        self.world.settle().await;
        assert!(self.world.store.record(self.first.session).await.unwrap().rotation.seen);
        self
    }

    async fn is_stolen(&self, refresh: &str) {
        let reply = self.world.post_refresh(refresh).await;
        assert_eq!((reply.status, &*reply.code()), (401, "refresh_token_reused"));
        assert!(reply.clears());
        for token in [&self.first.refresh, &self.second] {
            let over = self.world.post_refresh(token).await;
            assert_eq!(
                (over.status, &*over.code()),
                (401, "refresh_token_reused"),
                "the whole session is over"
            );
        }
        let me = self.world.me(&self.access).await;
        let expires_at = claims_of(&self.access)["exp"].as_i64().unwrap();
        let why = match expires_at <= self.world.clock.now().as_secs() {
            true => "token_expired",
            false => "token_revoked",
        };
        assert_eq!((me.status, &*me.code()), (401, why));
    }
}

#[tokio::test(start_paused = true)]
async fn rt_01_the_current_one_after_the_grace_rotates() {
    let Rotated {
        world, second, first, ..
    } = rotated().await;
    world.travel(GRACE + MILLISECOND);
    let reply = world.post_refresh(&second).await;
    assert_eq!(generation_of(&reply.refresh().unwrap()), 3);
    assert_eq!(claims_of(&reply.access().unwrap())["gen"], 3);
    let record = world.store.record(first.session).await.unwrap();
    assert_eq!(
        (record.rotation.current, record.rotation.confirmed, record.rotation.seen),
        (3, Some(2), false)
    );
}

#[tokio::test(start_paused = true)]
async fn the_current_one_within_the_grace_gets_an_access_token_and_no_cookie() {
    for silently in [true, false] {
        for age in [MILLISECOND, third(), GRACE] {
            let Rotated {
                world, second, first, ..
            } = rotated().await;
            world.travel(age);
            let reply = match silently {
                true => world.silently(&second).await,
                false => world.post_refresh(&second).await,
            };
            assert_eq!(reply.status, 200);
            assert_eq!(reply.set_cookies(), Vec::<&str>::new());
            assert_eq!(claims_of(&reply.access().unwrap())["gen"], 2);
            world.settle().await;
            assert!(
                world.store.record(first.session).await.unwrap().rotation.seen,
                "it was proven to have arrived"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rt_05_the_predecessor_of_an_unseen_one_gets_the_same_successor_for_a_third_of_the_grace() {
    for silently in [true, false] {
        for age in [MILLISECOND, SECOND, third()] {
            let Rotated {
                world, second, first, ..
            } = rotated().await;
            world.travel(age);
            let reply = match silently {
                true => world.silently(&first.refresh).await,
                false => world.post_refresh(&first.refresh).await,
            };
            assert_eq!(reply.refresh().as_ref(), Some(&second), "the same bytes");
            assert!(reply.access().is_some());
            let record = world.store.record(first.session).await.unwrap();
            assert_eq!((record.rotation.current, record.rotation.seen), (2, false));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_that_third_it_is_answered_without_a_refresh_token() {
    for seen in [false, true] {
        for age in [third() + MILLISECOND, GRACE] {
            let mut scene = rotated().await;
            if seen {
                scene = scene.seen().await;
            }
            let Rotated { world, first, .. } = &scene;
            world.travel(age);
            let silent = world.silently(&first.refresh).await;
            assert_eq!((silent.status, &silent.json()["gen"]), (200, &1.into()), "claims only");
            silent.writes_nothing();
            let refreshed = world.post_refresh(&first.refresh).await;
            assert_eq!(refreshed.set_cookies(), Vec::<&str>::new());
            let access = refreshed.access().unwrap();
            assert_eq!(
                claims_of(&access)["gen"],
                1,
                "it must not prove that the current one was seen"
            );
            assert_eq!(world.me(&access).await.status, 200);
            world.settle().await;
            assert_eq!(world.store.record(first.session).await.unwrap().rotation.seen, seen);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn once_the_successor_was_seen_it_is_not_handed_out_again() {
    let Rotated { world, first, .. } = &rotated().await.seen().await;
    world.travel(MILLISECOND);
    let silent = world.silently(&first.refresh).await;
    assert_eq!(silent.status, 200);
    silent.writes_nothing();
    assert_eq!(
        world.post_refresh(&first.refresh).await.set_cookies(),
        Vec::<&str>::new()
    );
}

#[tokio::test(start_paused = true)]
async fn rt_04_a_lost_response_is_recovered_an_hour_later() {
    for age in [GRACE + MILLISECOND, HOUR, DAY] {
        let Rotated { world, first, .. } = rotated().await;
        world.travel(age);
        let reply = world.post_refresh(&first.refresh).await;
        assert_eq!(reply.status, 200);
        let third = reply.refresh().unwrap();
        assert_eq!(generation_of(&third), 3);
        let record = world.store.record(first.session).await.unwrap();
        assert_eq!((record.rotation.current, record.rotation.confirmed), (3, Some(1)));
        assert_eq!(
            world.events(),
            [Event::Recovered {
                session: first.session,
                generation: 3
            }]
        );
        world.travel(HOUR);
        assert_eq!(
            generation_of(&world.post_refresh(&third).await.refresh().unwrap()),
            4,
            "and life goes on"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rt_05_the_orphan_of_a_recovery_gives_the_thief_away() {
    for age in [MILLISECOND, HOUR] {
        let scene = rotated().await;
        scene.world.travel(HOUR);
        assert_eq!(scene.world.post_refresh(&scene.first.refresh).await.status, 200);
        scene.world.travel(age);
        scene.is_stolen(&scene.second).await;
    }
}

#[tokio::test(start_paused = true)]
async fn strict_takes_a_lost_response_for_a_theft_but_only_after_the_grace() {
    let strict = || World::with(|builder| builder.reuse(Reuse::Strict));
    let scene = rotated_in(strict()).await;
    scene.world.travel(GRACE + MILLISECOND);
    scene.is_stolen(&scene.first.refresh).await;

    let scene = rotated_in(strict()).await;
    scene.world.travel(third());
    assert_eq!(
        scene.world.post_refresh(&scene.first.refresh).await.refresh(),
        Some(scene.second)
    );
}

#[tokio::test(start_paused = true)]
async fn rt_02_rt_03_a_seen_ones_predecessor_after_the_grace_ends_that_session_and_no_other() {
    for age in [GRACE + MILLISECOND, HOUR] {
        let scene = rotated().await.seen().await;
        let other_device = scene.world.sign_in("alice").await;
        let _ = scene.world.events();
        scene.world.travel(age);
        scene.is_stolen(&scene.first.refresh).await;
        assert_eq!(
            scene.world.events()[..2],
            [
                Event::RefreshTokenReused {
                    subject: "alice".parse().unwrap(),
                    session: scene.first.session,
                    presented: 1,
                    current: 2,
                },
                Event::SessionEnded {
                    session: scene.first.session,
                    reason: EndReason::Reused
                },
            ]
        );
        assert_eq!(scene.world.post_refresh(&other_device.refresh).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn using_the_new_refresh_token_also_proves_that_it_was_seen() {
    let scene = rotated().await;
    scene.world.travel(GRACE);
    assert_eq!(scene.world.silently(&scene.second).await.status, 200);
    scene.world.settle().await;
    scene.world.travel(MILLISECOND);
    scene.is_stolen(&scene.first.refresh).await;
}

#[tokio::test(start_paused = true)]
async fn rt_06_only_the_immediate_predecessor_is_ever_tolerated() {
    for age in [MILLISECOND, third(), GRACE, HOUR] {
        let scene = rotated().await;
        scene.world.travel(HOUR);
        assert_eq!(
            generation_of(&scene.world.post_refresh(&scene.second).await.refresh().unwrap()),
            3
        );
        scene.world.travel(age);
        scene.is_stolen(&scene.first.refresh).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rt_25_a_store_that_lost_rotations_is_healed_forward() {
    for age in [MILLISECOND, HOUR] {
        let Rotated {
            world, first, second, ..
        } = rotated().await;
        world.travel(HOUR);
        let third = world.post_refresh(&second).await.refresh().unwrap();
        world.store.restore_backup().await;
        let _ = world.events();
        world.travel(age);
        let reply = world.post_refresh(&third).await;
        let fourth = reply.refresh().unwrap();
        assert_eq!(generation_of(&fourth), 4);
        assert_eq!(
            world.events(),
            [Event::SessionRepaired {
                session: first.session,
                presented: 3,
                stored: 1
            }]
        );
        world.travel(HOUR);
        assert_eq!(generation_of(&world.post_refresh(&fourth).await.refresh().unwrap()), 5);
        world.travel(HOUR);
        let replayed = world.post_refresh(&first.refresh).await;
        assert_eq!(
            replayed.code(),
            "refresh_token_reused",
            "no rotated token came back to life"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rt_09_at_grace_zero_five_refreshes_within_one_second_rotate_five_times() {
    for reuse in [Reuse::Recover, Reuse::Strict] {
        let world = World::with(|builder| builder.grace(std::time::Duration::ZERO).reuse(reuse));
        let alice = world.sign_in("alice").await;
        let mut tokens = vec![alice.refresh];
        for generation in 2..=6 {
            // The clock does not even move: a counter decides, not a time.
            let next = world.post_refresh(tokens.last().unwrap()).await.refresh().unwrap();
            assert_eq!(generation_of(&next), generation);
            tokens.push(next);
        }
        let replayed = world.post_refresh(&tokens[2]).await;
        assert_eq!((replayed.status, &*replayed.code()), (401, "refresh_token_reused"));
        assert_eq!(world.post_refresh(&tokens[5]).await.status, 401);
    }
}

#[tokio::test(start_paused = true)]
async fn rt_10_neither_a_restart_nor_a_clock_set_back_brings_a_rotated_token_back() {
    let Rotated {
        world, first, second, ..
    } = rotated().await;
    world.travel(HOUR);
    let third = world.post_refresh(&second).await.refresh().unwrap();
    let restarted = world.another();
    world.clock.set(world.clock.now() - 2 * HOUR);
    let replayed = restarted.post_refresh(&first.refresh).await;
    assert_eq!((replayed.status, &*replayed.code()), (401, "refresh_token_reused"));
    assert_eq!(restarted.post_refresh(&third).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn rt_15_ck_06_the_cookies_age_is_the_smaller_remainder_and_shrinks_towards_the_absolute_end() {
    let world = World::with(|builder| builder.idle_lifetime(7 * DAY).absolute_lifetime(10 * DAY));
    let reply = world.try_sign_in("alice", "wonderland").await;
    assert_eq!(reply.max_age(), Some(7 * 86_400));
    let mut refresh = reply.refresh().unwrap();
    for (day, left) in [(2, 7), (3, 7), (4, 6), (5, 5), (9, 1)] {
        world
            .clock
            .set(auth_tower::Timestamp::from_secs(1_800_000_000) + day * DAY);
        let reply = world.post_refresh(&refresh).await;
        assert_eq!(reply.max_age(), Some(left * 86_400), "day {day}");
        refresh = reply.refresh().unwrap();
        let again = world.another().silently(&refresh).await;
        assert_eq!((again.status, again.max_age()), (200, None));
    }
    world
        .clock
        .set(auth_tower::Timestamp::from_secs(1_800_000_000) + 10 * DAY - MILLISECOND);
    let reply = world.post_refresh(&refresh).await;
    assert_eq!(
        (reply.status, reply.max_age()),
        (200, Some(1)),
        "never zero, which would remove it"
    );
    let last = reply.refresh().unwrap();
    world.travel(MILLISECOND);
    let reply = world.post_refresh(&last).await;
    assert_eq!((reply.status, &*reply.code()), (401, "refresh_token_expired"));
    assert!(reply.clears());
}

#[tokio::test(start_paused = true)]
async fn rt_16_a_session_is_idle_to_the_millisecond() {
    let world = World::with(|builder| builder.idle_lifetime(DAY));
    let alice = world.sign_in("alice").await;
    world.travel(DAY - MILLISECOND);
    let second = world.post_refresh(&alice.refresh).await.refresh().unwrap();
    world.travel(DAY - MILLISECOND);
    let third = world.post_refresh(&second).await.refresh().unwrap();
    world.travel(DAY);
    for path in ["/auth/refresh", "/me"] {
        let reply = world.send(ask("POST", path).refresh(&third)).await;
        assert_eq!((reply.status, &*reply.code()), (401, "refresh_token_expired"));
        assert!(reply.clears());
    }
}

#[tokio::test(start_paused = true)]
async fn rt_23_ten_thousand_rotations_keep_one_row() {
    let world = World::with(|builder| builder.grace(std::time::Duration::ZERO));
    let alice = world.sign_in("alice").await;
    let mut refresh = alice.refresh;
    for _ in 0..10_000 {
        refresh = world.post_refresh(&refresh).await.refresh().unwrap();
    }
    assert_eq!(generation_of(&refresh), 10_001);
    assert_eq!(world.store.rows("alice").await, 1);
    assert_eq!(
        world.store.record(alice.session).await.unwrap().rotation.current,
        10_001
    );
}

#[tokio::test(start_paused = true)]
async fn changed_roles_take_effect_with_the_next_access_token() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    assert_eq!(claims_of(&alice.access)["roles"], serde_json::json!(["reader"]));
    world.accounts.roles(&["reader", "admin"]);
    let access = world.post_refresh(&alice.refresh).await.access().unwrap();
    assert_eq!(claims_of(&access)["roles"], serde_json::json!(["reader", "admin"]));
}

#[tokio::test(start_paused = true)]
async fn rt_25_after_a_healing_what_is_under_way_is_answered_and_later_it_is_a_theft() {
    for (age, status) in [(third(), 200), (third() + MILLISECOND, 401)] {
        let Rotated { world, second, .. } = rotated().await;
        world.travel(HOUR);
        let newest = world.post_refresh(&second).await.refresh().unwrap();
        world.store.restore_backup().await;
        let healed = world.post_refresh(&newest).await.refresh().unwrap();
        assert_eq!(generation_of(&healed), 4);
        world.travel(age);
        let reply = world.silently(&second).await;
        assert_eq!(reply.status, status);
        if status == 200 {
            reply.writes_nothing();
            world.travel(HOUR);
            assert_eq!(world.post_refresh(&healed).await.status, 200, "and life goes on");
        }
    }
}
