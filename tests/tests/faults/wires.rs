//! The network between an app and its store.

use std::sync::Arc;
use std::time::Duration;

use acceptance::Target;
use acceptance::proxy::Weather;
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::campaign;
use crate::world::{Needs, Plan, World};

/// As with a server that stands still, a call may wait for two seconds.
const BROKEN: Plan = Plan {
    grace: Duration::from_millis(6_600),
    load: Duration::from_secs(11),
    needs: Needs::Wire,
    ..Plan::usual()
};

/// What was asked for has happened, and the app never hears of it.
async fn reset_after_commit(at: Target) {
    campaign::run(at, "reset_after_commit", BROKEN, cut).await;
}

async fn cut(world: Arc<World>, random: StdRng) {
    weather(world, random, |random| {
        Weather::SubjectCutoff(random.random_range(5..60))
    })
    .await;
}

/// Packets vanish; what was sent arrives when the network is back.
async fn silent_network(at: Target) {
    campaign::run(at, "silent_network", BROKEN, silence).await;
}

async fn silence(world: Arc<World>, random: StdRng) {
    weather(world, random, |_| Weather::Silent).await;
}

/// The store hears, and is not heard.
async fn half_open_network(at: Target) {
    campaign::run(at, "half_open_network", BROKEN, deafness).await;
}

async fn deafness(world: Arc<World>, random: StdRng) {
    weather(world, random, |_| Weather::Deaf).await;
}

/// Slow, but not so slow that a call is given up.
async fn slow_network(at: Target) {
    campaign::run(at, "slow_network", BROKEN, slowness).await;
}

async fn slowness(world: Arc<World>, random: StdRng) {
    let held = |random: &mut StdRng| Duration::from_millis(random.random_range(20..300));
    weather(world, random, move |random| Weather::Slow(held(random))).await;
}

/// The same weather for one app, or for both, several times.
async fn weather(world: Arc<World>, mut random: StdRng, mut draw: impl FnMut(&mut StdRng) -> Weather + Send) {
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(random.random_range(300..1_500))).await;
        let weather = draw(&mut random);
        let hit = random.random_range(0..3);
        world.trouble_begins();
        for (number, wire) in world.wires().iter().enumerate() {
            if hit == 2 || hit == number {
                wire.set(weather);
            }
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(200..2_200))).await;
        for wire in world.wires() {
            wire.set(Weather::Clear);
        }
        world.trouble_ends();
    }
}

on_single_servers!(reset_after_commit, silent_network, half_open_network, slow_network);
