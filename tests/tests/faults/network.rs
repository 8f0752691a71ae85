//! The network between browsers and apps.

use std::sync::Arc;

use acceptance::Target;
use rand::rngs::StdRng;

use crate::campaign;
use crate::fates::Network;
use crate::world::{Plan, World};

async fn under_way(at: Target, name: &'static str, network: Network) {
    let plan = Plan {
        network,
        // Nothing is done to the apps.
        group: 20,
        ..Plan::usual()
    };
    campaign::run(at, name, plan, nothing_else).await;
}

async fn nothing_else(_: Arc<World>, _: StdRng) {}

async fn lost_messages(at: Target) {
    under_way(at, "lost_messages", Network::Loses).await;
}

async fn held_and_reordered_messages(at: Target) {
    under_way(at, "held_and_reordered_messages", Network::Holds).await;
}

async fn repeated_messages(at: Target) {
    under_way(at, "repeated_messages", Network::Repeats).await;
}

async fn all_of_it_at_once(at: Target) {
    under_way(at, "all_of_it_at_once", Network::Bad).await;
}

on_every_store!(
    lost_messages,
    held_and_reordered_messages,
    repeated_messages,
    all_of_it_at_once
);
