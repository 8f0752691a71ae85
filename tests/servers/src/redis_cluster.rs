//! A private Redis Cluster: three primaries on loopback.

use std::sync::OnceLock;

use crate::process::free_port;
use crate::redis::{Redis, new_user};

const SLOTS: u16 = 16_384;

/// Three primaries that share the slots.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: [Redis; 3],
}

impl RedisCluster {
    /// Starts three servers and joins them.
    pub fn start() -> Self {
        let nodes = [(); 3].map(|()| {
            Redis::begin(
                &[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &free_port().to_string(),
                    "--cluster-node-timeout",
                    "1500",
                    // What two serve, they serve also without the third.
                    "--cluster-require-full-coverage",
                    "no",
                ],
                None,
            )
        });
        let cluster = Self { nodes };
        for (number, node) in cluster.nodes.iter().enumerate() {
            node.await_answer();
            let number = u16::try_from(number).expect("three");
            let (first, last) = (number * SLOTS / 3, (number + 1) * SLOTS / 3 - 1);
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        let [first, others @ ..] = &cluster.nodes;
        for other in others {
            first.cli(&[
                "CLUSTER",
                "MEET",
                "127.0.0.1",
                &other.port().to_string(),
                &other.bus_port(),
            ]);
        }
        cluster.await_agreement();
        cluster
    }

    /// A cluster that every test of this process may use, each under a prefix of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisCluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Makes a user who sees the keys of one prefix only, and returns the address for them. The prefix is the user's name
    /// and a colon.
    pub fn create_user(&self) -> String {
        let name = new_user();
        for node in &self.nodes {
            node.add_user(&name);
        }
        let nodes = self.url().split_off("redis+cluster://".len());
        format!("redis+cluster://{name}:any@{nodes}/?prefix={name}:")
    }

    /// Where its nodes listen.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// Its primaries.
    pub fn nodes(&self) -> &[Redis; 3] {
        &self.nodes
    }

    /// One of them, to be killed or restarted.
    pub fn node_mut(&mut self, number: usize) -> &mut Redis {
        &mut self.nodes[number]
    }

    /// Waits until every node knows all others, and that all slots are served.
    pub fn await_agreement(&self) {
        for node in &self.nodes {
            node.until("agreement of the cluster", || {
                let state = node.cli(&["CLUSTER", "INFO"]);
                ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"]
                    .iter()
                    .all(|line| state.contains(line))
            });
        }
    }

    /// The number of the node that serves a slot.
    pub fn owner(&self, slot: u16) -> usize {
        self.nodes
            .iter()
            .position(|node| {
                let slots = node.cli(&["CLUSTER", "NODES"]);
                let own = slots.lines().find(|line| line.contains("myself")).unwrap_or_default();
                own.split_whitespace().skip(8).any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    first.parse::<u16>().is_ok_and(|first| first <= slot)
                        && last.parse::<u16>().is_ok_and(|last| slot <= last)
                })
            })
            .expect("a node that serves the slot")
    }
}
