//! The store's server: killed, restarted, standing still; and the file store, locked by somebody else.

use std::sync::Arc;
use std::time::Duration;

use acceptance::Target;
use acceptance::store::Outage;
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::campaign;
use crate::world::{Needs, Plan, World};

/// A call waits for a store for two seconds at most, and that is part of what a request is under way.
const BROKEN: Plan = Plan {
    grace: Duration::from_millis(6_600),
    load: Duration::from_secs(11),
    needs: Needs::Server,
    ..Plan::usual()
};

async fn killed_store(at: Target) {
    campaign::run(at, "killed_store", BROKEN, kill).await;
}

async fn kill(world: Arc<World>, mut random: StdRng) {
    for _ in 0..2 {
        some_time(&mut random).await;
        world.trouble_begins();
        world.server().kill().await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1_000))).await;
        world.server().up().await;
        world.trouble_ends();
    }
}

async fn restarted_store(at: Target) {
    campaign::run(at, "restarted_store", BROKEN, restart).await;
}

async fn restart(world: Arc<World>, mut random: StdRng) {
    for _ in 0..2 {
        some_time(&mut random).await;
        world.trouble_begins();
        world.server().restart().await;
        world.trouble_ends();
    }
}

async fn stopped_store(at: Target) {
    campaign::run(at, "stopped_store", BROKEN, stop).await;
}

async fn stop(world: Arc<World>, mut random: StdRng) {
    for _ in 0..2 {
        some_time(&mut random).await;
        world.trouble_begins();
        world.server().pause().await;
        tokio::time::sleep(Duration::from_millis(random.random_range(100..3_500))).await;
        world.server().resume().await;
        world.trouble_ends();
    }
}

async fn locked_store(at: Target) {
    let plan = Plan {
        needs: Needs::Shared,
        ..BROKEN
    };
    campaign::run(at, "locked_store", plan, lock).await;
}

async fn lock(world: Arc<World>, mut random: StdRng) {
    for _ in 0..2 {
        some_time(&mut random).await;
        world.trouble_begins();
        let settings = world.settings().clone();
        let begun = tokio::task::spawn_blocking(move || Outage::begin(&settings)).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(100..3_500))).await;
        begun.expect("the outage begins").end();
        world.trouble_ends();
    }
}

async fn some_time(random: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(random.random_range(300..2_500))).await;
}

on_servers!(killed_store, restarted_store, stopped_store);

on_shared_stores!(locked_store);
