//! What the network between browsers and apps does to messages.

use std::sync::Mutex;
use std::time::Duration;

use acceptance::proxy::Fate;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A network's character. Nothing is ever under way for longer than a third of the grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Everything arrives at once.
    Good,
    /// Requests and, more often, answers are lost.
    Loses,
    /// Requests and answers are held, so that they overtake each other.
    Holds,
    /// Requests and answers arrive twice.
    Repeats,
    /// All of it.
    Bad,
}

/// How much of a third of the grace a message may be held; the rest is for the machine.
const SHARE: f64 = 0.7;

/// The fates that a network has in store, drawn one after another from a seed.
#[derive(Debug)]
pub(crate) struct Fates {
    network: Network,
    third: Duration,
    random: Mutex<StdRng>,
}

impl Fates {
    pub(crate) fn new(network: Network, third: Duration, seed: u64) -> Self {
        Self {
            network,
            third,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        }
    }

    /// The next request's fate.
    pub(crate) fn draw(&self) -> Fate {
        let mut random = self.random.lock().expect("nobody panics with it");
        let mut fate = Fate::default();
        let (loses, holds, repeats) = match self.network {
            Network::Good => (false, false, false),
            Network::Loses => (true, false, false),
            Network::Holds => (false, true, false),
            Network::Repeats => (false, false, true),
            Network::Bad => (random.random(), random.random(), random.random()),
        };
        let mut held = || self.third.mul_f64(random.random_range(0.0..SHARE));
        let (before, after, again) = (held(), held(), held());
        if loses {
            match random.random_range(0..100) {
                0..30 => fate.answer_lost = true,
                30..40 => fate.request_lost = true,
                _ => {}
            }
        }
        if holds {
            // Most messages are quick: it is the slow one among them that does harm.
            if random.random_ratio(1, 4) {
                fate.before = before;
            }
            if random.random_ratio(1, 3) {
                fate.after = after;
            }
        }
        if repeats {
            // Both copies of a request, or of an answer, are under way for as long as the later one.
            if random.random_ratio(1, 3) {
                fate.request_again = Some(again.saturating_sub(fate.before));
            }
            if random.random_ratio(1, 3) {
                fate.answer_again = Some(again.saturating_sub(fate.after));
            }
        }
        fate
    }
}
