//! A store that is down for a while, under load: `OUTAGE_SECONDS` (8; in `tests/soak` 60, an outage worth the name).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use acceptance::store::Outage;
use acceptance::{Client, Connection, Request, Response, Settings, Store, Target, expect, wait};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::campaign;
use crate::world::{BACK, Needs, Plan, Stage, World};

/// Browsers per instance, of each kind.
const CROWD: usize = 20;

/// What an app may take beside what it had: a connection's buffers, a log that is not read at once.
const MORE_MEMORY: u64 = 48 * 1024 * 1024;

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicUsize,
    unavailable: AtomicUsize,
    /// In milliseconds.
    slowest: AtomicU64,
}

async fn store_down_under_load(at: Target) {
    let _alone = campaign::alone().await;
    let seconds = std::env::var("OUTAGE_SECONDS").map_or(8, |text| text.parse().expect("seconds"));
    let plan = Plan {
        grace: Duration::from_secs(30),
        needs: if at.store == Store::Sqlite {
            Needs::Shared
        } else {
            Needs::Server
        },
        each: |_, settings: Settings| settings.set("ACCESS_TOKEN_EXPIRATION", "15m"),
        ..Plan::usual()
    };
    let stage = Arc::new(Stage::set(at, plan).await);
    let world = World::on(stage, plan, &mut StdRng::seed_from_u64(1)).await;
    let mut clients = Vec::new();
    for number in 0..CROWD * 2 {
        let address = world.instances[number % 2].address().expect("an app");
        clients.push(sign_in(address).await);
    }
    let before = world.resident().await;

    let down = Down::begin(&world, at.store).await;
    let (stopped, stop) = watch::channel(false);
    let counts = Arc::new(Counts::default());
    let crowd: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(number, client)| persist(client.clone(), number / 2 % 2 == 0, counts.clone(), stop.clone()))
        .collect();
    let mut most = before.clone();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(250)).await;
        for (most, now) in most.iter_mut().zip(world.resident().await) {
            *most = now.max(*most);
        }
    }
    let back = down.end(&world).await;
    let mut recovered = Duration::ZERO;
    for (client, address) in clients.iter().zip(world.instances.iter().cycle()) {
        let refresh = Request::post("/auth/refresh").refresh(&client.refresh_token());
        let address = address.address().expect("an app");
        loop {
            let response = refresh.send(address).await;
            if response.status == 200 {
                break;
            }
            expect::problem(&response, 503, "store_unavailable");
            recovered = back.elapsed();
            assert!(recovered < wait::PATIENCE, "service is not back at all");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stopped.send_replace(true);
    for one in crowd {
        one.await.expect("nobody was turned away");
    }
    let accepted = counts.accepted.load(Ordering::Relaxed);
    let unavailable = counts.unavailable.load(Ordering::Relaxed);
    let slowest = counts.slowest.load(Ordering::Relaxed);
    crate::report::say(&format!(
        "fault store_down_under_load on {:?}: {seconds} s, {accepted} requests accepted by their access token, {unavailable} \
         answered 503, slowest {} ms, resident KiB {:?} before and {:?} at most, last 503 {} ms after the store was back",
        at.store,
        slowest,
        before.iter().map(|bytes| bytes / 1024).collect::<Vec<_>>(),
        most.iter().map(|bytes| bytes / 1024).collect::<Vec<_>>(),
        recovered.as_millis(),
    ));
    assert!(recovered < BACK, "service was back {recovered:?} after the store");
    assert!(
        accepted > 0 && unavailable > 0,
        "{accepted} accepted, {unavailable} refused"
    );
    for (before, most) in before.iter().zip(&most) {
        assert!(
            *most < before + MORE_MEMORY,
            "memory grew from {before} to {most} bytes"
        );
    }
}

async fn sign_in(address: std::net::SocketAddr) -> Client {
    let mut client = Client {
        address,
        jar: acceptance::Jar::default(),
        access: String::new(),
    };
    let response = client.send(Request::login("alice", "wonderland")).await;
    assert_eq!(response.status, 200, "{response:?}");
    client
}

/// Sends one request after another: with the access token, which is honoured all the time, or for an exchange, which the
/// store is needed for.
fn persist(client: Client, authenticated: bool, counts: Arc<Counts>, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let request = if authenticated {
        Request::get("/api/me").bearer(&client.access)
    } else {
        Request::get("/api/me").refresh(&client.refresh_token())
    };
    tokio::spawn(async move {
        let mut connection = Connection::open(client.address).await.expect("a connection");
        while !*stop.borrow() {
            let asked = Instant::now();
            let response: Response = connection.send(&request).await.expect("an answer");
            let took = u64::try_from(asked.elapsed().as_millis()).expect("less than for ever");
            counts.slowest.fetch_max(took, Ordering::Relaxed);
            if response.status == 503 && !authenticated {
                expect::problem(&response, 503, "store_unavailable");
                expect::untouched(&response);
                counts.unavailable.fetch_add(1, Ordering::Relaxed);
            } else {
                assert_eq!(response.status, 200, "{response:?}");
                counts.accepted.fetch_add(usize::from(authenticated), Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

/// A store that is down.
enum Down {
    Killed,
    Locked(Outage),
}

impl Down {
    async fn begin(world: &World, store: Store) -> Self {
        if store == Store::Sqlite {
            let settings = world.settings().clone();
            let outage = tokio::task::spawn_blocking(move || Outage::begin(&settings)).await;
            return Self::Locked(outage.expect("the outage begins"));
        }
        world.server().stop_all().await;
        Self::Killed
    }

    /// The moment at which it was back.
    async fn end(self, world: &World) -> Instant {
        match self {
            Self::Killed => world.server().start_all().await,
            Self::Locked(outage) => outage.end(),
        }
        Instant::now()
    }
}

/// A store that hangs is worse than one that is gone: nothing may pile up behind it.
async fn store_hangs_under_load(at: Target) {
    let _alone = campaign::alone().await;
    let plan = Plan {
        grace: Duration::from_secs(30),
        needs: Needs::Server,
        each: |_, settings: Settings| settings.set("ACCESS_TOKEN_EXPIRATION", "15m"),
        ..Plan::usual()
    };
    let stage = Arc::new(Stage::set(at, plan).await);
    let world = World::on(stage, plan, &mut StdRng::seed_from_u64(1)).await;
    let address = world.instances[0].address().expect("an app");
    let client = sign_in(address).await;
    let before = world.resident().await;
    world.server().pause().await;
    let refresh = Request::post("/auth/refresh").refresh(&client.refresh_token());
    let mut burst = Vec::new();
    for _ in 0..400 {
        let refresh = refresh.clone();
        burst.push(tokio::spawn(async move { refresh.send(address).await }));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for one in burst {
        expect::problem(&one.await.expect("an answer"), 503, "store_unavailable");
    }
    let asked = Instant::now();
    expect::problem(&refresh.send(address).await, 503, "store_unavailable");
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "a known outage is told of at once or after one deadline"
    );
    for (before, most) in before.iter().zip(world.resident().await) {
        assert!(most < before + MORE_MEMORY, "memory grew from {before} to {most} bytes");
    }
    world.server().resume().await;
    wait::eventually(BACK, "service is back", || async {
        refresh.send(address).await.status == 200
    })
    .await;
}

on_shared_stores!(store_down_under_load);

on_servers!(store_hangs_under_load);
