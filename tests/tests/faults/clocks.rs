//! Instances whose clocks are minutes apart.

use std::path::Path;
use std::sync::Arc;

use acceptance::{Settings, Target};
use rand::rngs::StdRng;

use crate::campaign;
use crate::world::{Plan, World};

/// One app is three minutes ahead of the store's machine, the other three behind.
async fn clocks_apart(at: Target) {
    let plan = Plan {
        each: |number, settings| off_by(if number == 0 { "+180s" } else { "-180s" }, settings),
        // Nothing is done to the apps.
        group: 20,
        ..Plan::usual()
    };
    campaign::run(at, "clocks_apart", plan, nothing_else).await;
}

/// Only the time of day is off: a machine whose clock is wrong still measures durations well.
fn off_by(offset: &str, settings: Settings) -> Settings {
    settings
        .set("LD_PRELOAD", library())
        .set("FAKETIME", offset)
        .set("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .set("DONT_FAKE_MONOTONIC", "1")
}

fn library() -> String {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| Path::exists(library))
        .expect("libfaketime.so.1: install the Debian package libfaketime")
        .display()
        .to_string()
}

async fn nothing_else(_: Arc<World>, _: StdRng) {}

on_servers!(clocks_apart);
