//! A rotation in Redis against bare scripts through the same client, `end_all` by the number of sessions, memory per session,
//! and the time until another store hears of an ending.
//!
//! The bare scripts are one that does nothing, and the least that a rotation could be: compare a counter in a hash of three
//! fields, increment it, and push its expiry. Beside the rates stands the time that the server itself spends on a call, which is
//! steadier where clients and server share few cores. `SECTION=rotations|end_all|memory|delay` runs one part only.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops at the first surprise"
)]
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use auth_tower::store::{Advance, SessionStore as _};
use auth_tower::{RedisOptions, RedisStore, SessionId, Subject};
use common::{DAY, SESSIONS};
use redis::aio::MultiplexedConnection;
use servers::Redis;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const ROUNDS: usize = 7;

const LEAST: &str = "if redis.call('HGET', KEYS[1], 'current') ~= ARGV[1] then return 0 end \
    redis.call('HSET', KEYS[1], 'at', ARGV[2]) redis.call('EXPIRE', KEYS[1], 604800) \
    return redis.call('HINCRBY', KEYS[1], 'current', 1)";

fn user(number: usize) -> Subject {
    Subject::new(format!("user {number}")).unwrap()
}

async fn connect(server: &Redis) -> RedisStore {
    RedisOptions::new()
        .with_deadline(Duration::from_secs(60))
        .connect(server.url())
        .await
        .unwrap()
}

async fn bare(server: &Redis) -> MultiplexedConnection {
    let info: redis::ConnectionInfo = server.url().parse().unwrap();
    let info = info.set_tcp_settings(redis::io::tcp::TcpSettings::default().set_nodelay(true));
    let client = redis::Client::open(info).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Calls each second, with `in_flight` of them under way at any moment.
async fn rate<F, Fut>(in_flight: usize, calls: usize, call: F) -> f64
where
    F: Fn(usize, u32) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    let own = SESSIONS / in_flight;
    for task in 0..in_flight {
        let call = call.clone();
        tasks.spawn(async move {
            for number in 0..calls / in_flight {
                let turn = u32::try_from(number / own).unwrap();
                call(task * own + number % own, turn).await;
            }
        });
    }
    tasks.join_all().await;
    (calls / in_flight * in_flight) as f64 / begun.elapsed().as_secs_f64()
}

/// What the server says of its scripts since it was last asked: microseconds for each call.
fn server_time(server: &Redis) -> f64 {
    let info = server.cli(&["INFO", "commandstats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:"));
    let mut fields = line.unwrap().split(',');
    let time = fields.find_map(|field| field.strip_prefix("usec_per_call="));
    server.cli(&["CONFIG", "RESETSTAT"]);
    time.unwrap().parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn rotations() {
    let server = Redis::with(&["--appendonly", "no"]);
    let store = connect(&server).await;
    let connection = bare(&server).await;
    let nothing = Arc::new(redis::Script::new("return 1"));
    let least = Arc::new(redis::Script::new(LEAST));
    for in_flight in [1, 16, 128] {
        let calls = if in_flight == 1 { 20_000 } else { 200_000 };
        let mut rates = [vec![], vec![], vec![]];
        let mut times = [vec![], vec![], vec![]];
        for round in 0..ROUNDS {
            let mut sessions = Vec::new();
            for number in 0..SESSIONS {
                let id = (in_flight * ROUNDS + round) * SESSIONS + number;
                sessions.push(store.create(common::session(&user(number), id)).await.unwrap().id);
            }
            let sessions: Arc<[SessionId]> = sessions.into();
            let ours = store.clone();
            server.cli(&["CONFIG", "RESETSTAT"]);
            rates[0].push(
                rate(in_flight, calls, move |number, turn| {
                    let (ours, id) = (ours.clone(), sessions[number]);
                    async move {
                        let step = Advance {
                            expected: turn + 1,
                            expected_seen: None,
                            unless_within: Duration::ZERO,
                            confirmed: turn + 1,
                            current: turn + 2,
                            idle: DAY,
                        };
                        assert!(ours.advance(id, step).await.unwrap().unwrap().taken);
                    }
                })
                .await,
            );
            times[0].push(server_time(&server));
            let (theirs, script) = (connection.clone(), Arc::clone(&least));
            rates[1].push(
                rate(in_flight, calls, move |number, turn| {
                    let (mut theirs, script) = (theirs.clone(), Arc::clone(&script));
                    async move {
                        let key = format!("bare:{in_flight}:{round}:{number:016}");
                        if turn == 0 {
                            let mut make = redis::cmd("HSET");
                            make.arg(&key)
                                .arg("current")
                                .arg(1)
                                .arg("at")
                                .arg(0)
                                .arg("user")
                                .arg("user 1");
                            make.query_async::<()>(&mut theirs).await.unwrap();
                        }
                        let mut call = script.key(key);
                        call.arg(turn + 1).arg(1_700_000_000_000_u64);
                        assert_eq!(call.invoke_async::<u32>(&mut theirs).await.unwrap(), turn + 2);
                    }
                })
                .await,
            );
            times[1].push(server_time(&server));
            let (theirs, script) = (connection.clone(), Arc::clone(&nothing));
            rates[2].push(
                rate(in_flight, calls, move |_, _| {
                    let (mut theirs, script) = (theirs.clone(), Arc::clone(&script));
                    async move {
                        let mut call = script.key("bare");
                        assert_eq!(call.arg(1).invoke_async::<u32>(&mut theirs).await.unwrap(), 1);
                    }
                })
                .await,
            );
            times[2].push(server_time(&server));
        }
        let [ours, least, nothing] = rates.map(median);
        let [our_time, least_time, no_time] = times.map(median);
        println!(
            "rotation, {in_flight:3} in flight: {ours:7.0}/s; least script {least:7.0}/s, ratio {:.2}; empty script \
             {nothing:7.0}/s, ratio {:.2}; in the server {our_time:.2}, {least_time:.2}, {no_time:.2} µs a call, ratio of the \
             first two {:.2}",
            ours / least,
            ours / nothing,
            least_time / our_time
        );
    }
}

async fn end_all() {
    let server = Redis::with(&["--appendonly", "no"]);
    common::endings("Redis", &connect(&server).await).await;
}

fn used_memory(server: &Redis) -> u64 {
    let info = server.cli(&["INFO", "memory"]);
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().trim().parse().unwrap()
}

async fn memory() {
    const MANY: usize = 1_000_000;
    for each in [1, 10] {
        let server = Redis::with(&["--appendonly", "no"]);
        let store = connect(&server).await;
        let before = used_memory(&server);
        common::begin_many(&store, MANY, each).await;
        let bytes = (used_memory(&server) - before) / MANY as u64;
        println!("memory, {each} sessions a user: {bytes} bytes per session");
    }
    let server = Redis::with(&["--appendonly", "no"]);
    let connection = bare(&server).await;
    let before = used_memory(&server);
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let mut connection = connection.clone();
        tasks.spawn(async move {
            for number in (task..MANY).step_by(64) {
                let key = format!("session:{number:024}");
                redis::pipe()
                    .cmd("HSET")
                    .arg(&key)
                    .arg("user")
                    .arg(format!("user {number}"))
                    .arg("current")
                    .arg(1)
                    .arg("expires")
                    .arg(1_800_000_000_000_u64)
                    .cmd("EXPIRE")
                    .arg(&key)
                    .arg(86_400)
                    .query_async::<()>(&mut connection)
                    .await
                    .unwrap();
            }
        });
    }
    tasks.join_all().await;
    println!(
        "memory, a hash of 3 fields: {} bytes each",
        (used_memory(&server) - before) / MANY as u64
    );
}

async fn delay(name: &str, url: &str) {
    let options = || RedisOptions::new().with_deadline(Duration::from_secs(60));
    let (near, far) = (
        options().connect(url).await.unwrap(),
        options().connect(url).await.unwrap(),
    );
    common::delays(name, &near, &far).await;
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let section = std::env::var("SECTION").unwrap_or_default();
    let wanted = |name: &str| section.is_empty() || section == name;
    if wanted("rotations") {
        runtime.block_on(rotations());
    }
    if wanted("end_all") {
        runtime.block_on(end_all());
    }
    if wanted("delay") {
        runtime.block_on(delay("Redis", &Redis::shared().url()));
        runtime.block_on(delay("Redis Cluster", &servers::RedisCluster::shared().url()));
    }
    if wanted("memory") {
        runtime.block_on(memory());
    }
}
