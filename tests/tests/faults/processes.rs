//! App processes that are killed, and ones that stand still.

use std::sync::Arc;
use std::time::Duration;

use acceptance::Target;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::process::Signal;

use crate::campaign;
use crate::world::{Plan, World};

async fn killed_apps(at: Target) {
    campaign::run(at, "killed_apps", Plan::usual(), kill_one_after_another).await;
}

async fn kill_one_after_another(world: Arc<World>, mut random: StdRng) {
    for _ in 0..3 {
        pause(&mut random, 300..1500).await;
        let instance = world.any(&mut random);
        world.trouble_begins();
        instance.kill().await;
        pause(&mut random, 50..600).await;
        instance.revive().await;
        world.trouble_ends();
    }
}

/// What a stopped process has in its hands is late by as long as it stands still.
async fn stopped_apps(at: Target) {
    campaign::run(at, "stopped_apps", Plan::usual(), stop_one_after_another).await;
}

async fn stop_one_after_another(world: Arc<World>, mut random: StdRng) {
    let third = world.plan.grace / 3;
    for _ in 0..5 {
        pause(&mut random, 200..900).await;
        let instance = world.any(&mut random);
        world.trouble_begins();
        instance.signal(Signal::STOP).await;
        tokio::time::sleep(third.mul_f64(random.random_range(0.2..0.8))).await;
        instance.signal(Signal::CONT).await;
        world.trouble_ends();
    }
}

async fn pause(random: &mut StdRng, millis: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.random_range(millis))).await;
}

on_every_store!(stopped_apps);

on_shared_stores!(killed_apps);
