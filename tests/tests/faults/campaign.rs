//! A fault, many seeds: load, fault, quiet, and the judgement.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use acceptance::wait::NOTICE;
use acceptance::{Client, Request, Response, Target};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::browser::Browser;
use crate::fates::Network;
use crate::leaver::{RevocationPage, come_and_go};
use crate::report::{self, Report};
use crate::world::{Plan, Stage, World};

/// How many tabs a browser has open, and the longest pause between two things that one does, in graces: somebody busy,
/// somebody who reads, and somebody who comes back after more than a grace.
const HABITS: [(usize, f64); 3] = [(3, 0.2), (2, 0.6), (1, 1.8)];

/// How often a seed is tried on a machine that is too busy to prove anything.
const PATIENCE: usize = 4;

/// Worlds at once, over all tests of this process: most of the time they wait.
static WORLDS: Semaphore = Semaphore::const_new(0);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn worlds() -> usize {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    number("FAULT_WORLDS").map_or(5 * cores, |number| usize::try_from(number).expect("a number"))
}

fn open_worlds() {
    static OPEN: std::sync::Once = std::sync::Once::new();
    OPEN.call_once(|| WORLDS.add_permits(worlds()));
}

/// For a test that measures how soon something happens: no world beside its own.
pub(crate) async fn alone() -> SemaphorePermit<'static> {
    open_worlds();
    let all = u32::try_from(worlds()).expect("a number");
    WORLDS.acquire_many(all).await.expect("nobody closes it")
}

/// Beside a run that is judged by the clock, how late this process was at the worst when it wanted to be awake.
async fn pulse(latest: Arc<AtomicU64>) {
    loop {
        let asleep = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let late = asleep.elapsed().saturating_sub(Duration::from_millis(20));
        latest.fetch_max(u64::try_from(late.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// On a machine that is later than this, a store that is back too late proves nothing.
const BUSY: u64 = 150;

/// Few, so that every change can afford them; `tests/soak` runs more.
const SEEDS: u64 = 3;

fn seeds() -> Vec<u64> {
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("FAULT_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// What one run came to: numbers, and what must not have happened.
#[derive(Debug, Default)]
struct Outcome {
    report: Report,
    wrong: Vec<String>,
    /// Whether a message of each browser that was wronged was held for longer than the promise covers.
    void: bool,
}

/// Runs `fault` under load for every seed, prints the line, and fails if anything happened that must not.
pub(crate) async fn run<F, Fut>(at: Target, name: &'static str, plan: Plan, fault: F)
where
    F: Fn(Arc<World>, StdRng) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    open_worlds();
    let seeds = seeds();
    let mut runs = JoinSet::new();
    for group in seeds.chunk_by(|one, other| one / plan.group == other / plan.group) {
        runs.spawn(attempts(at, plan, group.to_vec(), fault));
    }
    let (mut report, mut wrong) = (Report::default(), Vec::new());
    while let Some(done) = runs.join_next().await {
        for (seed, outcome) in done.expect("a run's panic was caught") {
            report.add(&outcome.report);
            wrong.extend(outcome.wrong.iter().map(|wrong| format!("SEED={seed}: {wrong}")));
        }
    }
    report::say(&format!("fault {name} on {:?}: {report}", at.store));
    assert!(
        wrong.is_empty(),
        "{name} on {:?}: {} wrongs; repeat one with SEED=… cargo test -p acceptance --test faults {name}\n{}",
        at.store,
        wrong.len(),
        wrong.join("\n")
    );
}

/// A group of seeds, and those again for which the machine was too busy.
async fn attempts<F, Fut>(at: Target, plan: Plan, group: Vec<u64>, fault: F) -> Vec<(u64, Outcome)>
where
    F: Fn(Arc<World>, StdRng) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let _turn = WORLDS.acquire().await.expect("nobody closes it");
    let (mut left, mut done) = (group, Vec::new());
    for attempt in 0..=PATIENCE {
        let run = tokio::spawn(together(at, plan, left.clone(), fault)).await;
        let outcomes = run.unwrap_or_else(|panic| {
            let wrong = vec![format!("the run broke off: {panic}")];
            let outcome = Outcome {
                wrong,
                ..Outcome::default()
            };
            vec![(left[0], outcome)]
        });
        left.clear();
        for (seed, mut outcome) in outcomes {
            if outcome.wrong.is_empty() || !outcome.void || attempt == PATIENCE {
                outcome.report.void = attempt;
                done.push((seed, outcome));
            } else {
                left.push(seed);
            }
        }
        if left.is_empty() {
            break;
        }
    }
    done
}

/// One pair of apps, one store, one fault, and the browsers of several seeds.
async fn together<F, Fut>(at: Target, plan: Plan, seeds: Vec<u64>, fault: F) -> Vec<(u64, Outcome)>
where
    F: Fn(Arc<World>, StdRng) -> Fut + Send,
    Fut: Future<Output = ()> + Send + 'static,
{
    let stage = Arc::new(Stage::set(at, plan).await);
    let mut loads = Vec::new();
    for seed in &seeds {
        let mut random = StdRng::seed_from_u64(*seed);
        let world = Arc::new(World::on(stage.clone(), plan, &mut random).await);
        loads.push(Load::of(world, random).await);
    }
    let late = Arc::new(AtomicU64::new(0));
    let pulse = tokio::spawn(pulse(late.clone()));
    let (stopped, stop) = watch::channel(false);
    for load in &mut loads {
        load.begin(&stop);
    }
    // The fault is the group's, whichever of its seeds are run.
    let random = StdRng::seed_from_u64(seeds[0] / plan.group);
    let broken = tokio::spawn(fault(loads[0].world.clone(), random));
    tokio::time::sleep(plan.load).await;
    broken.await.expect("the fault was caused");
    stopped.send_replace(true);
    for load in &mut loads {
        for task in load.tasks.drain(..) {
            task.await.expect("the load ends");
        }
    }
    pulse.abort();
    let busy = late.load(Ordering::Relaxed) > BUSY;
    // Whatever is under way arrives, and the last rotation's grace passes.
    tokio::time::sleep(plan.grace + Duration::from_millis(100)).await;
    let mut judged = JoinSet::new();
    for (seed, mut load) in seeds.into_iter().zip(loads) {
        judged.spawn(async move { (seed, load.judge(busy).await) });
    }
    judged.join_all().await
}

/// The browsers and leavers of one seed.
struct Load {
    world: Arc<World>,
    random: StdRng,
    browsers: Vec<Arc<Browser>>,
    endings: Arc<RevocationPage>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Signs everybody in.
    async fn of(world: Arc<World>, random: StdRng) -> Self {
        let plan = world.plan;
        let mut browsers = Vec::new();
        for number in 0..plan.browsers {
            let instance = &world.instances[number % world.instances.len()];
            let mut client = Client {
                address: instance.address().expect("nothing is broken yet"),
                jar: acceptance::Jar::default(),
                access: String::new(),
            };
            let response = client.send(Request::login("alice", "wonderland")).await;
            assert_eq!(response.status, 200, "a sign-in before the fault: {response:?}");
            let tunnels = matches!(plan.network, Network::Loses | Network::Bad);
            let third = plan.grace / 3;
            let browser = Browser::new(number, client, world.fronts(), world.ledger.clone(), third, tunnels);
            browsers.push(Arc::new(browser));
        }
        Self {
            world,
            random,
            browsers,
            endings: Arc::default(),
            tasks: Vec::new(),
        }
    }

    fn begin(&mut self, stop: &watch::Receiver<bool>) {
        for browser in &self.browsers {
            let (tabs, pace) = HABITS[browser.number % HABITS.len()];
            for _ in 0..tabs {
                let pace = self.world.plan.grace.mul_f64(pace);
                self.tasks.push(browser.tab(self.random.random(), pace, stop.clone()));
            }
        }
        if self.world.plan.leavers {
            let random = StdRng::seed_from_u64(self.random.random());
            let leaver = come_and_go(self.world.clone(), self.endings.clone(), random, stop.clone());
            self.tasks.push(tokio::spawn(leaver));
        }
    }

    async fn judge(&mut self, busy: bool) -> Outcome {
        judge(&self.world, &self.browsers, &self.endings, busy, &mut self.random).await
    }
}

/// Once all is quiet: nobody was signed out, nobody was let in, and nobody can be any more.
async fn judge(
    world: &World,
    browsers: &[Arc<Browser>],
    endings: &RevocationPage,
    busy: bool,
    random: &mut StdRng,
) -> Outcome {
    let third = world.plan.grace / 3;
    let mut outcome = Outcome::default();
    let (requests, unavailable, unanswered) = world.ledger.counts();
    let (late, latest) = endings.judge(world);
    outcome.report = Report {
        runs: 1,
        requests,
        unavailable,
        unanswered,
        endings: endings.acknowledged(),
        late: late.len(),
        latest,
        ..Report::default()
    };
    outcome.wrong.extend(late);
    let idle = world.ledger.unavailable();
    let idle = idle.into_iter().filter(|at| !world.is_trouble(*at)).count();
    if idle > 0 {
        outcome
            .wrong
            .push(format!("{idle} answers 503 while nothing was broken"));
    }
    let mut void = true;
    for browser in browsers {
        let longest = world.ledger.longest_leg(browser.number);
        outcome.report.longest_leg = outcome.report.longest_leg.max(longest);
        let mut wrong = Vec::new();
        if let Some(how) = browser.signed_out() {
            outcome.report.sign_outs += 1;
            wrong.push(format!("an honest sign-out: {how}"));
        } else if let Err(how) = audit(world, browser, random, &mut outcome.report).await {
            wrong.push(how);
        }
        let soon = world.ledger.too_soon(browser.number, world.plan.grace);
        if !soon.is_empty() && !world.plan.forgets {
            wrong.push(format!("rotated within the grace: {soon:?}"));
        }
        void &= wrong.is_empty() || longest > third;
        let story = |wrong| format!("{wrong}{}", world.ledger.story(browser.number));
        outcome.wrong.extend(wrong.into_iter().map(story));
    }
    outcome.void = void && (busy || outcome.report.late == 0 && idle == 0);
    outcome
}

/// What a client is told that comes again when it is asked to: on a busy machine a store may not answer within its deadline.
async fn answered(request: &Request, address: SocketAddr) -> Response {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let response = request.send(address).await;
        if response.status != 503 || Instant::now() >= until {
            return response;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The browser goes on; then somebody shows up with an older token.
async fn audit(world: &World, browser: &Browser, random: &mut StdRng, report: &mut Report) -> Result<(), String> {
    let mut addresses = world.instances.iter().filter_map(|instance| instance.address());
    let (first, last) = (addresses.next(), addresses.next_back());
    let first = first.expect("an app is up once all is quiet");
    let token = browser
        .refresh_token()
        .expect("a browser that was not signed out has one");
    let generation = acceptance::RefreshToken::decode(&token).generation();
    let refresh = Request::post("/auth/refresh").refresh(&token);
    let mut response = answered(&refresh, first).await;
    if response.status == 200 && response.refresh_token().is_none() {
        // A request that was still under way when the browser was closed has rotated, so this is that rotation's grace.
        tokio::time::sleep(world.plan.grace + Duration::from_millis(100)).await;
        response = answered(&refresh, first).await;
    }
    let Some(next) = response.refresh_token().filter(|_| response.status == 200) else {
        report.sign_outs += 1;
        return Err(format!("{generation} is refused once all is quiet: {response:?}"));
    };
    let response = answered(&Request::get("/api/me").refresh(&next), last.unwrap_or(first)).await;
    if response.status != 200 {
        report.sign_outs += 1;
        return Err(format!("the successor of {generation} is refused: {response:?}"));
    }
    let mut handed = world.ledger.handed_out(browser.number);
    report.rotations += handed.len();
    // Without the first, which no rotation made, and the last, which the audit did.
    let counted = acceptance::RefreshToken::decode(&next).generation() - 2;
    report.generations += usize::try_from(counted).expect("a number");
    handed.retain(|older, _| *older < generation);
    let Some((older, stolen)) = handed.iter().nth(random.random_range(0..handed.len().max(1))) else {
        return Ok(());
    };
    let response = answered(&Request::post("/auth/refresh").refresh(stolen), first).await;
    if let Some(second) = response.refresh_token() {
        let second = acceptance::RefreshToken::decode(&second).generation();
        return Err(format!(
            "a second line: {older} brought {second} although its browser went on with {generation}"
        ));
    }
    // A store that forgot has just been healed, and is patient with what may still be under way.
    if response.status == 200 && world.plan.forgets {
        return Ok(());
    }
    if response.code().as_deref() != Some("refresh_token_reused") {
        return Err(format!("{older} was not taken for stolen: {response:?}"));
    }
    // An instance may answer the stragglers of a burst for a while, but not for longer than an ending takes to be felt.
    let over = Instant::now();
    loop {
        let asked = Instant::now();
        let ended = Request::post("/auth/refresh")
            .refresh(&next)
            .send(last.unwrap_or(first))
            .await;
        match ended.status {
            401 => return Ok(()),
            200 if asked.duration_since(over) <= NOTICE => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => {
                return Err(format!(
                    "the session was not ended with the theft of {older}: {ended:?}"
                ));
            }
        }
    }
}
