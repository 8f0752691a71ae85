//! One run's world: app processes on one store, a proxy before each, and the times at which something was broken.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use acceptance::proxy::{Front, Wire};
use acceptance::wait::NOTICE;
use acceptance::{App, Running, Settings, Store, Target};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::process::Signal;
use servers::Redis;
use tokio::sync::watch;

use crate::disk::SmallDisk;
use crate::fates::{Fates, Network};
use crate::ledger::Ledger;
use crate::server::Server;

/// After a fault, how soon all must be as if it had never been.
pub(crate) const BACK: Duration = Duration::from_secs(2);

/// One run's settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The grace. A third of it is what any message may be under way.
    pub(crate) grace: Duration,
    /// How long the browsers are busy, at least.
    pub(crate) load: Duration,
    /// What is between browsers and apps.
    pub(crate) network: Network,
    /// How many browsers.
    pub(crate) browsers: usize,
    /// Whether people sign out meanwhile.
    pub(crate) leavers: bool,
    /// Whether the fault makes the store forget, so that a healing may follow on the heels of a rotation.
    pub(crate) forgets: bool,
    /// What the fault does to the store.
    pub(crate) needs: Needs,
    /// How many seeds share the apps, the store and what breaks; each has browsers and a network of its own.
    pub(crate) group: u64,
    /// What an instance is told beside what all are.
    pub(crate) each: fn(usize, Settings) -> Settings,
}

/// What a run does to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Shared,
    /// It breaks the server.
    Server,
    /// It breaks the way to the server.
    Wire,
    /// It fills the disk.
    SmallDisk,
}

impl Plan {
    /// A good network and short times, with the proportions of the defaults.
    pub(crate) const fn usual() -> Self {
        Self {
            grace: Duration::from_millis(2_400),
            load: Duration::from_secs(7),
            network: Network::Good,
            browsers: 3,
            leavers: true,
            forgets: false,
            needs: Needs::Shared,
            group: 5,
            each: |_, settings| settings,
        }
    }
}

/// How long an access token lives: longer than the second in which an ending must be felt.
pub(crate) const ACCESS_SECONDS: u64 = 3;

/// The place of an app process.
#[derive(Debug)]
struct Place {
    app: tokio::sync::Mutex<Option<Running>>,
    settings: Settings,
    address: watch::Sender<Option<SocketAddr>>,
}

/// App processes on a store.
#[derive(Debug)]
pub(crate) struct Stage {
    places: Vec<Arc<Place>>,
    wires: Vec<Wire>,
    server: Option<Server>,
    settings: Settings,
    trouble: Mutex<Vec<Trouble>>,
    replica: Mutex<Option<Redis>>,
    // Dropped after the apps.
    _disk: Option<SmallDisk>,
}

impl Stage {
    /// Starts two apps, or one where the store lives in the process.
    pub(crate) async fn set(at: Target, plan: Plan) -> Self {
        let settings = at
            .forgeable()
            .set("REFRESH_TOKEN_GRACE", format!("{}ms", plan.grace.as_millis()))
            .set("ACCESS_TOKEN_EXPIRATION", format!("{ACCESS_SECONDS}s"))
            .set("RUST_LOG", "warn");
        let (mut server, mut disk) = (None, None);
        match plan.needs {
            Needs::Shared => {}
            Needs::Server | Needs::Wire => server = Some(Server::of(at.store).await),
            Needs::SmallDisk => disk = Some(SmallDisk::mount(&settings)),
        }
        let (mut places, mut wires) = (Vec::new(), Vec::new());
        for number in 0..if at.store == Store::Memory { 1 } else { 2 } {
            // The frameworks share a store in production, so they share one here.
            let app = if number == 0 { at.app } else { App::Actix };
            let mut settings = (plan.each)(number, settings.clone()).run_by(app);
            if let Some(disk) = &disk {
                settings = settings.set("STORE", disk.url());
            }
            if let Some(server) = &server {
                let mut address = server.address();
                if plan.needs == Needs::Wire {
                    let wire = Wire::open(address).await;
                    address = wire.address();
                    wires.push(wire);
                }
                settings = settings.set("STORE", server.url_at(address));
            }
            let app = settings.start().await;
            places.push(Arc::new(Place {
                address: watch::Sender::new(Some(app.address())),
                app: tokio::sync::Mutex::new(Some(app)),
                settings,
            }));
        }
        Self {
            places,
            wires,
            server,
            settings,
            trouble: Mutex::default(),
            replica: Mutex::default(),
            _disk: disk,
        }
    }
}

/// An app with a proxy before it.
#[derive(Debug)]
pub(crate) struct Instance {
    front: Front,
    place: Arc<Place>,
}

impl Instance {
    async fn open(number: usize, place: Arc<Place>, fates: Fates, ledger: Arc<Ledger>) -> Self {
        let address = place.address.subscribe();
        let app = move || *address.borrow();
        let front = Front::open(
            app,
            move || fates.draw(),
            move |passage| ledger.passed(number, &passage),
        )
        .await;
        Self { front, place }
    }

    /// Where browsers find it, whatever becomes of the process.
    pub(crate) fn front(&self) -> SocketAddr {
        self.front.address()
    }

    /// Where the process itself listens, while there is one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        *self.place.address.borrow()
    }

    /// SIGKILL.
    pub(crate) async fn kill(&self) {
        self.place.address.send_replace(None);
        if let Some(app) = self.place.app.lock().await.take() {
            app.kill().await;
        }
    }

    /// A new process in the place of the killed one.
    pub(crate) async fn revive(&self) {
        let app = self.place.settings.start().await;
        self.place.address.send_replace(Some(app.address()));
        *self.place.app.lock().await = Some(app);
    }

    /// How much memory the process holds, in bytes.
    async fn resident(&self) -> u64 {
        self.place.app.lock().await.as_ref().map_or(0, Running::resident)
    }

    /// Sends a signal to the process.
    pub(crate) async fn signal(&self, signal: Signal) {
        if let Some(app) = &*self.place.app.lock().await {
            app.signal(signal);
        }
    }
}

/// A stretch of time in which something was broken.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    from: Instant,
    until: Option<Instant>,
}

/// Apps, proxies and a store.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) instances: Vec<Instance>,
    pub(crate) ledger: Arc<Ledger>,
    stage: Arc<Stage>,
}

impl World {
    /// Puts a network of its own before the apps.
    pub(crate) async fn on(stage: Arc<Stage>, plan: Plan, random: &mut StdRng) -> Self {
        let ledger = Arc::new(Ledger::new());
        let mut instances = Vec::new();
        for (number, place) in stage.places.iter().enumerate() {
            let fates = Fates::new(plan.network, plan.grace / 3, random.random());
            instances.push(Instance::open(number, place.clone(), fates, ledger.clone()).await);
        }
        Self {
            plan,
            instances,
            ledger,
            stage,
        }
    }

    /// How much memory each app holds, in bytes.
    pub(crate) async fn resident(&self) -> Vec<u64> {
        let mut all = Vec::new();
        for instance in &self.instances {
            all.push(instance.resident().await);
        }
        all
    }

    /// The run's own server.
    pub(crate) fn server(&self) -> &Server {
        self.stage.server.as_ref().expect("a plan that asks for a server")
    }

    /// Holds a promoted replica for as long as the run lasts.
    pub(crate) fn keep(&self, replica: Redis) {
        *self.stage.replica.lock().expect("nobody panics with it") = Some(replica);
    }

    /// The proxies between the apps and the server.
    pub(crate) fn wires(&self) -> &[Wire] {
        &self.stage.wires
    }

    /// What the apps were started with.
    pub(crate) fn settings(&self) -> &Settings {
        &self.stage.settings
    }

    /// Where browsers send their requests.
    pub(crate) fn fronts(&self) -> Vec<SocketAddr> {
        self.instances.iter().map(Instance::front).collect()
    }

    /// An instance, by a draw.
    pub(crate) fn any(&self, random: &mut StdRng) -> &Instance {
        &self.instances[random.random_range(0..self.instances.len())]
    }

    /// From now on something is broken.
    pub(crate) fn trouble_begins(&self) {
        let trouble = Trouble {
            from: Instant::now(),
            until: None,
        };
        self.stage.trouble.lock().expect("nobody panics with it").push(trouble);
    }

    /// Nothing is broken any more.
    pub(crate) fn trouble_ends(&self) {
        let mut all = self.stage.trouble.lock().expect("nobody panics with it");
        if let Some(last) = all.last_mut() {
            last.until = Some(Instant::now());
        }
    }

    /// Whether something was broken at that moment, or had been shortly before.
    pub(crate) fn is_trouble(&self, at: Instant) -> bool {
        let all = self.stage.trouble.lock().expect("nobody panics with it");
        all.iter()
            .any(|one| at >= one.from && one.until.is_none_or(|until| at <= until + BACK))
    }

    /// The moment from which no access token of a session whose ending was acknowledged at `ended` may be honoured.
    pub(crate) fn felt_by(&self, ended: Instant) -> Instant {
        let mut limit = ended + NOTICE;
        for one in &*self.stage.trouble.lock().expect("nobody panics with it") {
            let back = one.until.map(|until| until + BACK);
            if one.from <= limit && back.is_none_or(|back| back >= ended) {
                let felt = back.unwrap_or_else(Instant::now) + NOTICE;
                limit = limit.max(felt);
            }
        }
        limit
    }
}
