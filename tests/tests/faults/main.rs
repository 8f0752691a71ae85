//! Every fault that we can cause, under load: two app processes on one store, honest browsers with several tabs, people who
//! sign out, and something that breaks.
//!
//! Per fault and store a line on stderr says what was seen: requests, honest sign-outs, answers 200 for a session whose
//! ending was acknowledged, later than the bound, and how the rotations went. A run fails on
//!
//! * an honest sign-out: a browser whose requests and answers were each under way for at most a third of the grace, and that
//!   was told 401, or lost its cookie, or was refused once all was quiet again;
//! * a late 200: an access token that was honoured more than a second after its session's end was acknowledged, on an
//!   instance whose feed was up (after a fault: a second after the feed is back), or a refresh token that was honoured at all;
//! * two lines of succession: a rotation within the grace of the one before, or an older refresh token that still brings a
//!   successor once its browser went on;
//! * a 503 while nothing was broken.
//!
//! Each run draws its plan from a seed: `SEED=7 cargo test -p acceptance --test faults lost_answers` repeats one.
//! `FAULT_SEEDS` is the number of seeds per fault and store (3; `tests/soak` runs 20), `FAULT_WORLDS` how many run at once. What a seed cannot
//! repeat is the operating system's scheduling. A browser whose messages were held for longer than the promise covers, because
//! the machine was busy, proves nothing by being signed out; its seed is run again.
//!
//! What no rule can keep is shown too, with its bound: see `history.rs`.

#[macro_use]
mod stores;

mod browser;
mod campaign;
mod clocks;
mod disk;
mod fates;
mod history;
mod leaver;
mod ledger;
mod network;
mod outage;
mod processes;
mod report;
mod server;
mod servers_down;
mod wires;
mod world;
