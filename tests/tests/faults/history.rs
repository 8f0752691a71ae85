//! A store that forgets: it was put back to what it was some time ago.
//!
//! A counter that fell back is healed forward by the first token that is ahead of it, so nobody is signed out. An ending that
//! the store forgot is remembered by every instance that heard of it, for as long as an access token lives: the session's
//! tokens stay refused there, and its refresh token ends it in the store once more. What no rule can keep is an ending that nobody
//! remembers: all instances were restarted too, or the memory lapsed. Then the session is back until it is ended again, is idle for
//! too long, or has lived for as long as a session may. `a_forgotten_ending_comes_back_with_the_backup` shows that bound.

use std::sync::Arc;
use std::time::Duration;

use acceptance::store::Snapshot;
use acceptance::{Client, Jar, Request, Target, expect, wait};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::campaign;
use crate::world::{BACK, Instance, Needs, Plan, Stage, World};

/// The apps were stopped for it, so nobody remembers anything. People who sign out are another test's matter.
async fn restored_with_the_apps_down(at: Target) {
    let plan = Plan {
        forgets: true,
        leavers: false,
        load: Duration::from_secs(9),
        ..Plan::usual()
    };
    campaign::run(at, "restored_with_the_apps_down", plan, restore_file).await;
}

async fn restore_file(world: Arc<World>, mut random: StdRng) {
    let settings = world.settings().clone();
    let snapshot = with_the_apps_down(&world, move || Snapshot::of(&settings)).await;
    // Some generations pass.
    let grace = world.plan.grace;
    tokio::time::sleep(grace.mul_f64(random.random_range(0.1..2.2))).await;
    with_the_apps_down(&world, move || snapshot.restore()).await;
}

async fn with_the_apps_down<T: Send + 'static>(world: &World, act: impl FnOnce() -> T + Send + 'static) -> T {
    world.trouble_begins();
    for instance in &world.instances {
        instance.kill().await;
    }
    let done = tokio::task::spawn_blocking(act).await.expect("the store obeys");
    for instance in &world.instances {
        instance.revive().await;
    }
    world.trouble_ends();
    done
}

/// The server fell back while the apps went on: they remember.
async fn restored_under_the_apps(at: Target) {
    let plan = Plan {
        grace: Duration::from_millis(6_600),
        load: Duration::from_secs(15),
        forgets: true,
        needs: Needs::Server,
        ..Plan::usual()
    };
    campaign::run(at, "restored_under_the_apps", plan, restore_server).await;
}

async fn restore_server(world: Arc<World>, mut random: StdRng) {
    tokio::time::sleep(Duration::from_millis(random.random_range(100..1_500))).await;
    world.trouble_begins();
    let backup = world.server().back_up().await;
    world.trouble_ends();
    let grace = world.plan.grace;
    tokio::time::sleep(grace.mul_f64(random.random_range(0.1..1.2))).await;
    world.trouble_begins();
    world.server().restore(backup).await;
    world.trouble_ends();
}

/// A failover: the primary is gone with its last writes, and every app is led to a replica that never had them.
async fn promoted_replica(at: Target) {
    let plan = Plan {
        grace: Duration::from_millis(6_600),
        load: Duration::from_secs(13),
        forgets: true,
        needs: Needs::Wire,
        ..Plan::usual()
    };
    campaign::run(at, "promoted_replica", plan, promote).await;
}

async fn promote(world: Arc<World>, mut random: StdRng) {
    tokio::time::sleep(Duration::from_millis(random.random_range(500..3_000))).await;
    let replica = world.server().replica().await;
    // As far as an asynchronous replica may lag behind.
    tokio::time::sleep(Duration::from_millis(random.random_range(10..1_500))).await;
    world.trouble_begins();
    world.server().kill().await;
    tokio::time::sleep(Duration::from_millis(random.random_range(50..800))).await;
    for wire in world.wires() {
        wire.lead_to(([127, 0, 0, 1], replica.port()).into());
    }
    world.trouble_ends();
    world.keep(replica);
}

/// How old a session must be for an instance to be sure that a `logout-all` meant it, whatever clocks say, and a bit.
const SURELY_BEFORE: Duration = Duration::from_secs(62);

/// Sessions that the backup still has, ended after it was made in each of the three ways: the instances remember.
async fn endings_are_remembered_when_the_store_forgets(at: Target) {
    let plan = Plan {
        grace: Duration::from_secs(30),
        needs: Needs::Server,
        each: |_, settings| settings.set("ACCESS_TOKEN_EXPIRATION", "15m"),
        ..Plan::usual()
    };
    let stage = Arc::new(Stage::set(at, plan).await);
    let world = World::on(stage, plan, &mut StdRng::seed_from_u64(1)).await;
    let addresses: Vec<_> = world.instances.iter().filter_map(Instance::address).collect();
    let [first, second] = addresses[..] else {
        panic!("two apps")
    };
    let sign_in = async |name, password| {
        let mut client = Client {
            address: first,
            jar: Jar::default(),
            access: String::new(),
        };
        let response = client.send(Request::login(name, password)).await;
        assert_eq!(response.status, 200, "{response:?}");
        client
    };
    let out = sign_in("alice", "wonderland").await;
    let listed = sign_in("alice", "wonderland").await;
    let other = sign_in("alice", "wonderland").await;
    let all = sign_in("bob", "builder").await;
    tokio::time::sleep(SURELY_BEFORE).await;
    let backup = world.server().back_up().await;
    let delete = format!("/auth/sessions/{}", listed.session_id());
    let endings = [
        Request::post("/auth/logout").refresh(&out.refresh_token()),
        Request::delete(&delete).bearer(&other.access),
        Request::post("/auth/logout-all").bearer(&all.access),
    ];
    for ending in &endings {
        wait::eventually(wait::PATIENCE, "an ending", || async {
            matches!(ending.send(first).await.status, 200 | 204)
        })
        .await;
    }
    let ended = [
        ("signed out", &out),
        ("ended from the list", &listed),
        ("all ended", &all),
    ];
    for (how, client) in ended {
        let me = Request::get("/api/me").bearer(&client.access);
        wait::eventually(wait::NOTICE, how, || async { me.send(second).await.status == 401 }).await;
    }
    world.server().restore(backup).await;
    let goes_on = Request::post("/auth/refresh").refresh(&other.refresh_token());
    for address in addresses {
        wait::eventually(BACK, "service is back", || async {
            goes_on.send(address).await.status == 200
        })
        .await;
        for (how, client) in ended {
            for request in [
                Request::get("/api/me").bearer(&client.access),
                Request::post("/auth/refresh").refresh(&client.refresh_token()),
                Request::get("/api/me").bearer(&client.access),
            ] {
                let response = request.send(address).await;
                assert_eq!(response.status, 401, "{how}, {}: {response:?}", request.line());
            }
        }
    }
}

/// The limit, shown: with the only copy of an ending gone and nobody who remembers it, the session is back; and it can be ended
/// again, for good.
async fn a_forgotten_ending_comes_back_with_the_backup(at: Target) {
    let app = at.forgeable().start().await;
    let mut client = Client::alice(&app).await;
    let settings = app.kill().await;
    let snapshot = Snapshot::of(&settings);
    let app = settings.start().await;
    client.address = app.address();
    let token = client.refresh_token();
    assert_eq!(client.with_cookies(Request::post("/auth/logout")).await.status, 204);
    let settings = app.kill().await;
    snapshot.restore();
    let app = settings.start().await;
    let logout = Request::post("/auth/logout").refresh(&token);
    let refresh = Request::post("/auth/refresh").refresh(&token);
    expect::signed_in(&refresh.send(app.address()).await);
    assert_eq!(logout.send(app.address()).await.status, 204);
    let settings = app.kill().await;
    let app = settings.start().await;
    expect::problem(&refresh.send(app.address()).await, 401, "session_ended");
}

on_shared_stores!(
    restored_with_the_apps_down,
    a_forgotten_ending_comes_back_with_the_backup
);

on_servers!(restored_under_the_apps, endings_are_remembered_when_the_store_forgets);

on_replicas!(promoted_replica);
