//! Proxies that misbehave on purpose: [`Front`] between clients and an app, which knows what a request is, and [`Wire`]
//! between an app and its store, which knows bytes only.

mod front;
mod wire;

pub use front::{Fate, Front, Passage};
pub use wire::{Weather, Wire};

use tokio::net::TcpStream;

/// Makes the end of a connection a reset, as from a crashed peer or a rude middlebox.
fn reset(stream: &TcpStream) {
    // A peer that has gone already needs none.
    let _ = stream.set_zero_linger();
}
