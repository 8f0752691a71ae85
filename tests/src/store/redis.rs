//! Redis and Redis Cluster, asked over connections of our own, past the rights of the app's user.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use redis::{Connection, FromRedisValue, Value};

use super::{Row, Undo};
use crate::app::Settings;
use crate::wait::PATIENCE;

pub(crate) struct Backend;

impl super::Backend for Backend {
    fn url(&self, _folder: &Path) -> OsString {
        servers::Redis::shared().create_user().into()
    }

    fn session(&self, settings: &Settings, id: &str) -> Row {
        session(settings.store_url(), id)
    }

    fn make_newer(&self, settings: &Settings, id: &str) {
        make_newer(settings.store_url(), id);
    }

    fn sessions(&self, settings: &Settings) -> u64 {
        sessions(settings.store_url())
    }

    fn bytes(&self, settings: &Settings) -> Vec<u8> {
        bytes(settings.store_url())
    }

    fn break_down(&self, settings: &Settings) -> Box<dyn Undo> {
        Box::new(Outage::begin(settings.store_url()))
    }

    fn copy(&self, settings: &Settings) -> Box<dyn Undo> {
        Box::new(Snapshot::of(settings.store_url()))
    }
}

pub(super) fn session(url: &str, id: &str) -> Row {
    let place = Place::of(url);
    let mut found = place.keys(&format!("*}}s:{id}"));
    let (mut node, key) = found.pop().expect("a key of this session");
    let packed: Vec<u8> = ask(&mut node, "GET", &[&key]);
    let number = |from: usize| u32::from_be_bytes(packed[from..from + 4].try_into().expect("four bytes"));
    // As `prelude.lua` of the store says: format, ended, flags, current, confirmed.
    let (seen, rotated) = (packed[2] & 1 != 0, packed[2] & 2 != 0);
    Row {
        current: number(3),
        confirmed: rotated.then(|| number(7)),
        seen,
    }
}

pub(super) fn make_newer(url: &str, id: &str) {
    let mut found = Place::of(url).keys(&format!("*}}s:{id}"));
    let (mut node, key) = found.pop().expect("a key of this session");
    // The first byte is the format.
    let _: i64 = ask(&mut node, "SETRANGE", &[&key, b"0", b"\x02"]);
}

pub(super) fn sessions(url: &str) -> u64 {
    let count = Place::of(url).keys("*}s:*").len();
    u64::try_from(count).expect("a count")
}

/// Every key, and what it holds.
pub(super) fn bytes(url: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for (mut node, key) in Place::of(url).keys("*") {
        let kind: String = ask(&mut node, "TYPE", &[&key]);
        let value: Value = match kind.as_str() {
            "string" => ask(&mut node, "GET", &[&key]),
            "zset" => ask(&mut node, "ZRANGE", &[&key, b"0", b"-1"]),
            "stream" => ask(&mut node, "XRANGE", &[&key, b"-", b"+"]),
            other => panic!("a {other} at {}", String::from_utf8_lossy(&key)),
        };
        all.extend_from_slice(&key);
        append(&mut all, &value);
    }
    all
}

fn append(all: &mut Vec<u8>, value: &Value) {
    match value {
        Value::BulkString(bytes) => all.extend_from_slice(bytes),
        Value::Array(values) => values.iter().for_each(|value| append(all, value)),
        _ => {}
    }
    all.push(0);
}

/// The app's user may not come in for a while, and is shown out.
#[derive(Debug)]
pub(super) struct Outage(Place);

impl Outage {
    pub(super) fn begin(url: &str) -> Self {
        let place = Place::of(url);
        for mut node in place.nodes() {
            let () = ask(&mut node, "ACL", &[b"SETUSER", place.user.as_bytes(), b"off"]);
            let _: i64 = ask(&mut node, "CLIENT", &[b"KILL", b"USER", place.user.as_bytes()]);
        }
        Self(place)
    }
}

impl Undo for Outage {
    fn undo(self: Box<Self>) {
        for mut node in self.0.nodes() {
            let () = ask(&mut node, "ACL", &[b"SETUSER", self.0.user.as_bytes(), b"on"]);
        }
        // The app comes back by itself, within its own time.
        let user = format!(" user={} ", self.0.user);
        let begun = Instant::now();
        for mut node in self.0.nodes() {
            while !ask::<String>(&mut node, "CLIENT", &[b"LIST"]).contains(&user) {
                assert!(begun.elapsed() < PATIENCE, "the app does not come back");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// What `DUMP` says of every key, and when each expires.
#[derive(Debug)]
pub(super) struct Snapshot {
    place: Place,
    keys: Vec<(Vec<u8>, Vec<u8>, i64)>,
}

impl Snapshot {
    pub(super) fn of(url: &str) -> Self {
        let place = Place::of(url);
        let keys = place
            .keys("*")
            .into_iter()
            .map(|(mut node, key)| {
                let dump = ask(&mut node, "DUMP", &[&key]);
                let expires: i64 = ask(&mut node, "PEXPIRETIME", &[&key]);
                (key, dump, expires.max(0))
            })
            .collect();
        Self { place, keys }
    }
}

impl Undo for Snapshot {
    fn undo(self: Box<Self>) {
        for (mut node, key) in self.place.keys("*") {
            let _: i64 = ask(&mut node, "DEL", &[&key]);
        }
        for (key, dump, expires) in &self.keys {
            let expires = expires.to_string();
            // The node that serves the slot takes it; the others say where it is.
            let restored = self.place.nodes().any(|mut node| {
                let mut restore = redis::cmd("RESTORE");
                restore.arg(key).arg(&expires).arg(dump).arg("ABSTTL");
                restore.query::<()>(&mut node).is_ok()
            });
            assert!(restored, "a node takes the key");
        }
    }
}

/// Where an app's keys are.
#[derive(Debug)]
struct Place {
    user: String,
    nodes: Vec<String>,
}

impl Place {
    /// Of an address such as `servers` makes them: `scheme://user:password@host:port,host:port/?prefix=user:`.
    fn of(url: &str) -> Self {
        let (_, rest) = url.split_once("://").expect("a scheme");
        let (user, rest) = rest.split_once(':').expect("a user");
        let (_, hosts) = rest.split_once('@').expect("hosts");
        let (hosts, _) = hosts.split_once('/').expect("a path");
        Self {
            user: user.to_owned(),
            nodes: hosts.split(',').map(|host| format!("redis://{host}")).collect(),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = Connection> {
        self.nodes.iter().map(|node| {
            let client = redis::Client::open(node.as_str()).expect("an address");
            client.get_connection().expect("a server")
        })
    }

    /// The keys that fit, each with a connection to where it is.
    fn keys(&self, pattern: &str) -> Vec<(Connection, Vec<u8>)> {
        let pattern = format!("{}:{pattern}", self.user);
        let mut found = Vec::new();
        for (number, mut node) in self.nodes().enumerate() {
            let keys: Vec<Vec<u8>> = ask(&mut node, "KEYS", &[pattern.as_bytes()]);
            found.extend(keys.into_iter().map(|key| {
                let node = self.nodes().nth(number).expect("the same node");
                (node, key)
            }));
        }
        found
    }
}

fn ask<T: FromRedisValue>(node: &mut Connection, command: &str, arguments: &[&[u8]]) -> T {
    redis::cmd(command).arg(arguments).query(node).expect("an answer")
}
