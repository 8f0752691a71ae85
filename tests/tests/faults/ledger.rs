//! What was sent, what passed the proxies, what arrived; and what follows from it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use acceptance::proxy::Passage;
use acceptance::{REFRESH_COOKIE, RefreshToken, SetCookie};

/// The header that ties a request's copies to who sent it.
pub(crate) const NUMBER: &str = "X-Number";

/// A request as its browser knows it.
#[derive(Debug)]
struct Sent {
    browser: usize,
    what: String,
    at: Instant,
    /// When its answers arrived, and with what status.
    arrivals: Vec<(Instant, u16)>,
}

/// A copy of a request as a proxy saw it.
#[derive(Debug)]
struct Passed {
    number: u64,
    instance: usize,
    presented: Option<u32>,
    forwarded: Instant,
    answered: Option<Instant>,
    status: Option<u16>,
    handed: Option<String>,
}

/// The book of one run.
#[derive(Debug)]
pub(crate) struct Ledger {
    start: Instant,
    next: AtomicU64,
    sent: Mutex<BTreeMap<u64, Sent>>,
    passed: Mutex<Vec<Passed>>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            next: AtomicU64::new(1),
            sent: Mutex::default(),
            passed: Mutex::default(),
        }
    }

    /// Notes that a browser sends; the number goes with the request.
    pub(crate) fn send(&self, browser: usize, what: String) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let sent = Sent {
            browser,
            what,
            at: Instant::now(),
            arrivals: Vec::new(),
        };
        self.sent.lock().expect("nobody panics with it").insert(number, sent);
        number
    }

    /// Notes that an answer arrived, perhaps for the second time.
    pub(crate) fn arrived(&self, number: u64, status: u16) {
        let mut sent = self.sent.lock().expect("nobody panics with it");
        let sent = sent.get_mut(&number).expect("a request that was sent");
        sent.arrivals.push((Instant::now(), status));
    }

    /// Notes what a proxy saw.
    pub(crate) fn passed(&self, instance: usize, passage: &Passage) {
        let request = String::from_utf8_lossy(&passage.request);
        let line = |name: &str| {
            let head = request.lines().take_while(|line| !line.is_empty());
            let mut named = head.filter_map(|line| line.split_once(": "));
            named.find_map(|(found, value)| (found == name).then(|| value.to_owned()))
        };
        let Some(number) = line(NUMBER).and_then(|text| text.parse().ok()) else {
            return;
        };
        let presented = line("Cookie").and_then(|cookies| {
            let token = cookies.strip_prefix(REFRESH_COOKIE)?.strip_prefix('=')?.to_owned();
            Some(RefreshToken::decode(&token).generation())
        });
        let (mut status, mut handed) = (None, None);
        if let Some((_, answer)) = &passage.answer {
            let answer = String::from_utf8_lossy(answer);
            status = answer.get(9..12).and_then(|text| text.parse().ok());
            handed = answer
                .lines()
                .take_while(|line| !line.is_empty())
                .filter_map(|line| line.split_once(": "))
                .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
                .map(|(_, value)| SetCookie::parse(value))
                .find(|cookie| cookie.name == REFRESH_COOKIE && !cookie.deletes())
                .map(|cookie| cookie.value);
        }
        self.passed.lock().expect("nobody panics with it").push(Passed {
            number,
            instance,
            presented,
            forwarded: passage.forwarded,
            answered: passage.answer.as_ref().map(|(at, _)| *at),
            status,
            handed,
        });
    }

    /// How many requests were sent, answered 503, and never answered.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let sent = self.sent.lock().expect("nobody panics with it");
        let unavailable = sent.values().filter(|sent| sent.arrivals.iter().any(|a| a.1 == 503));
        let unanswered = sent.values().filter(|sent| sent.arrivals.is_empty());
        (sent.len(), unavailable.count(), unanswered.count())
    }

    /// When answers 503 arrived.
    pub(crate) fn unavailable(&self) -> Vec<Instant> {
        let sent = self.sent.lock().expect("nobody panics with it");
        let arrivals = sent.values().flat_map(|sent| &sent.arrivals);
        arrivals
            .filter(|(_, status)| *status == 503)
            .map(|(at, _)| *at)
            .collect()
    }

    /// The longest that a request or an answer of a browser can have been under way. Where the decision fell within the
    /// app is not seen, so each side is given all of the app's time.
    pub(crate) fn longest_leg(&self, browser: usize) -> Duration {
        let sent = self.sent.lock().expect("nobody panics with it");
        let mut longest = Duration::ZERO;
        for passed in &*self.passed.lock().expect("nobody panics with it") {
            let (Some(sent), Some(answered)) = (sent.get(&passed.number), passed.answered) else {
                continue;
            };
            // An outage's answer is no decision about a token.
            if sent.browser != browser || passed.status == Some(503) {
                continue;
            }
            longest = longest.max(answered.duration_since(sent.at));
            for (arrived, _) in &sent.arrivals {
                longest = longest.max(arrived.saturating_duration_since(passed.forwarded));
            }
        }
        longest
    }

    /// The refresh tokens that left for a browser, whether or not they arrived, by generation.
    pub(crate) fn handed_out(&self, browser: usize) -> BTreeMap<u32, String> {
        let sent = self.sent.lock().expect("nobody panics with it");
        let passed = self.passed.lock().expect("nobody panics with it");
        passed
            .iter()
            .filter(|passed| sent.get(&passed.number).is_some_and(|sent| sent.browser == browser))
            .filter_map(|passed| passed.handed.clone())
            .map(|token| (RefreshToken::decode(&token).generation(), token))
            .collect()
    }

    /// Generations that came to be within the grace of the one before, by any reading of what the proxies saw.
    pub(crate) fn too_soon(&self, browser: usize, grace: Duration) -> Vec<u32> {
        let sent = self.sent.lock().expect("nobody panics with it");
        let passed = self.passed.lock().expect("nobody panics with it");
        let own: Vec<_> = passed
            .iter()
            .filter(|passed| sent.get(&passed.number).is_some_and(|sent| sent.browser == browser))
            .collect();
        // The earliest and the latest moment at which a generation can have been made.
        let mut made: BTreeMap<u32, (Instant, Instant)> = BTreeMap::new();
        for passed in &own {
            let (Some(token), Some(answered)) = (&passed.handed, passed.answered) else {
                continue;
            };
            let made = made
                .entry(RefreshToken::decode(token).generation())
                .or_insert((passed.forwarded, answered));
            *made = (made.0.min(passed.forwarded), made.1.min(answered));
        }
        // A request that nobody heard back from may have made it too.
        for passed in &own {
            if passed.status.is_none_or(|status| status == 503)
                && let Some(presented) = passed.presented
            {
                for (_, (earliest, latest)) in made.range_mut(presented + 1..) {
                    if passed.forwarded < *latest {
                        *earliest = (*earliest).min(passed.forwarded);
                    }
                }
            }
        }
        let pairs = made.iter().zip(made.iter().skip(1));
        pairs
            .filter(|((_, (earliest, _)), (_, (_, latest)))| latest.duration_since(*earliest) < grace)
            .map(|(_, (generation, _))| *generation)
            .collect()
    }

    /// All that happened to a browser, in order, for whoever has to find out why.
    pub(crate) fn story(&self, browser: usize) -> String {
        let sent = self.sent.lock().expect("nobody panics with it");
        let passed = self.passed.lock().expect("nobody panics with it");
        let seconds = |at: Instant| at.duration_since(self.start).as_secs_f64();
        let mut story = String::new();
        for (number, sent) in sent.iter().filter(|(_, sent)| sent.browser == browser) {
            let _ = write!(story, "\n  {:7.3} #{number} {}", seconds(sent.at), sent.what);
            for passed in passed.iter().filter(|passed| passed.number == *number) {
                let _ = write!(story, "; app {} at {:.3}", passed.instance, seconds(passed.forwarded));
                if let (Some(answered), Some(status)) = (passed.answered, passed.status) {
                    let _ = write!(story, ", {status} at {:.3}", seconds(answered));
                }
                if let Some(token) = &passed.handed {
                    let _ = write!(story, " with {}", RefreshToken::decode(token).generation());
                }
            }
            for (arrived, status) in &sent.arrivals {
                let _ = write!(story, "; {status} arrives at {:.3}", seconds(*arrived));
            }
        }
        story
    }
}
