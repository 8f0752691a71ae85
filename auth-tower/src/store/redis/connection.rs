//! The connection: made anew when it is lost, and never waited for by more calls, or for longer, than was agreed.
#![expect(
    clippy::disallowed_methods,
    reason = "the age of a connection and its pauses, which no record is dated by"
)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::error::{Fault, of_step};
use super::scripts::Call;
use crate::clock::Timestamp;
use crate::store::error::StoreError;

/// The shortest and the longest pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long connecting may take, greetings included.
pub(super) const CONNECTING: Duration = Duration::from_secs(1);

/// How a connection is made.
pub(super) enum Opener {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// One connection that calls share. Dropping a clone closes nothing.
#[derive(Clone)]
enum DriverConnection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Opener {
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    async fn open(&self) -> RedisResult<DriverConnection> {
        match self {
            Self::Single(client) => single(client).await.map(DriverConnection::Single),
            Self::Cluster(client) => client.get_async_connection().await.map(DriverConnection::Cluster),
        }
    }

    /// A connection to a single server that nobody else uses.
    pub(super) async fn open_apart(&self) -> Result<MultiplexedConnection, StoreError> {
        match self {
            Self::Single(client) => single(client).await.map_err(|error| of_step(&error)),
            Self::Cluster(_) => Err(StoreError::unavailable(Fault::Cluster)),
        }
    }
}

/// A connection whose answers are waited for by whoever asks, for as long as they like.
pub(super) async fn single(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTING))
        .set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}

impl DriverConnection {
    async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => connection.send_packed_command(command).await?.extract_error(),
            Self::Cluster(connection) => command.query_async::<Value>(connection).await,
        }
    }

    /// Writes `mark`, and then waits until `replicas` have what this connection has written.
    async fn mark_and_wait(&mut self, mark: &str, slot: u16, replicas: u32, patience: Duration) -> RedisResult<u32> {
        // As the endings, this is not refused for want of memory.
        const SET: &str = "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], '', 'PX', 60000)";
        let mut set = redis::cmd("EVAL");
        set.arg(SET).arg(1).arg(mark);
        let mut wait = redis::cmd("WAIT");
        // None at all would be for ever.
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX).max(1);
        wait.arg(replicas).arg(patience);
        let mut both = redis::pipe();
        both.add_command(set).add_command(wait);
        match self {
            Self::Single(connection) => both.query_async::<((), u32)>(connection).await.map(|(_, count)| count),
            Self::Cluster(connection) => {
                let primary = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                let answers = connection.route_pipeline(both, 0, 2, primary).await?;
                let mut answers = answers.into_iter();
                match (answers.next(), answers.next()) {
                    (Some(set), Some(count)) => {
                        set.extract_error()?;
                        redis::from_redis_value(count).map_err(RedisError::from)
                    }
                    _ => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "two answers"))),
                }
            }
        }
    }
}

/// A connection that is replaced when it is lost.
pub(super) struct Connection {
    opener: Opener,
    deadline: Duration,
    room: Semaphore,
    state: Mutex<State>,
    /// Held by whoever connects.
    connecting: tokio::sync::Mutex<()>,
    born: Instant,
    /// When the server last answered anything, in milliseconds since `born`.
    heard_at: AtomicU64,
}

struct State {
    connection: Option<DriverConnection>,
    /// Of the connection, so that nobody discards the successor of the one that failed.
    number: u64,
    pause: Duration,
    not_before: Option<Instant>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(opener: Opener, deadline: Duration, queue: usize) -> Self {
        Self {
            opener,
            deadline,
            room: Semaphore::new(queue),
            state: Mutex::new(State {
                connection: None,
                number: 0,
                pause: PAUSE,
                not_before: None,
            }),
            connecting: tokio::sync::Mutex::new(()),
            born: Instant::now(),
            heard_at: AtomicU64::new(0),
        }
    }

    pub(super) fn opener(&self) -> &Opener {
        &self.opener
    }

    /// Which connection this is, counted from the first.
    pub(super) fn number(&self) -> u64 {
        self.state.lock().number
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Runs a script.
    pub(super) async fn call(&self, call: &Call) -> Result<Value, StoreError> {
        let _room = self.room()?;
        self.call_beside(call).await
    }

    /// The same for who bounds the number of such calls, and may go on when the others have to queue.
    pub(super) async fn call_beside(&self, call: &Call) -> Result<Value, StoreError> {
        self.within_deadline(|mut connection| async move {
            match connection.send(call.by_hash()).await {
                Err(error) if is_unknown_script(&error) => connection.send(&call.by_text()).await,
                answer => answer,
            }
        })
        .await
    }

    /// All places in an index whose deadline is after `now`.
    pub(super) async fn places(&self, index: &str, now: Timestamp) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(index).arg(format!("({}", now.as_millis()));
        command.arg("+inf").arg("BYSCORE");
        let command = &command;
        let _room = self.room()?;
        self.within_deadline(|mut connection| async move {
            let answer = connection.send(command).await?;
            redis::from_redis_value(answer).map_err(RedisError::from)
        })
        .await
    }

    /// Writes `mark`, and says how many replicas have it within `patience`, and with it all that its server was told before.
    pub(super) async fn mark_and_wait(
        &self,
        mark: &str,
        slot: u16,
        replicas: u32,
        patience: Duration,
    ) -> Result<u32, StoreError> {
        self.within_deadline(
            |mut connection| async move { connection.mark_and_wait(mark, slot, replicas, patience).await },
        )
        .await
    }

    pub(super) fn room(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let room = self.room.try_acquire();
        room.map_err(|_| StoreError::unavailable(Fault::Queue))
    }

    async fn within_deadline<T, F>(&self, send: impl FnOnce(DriverConnection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let sent = async {
            let (connection, number) = self.connection().await?;
            let mut flight = Flight::begin(self, number);
            let answer = send(connection).await;
            flight.landed = true;
            match answer {
                Ok(answer) => {
                    self.heard();
                    Ok(answer)
                }
                Err(error) => {
                    self.judge(&error, number, flight.begun);
                    Err(of_step(&error))
                }
            }
        };
        timeout(self.deadline, sent).await.unwrap_or(Err(StoreError::Timeout))
    }

    /// The present connection, or a new one.
    async fn connection(&self) -> Result<(DriverConnection, u64), StoreError> {
        if let Some(present) = self.present()? {
            return Ok(present);
        }
        let _turn = self.connecting.lock().await;
        // Whoever had the turn before has connected, or found that this is not the time to try.
        if let Some(present) = self.present()? {
            return Ok(present);
        }
        let opened = timeout(CONNECTING * 2, self.opener.open()).await;
        let mut state = self.state.lock();
        let fault = match opened {
            Ok(Ok(connection)) => {
                self.heard();
                state.number += 1;
                state.pause = PAUSE;
                state.not_before = None;
                state.connection = Some(connection.clone());
                return Ok((connection, state.number));
            }
            Ok(Err(error)) => Fault::of(&error),
            Err(_) => Fault::Silent,
        };
        state.not_before = Some(Instant::now() + state.pause);
        state.pause = (state.pause * 2).min(LONGEST_PAUSE);
        Err(StoreError::unavailable(fault))
    }

    fn present(&self) -> Result<Option<(DriverConnection, u64)>, StoreError> {
        let state = self.state.lock();
        if let Some(connection) = &state.connection {
            return Ok(Some((connection.clone(), state.number)));
        }
        match state.not_before {
            Some(moment) if Instant::now() < moment => Err(StoreError::unavailable(Fault::Down)),
            _ => Ok(None),
        }
    }

    /// Whether an error means that the connection is not worth keeping.
    fn judge(&self, error: &RedisError, number: u64, since: Instant) {
        match Fault::of(error) {
            // The address may lead to another server by now.
            Fault::ReadOnly | Fault::NoPrimary if !self.opener.is_cluster() => self.discard(number, PAUSE * 2),
            Fault::Refused | Fault::Lost | Fault::Network | Fault::Tls | Fault::Protocol | Fault::Denied => {
                // The client of a cluster mends its connections by itself, as long as there are some.
                if !self.opener.is_cluster() || !self.was_heard(since) {
                    self.discard(number, Duration::ZERO);
                }
            }
            Fault::Silent => self.discard_if_silent(number, since),
            Fault::Cluster if !self.was_heard(since) => self.discard(number, PAUSE),
            _ => self.heard(),
        }
    }

    /// A connection on which nothing has arrived since somebody asked may be broken without either end having noticed.
    fn discard_if_silent(&self, number: u64, since: Instant) {
        if !self.was_heard(since) {
            self.discard(number, Duration::ZERO);
        }
    }

    fn discard(&self, number: u64, pause: Duration) {
        let mut state = self.state.lock();
        if state.number == number && state.connection.is_some() {
            state.connection = None;
            state.not_before = Some(Instant::now() + pause);
        }
    }

    fn heard(&self) {
        let millis = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_at.fetch_max(millis, Ordering::Relaxed);
    }

    fn was_heard(&self, since: Instant) -> bool {
        let since = since.saturating_duration_since(self.born).as_millis();
        u128::from(self.heard_at.load(Ordering::Relaxed)) > since
    }
}

/// A call under way. One that is given up, by the deadline here or by its caller's, still tells something of the connection.
struct Flight<'a> {
    link: &'a Connection,
    number: u64,
    begun: Instant,
    landed: bool,
}

/// A call that was given up sooner says nothing: its caller may have gone away.
const SUSPICIOUS: Duration = Duration::from_millis(500);

impl<'a> Flight<'a> {
    fn begin(link: &'a Connection, number: u64) -> Self {
        Self {
            link,
            number,
            begun: Instant::now(),
            landed: false,
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.landed && self.begun.elapsed() >= SUSPICIOUS.min(self.link.deadline) {
            self.link.discard_if_silent(self.number, self.begun);
        }
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
