//! What a live connection says, and when it ends.
#![expect(clippy::disallowed_methods, reason = "a timer of the page's clock")]

use std::convert::Infallible;
use std::time::Duration;

use auth_tower::Watch;
use bytes::Bytes;
use futures_util::stream;
use futures_util::stream::Stream;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use crate::shutdown::{Hold, Stop};

/// The `Content-Type` of `GET /api/events`.
pub const EVENT_STREAM: &str = "text/event-stream";

/// How often `GET /api/events` says that it is still there.
const TICK: Duration = Duration::from_secs(1);

/// The largest message that `GET /api/socket` takes, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// How long a client may take to read why its connection is closed.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// The first message of `GET /api/socket`.
pub fn greeting(name: &str) -> String {
    format!("hello, {name}")
}

/// Why a live connection is closed by the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The session is over, wherever that was decided.
    SessionEnded,
    /// The app stops.
    GoingAway,
    /// The client sent what cannot be read: too large, or no message at all.
    Unreadable,
}

impl Close {
    /// The WebSocket close code: one of the application's own, or of RFC 6455 §7.4.1.
    pub const fn code(self) -> u16 {
        match self {
            Self::SessionEnded => 4401,
            Self::GoingAway => 1001,
            Self::Unreadable => 1008,
        }
    }

    /// The WebSocket close reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::SessionEnded => "session_ended",
            Self::GoingAway => "going_away",
            Self::Unreadable => "unreadable_message",
        }
    }
}

/// A live connection's end that is not its client's doing.
#[derive(Debug)]
pub struct Lifetime {
    session: Watch,
    app: Stop,
    /// A server knows its requests, but not what has been upgraded.
    _hold: Hold,
}

impl Lifetime {
    /// A connection of this session in this app.
    pub fn new(session: Watch, app: Stop) -> Self {
        let hold = app.hold();
        Self {
            session,
            app,
            _hold: hold,
        }
    }

    /// Waits until the connection has to be closed.
    ///
    /// # Cancel safety
    /// Nothing is lost with this future.
    pub async fn over(&mut self) -> Close {
        tokio::select! {
            () = self.session.over() => Close::SessionEnded,
            () = self.app.requested() => Close::GoingAway,
        }
    }
}

/// The body of `GET /api/events`: `hello` at once, then a `tick` about every second, and an `end` when the session is over.
///
/// A client whose stream breaks off without an `end` may come back.
pub fn events(name: &str, lifetime: Lifetime) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
    #[derive(Serialize)]
    struct Hello<'a> {
        name: &'a str,
    }
    // A string always serialises.
    let hello = serde_json::to_string(&Hello { name }).unwrap_or_default();
    let mut clock = interval_at(tokio::time::Instant::now() + TICK, TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let events = Events {
        hello: Some(hello),
        lifetime: Some(lifetime),
        clock,
        ticks: 0,
    };
    stream::unfold(events, async |mut events| Some((Ok(events.next().await?), events)))
}

struct Events {
    hello: Option<String>,
    /// Gone when the last event is out.
    lifetime: Option<Lifetime>,
    clock: Interval,
    ticks: u64,
}

impl Events {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(hello) = self.hello.take() {
            return Some(event("hello", &hello));
        }
        let lifetime = self.lifetime.as_mut()?;
        tokio::select! {
            close = lifetime.over() => {
                self.lifetime = None;
                (close == Close::SessionEnded).then(|| event("end", close.reason()))
            }
            _ = self.clock.tick() => {
                self.ticks = self.ticks.wrapping_add(1);
                Some(event("tick", &self.ticks.to_string()))
            }
        }
    }
}

/// One event, whose data is a single line.
fn event(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
