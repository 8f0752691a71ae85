//! What a fault's runs came to, as one line.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

/// Prints a line past the capture of output, which would hide what a test that passes has to say.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Numbers of one run, or of all runs of a fault on a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) runs: usize,
    pub(crate) requests: usize,
    pub(crate) unavailable: usize,
    pub(crate) unanswered: usize,
    pub(crate) sign_outs: usize,
    pub(crate) endings: usize,
    pub(crate) late: usize,
    /// The latest answer 200 after an ending that was within the bound.
    pub(crate) latest: Duration,
    /// Generations that left an app.
    pub(crate) rotations: usize,
    /// Generations that the stores counted.
    pub(crate) generations: usize,
    pub(crate) longest_leg: Duration,
    /// Runs that proved nothing, because the machine held a message for longer than the promise covers.
    pub(crate) void: usize,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.requests += other.requests;
        self.unavailable += other.unavailable;
        self.unanswered += other.unanswered;
        self.sign_outs += other.sign_outs;
        self.endings += other.endings;
        self.late += other.late;
        self.latest = self.latest.max(other.latest);
        self.rotations += other.rotations;
        self.generations += other.generations;
        self.longest_leg = self.longest_leg.max(other.longest_leg);
        self.void += other.void;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs, {} requests ({} answered 503, {} unanswered), honest sign-outs {}, endings {} (late 200s {}, last 200 \
             after {} ms), rotations {} of {} generations, longest leg {} ms, repeated runs {}",
            self.runs,
            self.requests,
            self.unavailable,
            self.unanswered,
            self.sign_outs,
            self.endings,
            self.late,
            self.latest.as_millis(),
            self.rotations,
            self.generations,
            self.longest_leg.as_millis(),
            self.void,
        )
    }
}
