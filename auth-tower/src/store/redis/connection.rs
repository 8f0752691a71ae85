//! The connection: replaced when it is lost, with a bound on the calls that wait for it and on how long they wait.
//!
//! By hand, because the driver's `ConnectionManager` could not do what the tests ask:
//!
//! * It replaces a connection only after an error that shows the loss. A connection that leads nowhere, as after a power cut or
//!   in a firewall that has forgotten it, gives no error but only timeouts, which the manager takes for slow answers, and every
//!   call fails until the system gives the connection up. Test: `a_connection_that_leads_nowhere_is_replaced`.
//! * It keeps a connection to a server that has become a replica, although the address may lead to the new primary by now.
//!   Test: `a_demoted_primary_is_left_for_the_server_that_the_address_leads_to`.
//! * It does not speak to a cluster, and the driver's connection to one does not come back when all of its nodes were away.
//!   Test: `a_whole_cluster_that_was_away_is_found_again`.

#![expect(
    clippy::disallowed_methods,
    reason = "the age of a connection and its pauses, which no record is dated by"
)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::error::{Fault, of_step};
use super::scripts::Call;
use crate::clock::Timestamp;
use crate::store::deadline::deadline;
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

    /// A connection for calls that take no longer than `deadline`.
    async fn open(&self, deadline: Duration) -> RedisResult<DriverConnection> {
        match self {
            Self::Single(client) => single(client).await.map(DriverConnection::Single),
            Self::Cluster(client) => {
                // Longer than any call, because a call may end with its own deadline only. Not without end, because the
                // client also waits for nodes on its own account.
                let config = ClusterConfig::new().set_response_timeout(deadline * 2);
                let connection = client.get_async_connection_with_config(config).await?;
                Ok(DriverConnection::Cluster(connection))
            }
        }
    }

    /// A connection to a single server that no other call uses.
    pub(super) async fn open_apart(&self) -> Result<MultiplexedConnection, StoreError> {
        match self {
            Self::Single(client) => single(client).await.map_err(|error| of_step(&error)),
            Self::Cluster(_) => Err(StoreError::unavailable(Fault::Cluster)),
        }
    }
}

/// A connection without a timeout of its own: each caller decides how long it waits for a reply.
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

    /// Writes the key `marker`, and then waits until `replicas` have what this connection has written.
    async fn write_and_wait(&mut self, marker: &str, slot: u16, replicas: u32, patience: Duration) -> RedisResult<u32> {
        // Like the revocations, this write is not refused for want of memory.
        const SET: &str = "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], '', 'PX', 60000)";
        let mut set = redis::cmd("EVAL");
        set.arg(SET).arg(1).arg(marker);
        let mut wait = redis::cmd("WAIT");
        // Zero would be without end.
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
    /// For calls that come without one.
    deadline: Duration,
    room: Semaphore,
    state: Mutex<State>,
    /// Locked by the call that connects.
    connecting: tokio::sync::Mutex<()>,
    born: Instant,
    /// When the server last answered anything, in milliseconds since `born`.
    heard_at: AtomicU64,
}

struct State {
    connection: Option<DriverConnection>,
    /// Of the connection, so that a call does not discard the successor of the one that failed.
    number: u64,
    /// The longest deadline of the calls that the connection is good for.
    deadline: Duration,
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
                deadline,
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

    /// How long the call that runs now may take.
    pub(super) fn deadline(&self) -> Duration {
        deadline().unwrap_or(self.deadline)
    }

    /// Runs a script.
    pub(super) async fn call(&self, call: &Call) -> Result<Value, StoreError> {
        let _room = self.room()?;
        self.call_beside(call).await
    }

    /// The same without a place in the queue, for callers that bound the number of their calls themselves.
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

    /// Writes the key `marker`, and returns how many replicas have it within `patience`, and with it all earlier writes of its
    /// server.
    pub(super) async fn write_and_wait(
        &self,
        marker: &str,
        slot: u16,
        replicas: u32,
        patience: Duration,
    ) -> Result<u32, StoreError> {
        self.within_deadline(|mut connection| async move {
            connection.write_and_wait(marker, slot, replicas, patience).await
        })
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
        let deadline = self.deadline();
        let sent = async {
            let (connection, number) = self.connection(deadline).await?;
            let mut flight = Flight::begin(self, number, deadline);
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
        timeout(deadline, sent).await.unwrap_or(Err(StoreError::Timeout))
    }

    /// The present connection, or a new one.
    async fn connection(&self, deadline: Duration) -> Result<(DriverConnection, u64), StoreError> {
        if let Some(present) = self.present(deadline)? {
            return Ok(present);
        }
        let _turn = self.connecting.lock().await;
        // The call that had the turn before has connected, or failed to a moment ago.
        if let Some(present) = self.present(deadline)? {
            return Ok(present);
        }
        let deadline = deadline.max(self.state.lock().deadline);
        let opened = timeout(CONNECTING * 2, self.opener.open(deadline)).await;
        let mut state = self.state.lock();
        let fault = match opened {
            Ok(Ok(connection)) => {
                self.heard();
                state.number += 1;
                state.deadline = deadline;
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

    fn present(&self, deadline: Duration) -> Result<Option<(DriverConnection, u64)>, StoreError> {
        let state = self.state.lock();
        if let Some(connection) = &state.connection
            && (deadline <= state.deadline || !self.opener.is_cluster())
        {
            return Ok(Some((connection.clone(), state.number)));
        }
        match state.not_before {
            Some(moment) if Instant::now() < moment => Err(StoreError::unavailable(Fault::Down)),
            _ => Ok(None),
        }
    }

    /// Discards the connection if the error means that it is lost.
    fn judge(&self, error: &RedisError, number: u64, since: Instant) {
        match Fault::of(error) {
            // The address may lead to another server by now.
            Fault::ReadOnly | Fault::NoPrimary if !self.opener.is_cluster() => self.discard(number, PAUSE * 2),
            Fault::Refused | Fault::Lost | Fault::Network | Fault::Tls | Fault::Protocol | Fault::Denied => {
                // The cluster's client replaces its connections by itself, as long as some are left.
                if !self.opener.is_cluster() || !self.was_heard(since) {
                    self.discard(number, Duration::ZERO);
                }
            }
            Fault::Silent => self.discard_if_silent(number, since),
            Fault::Cluster if !self.was_heard(since) => self.discard(number, PAUSE),
            _ => self.heard(),
        }
    }

    /// A connection on which nothing has arrived since a call was sent may be broken without either end having noticed.
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

/// A call under way. Also a call that is given up, here or by its caller, says something of the connection.
struct Flight<'a> {
    connection: &'a Connection,
    number: u64,
    begun: Instant,
    deadline: Duration,
    landed: bool,
}

/// A call that was given up sooner says nothing of the connection: its caller may have gone away.
const SUSPICIOUS: Duration = Duration::from_millis(500);

impl<'a> Flight<'a> {
    fn begin(connection: &'a Connection, number: u64, deadline: Duration) -> Self {
        Self {
            connection,
            number,
            begun: Instant::now(),
            deadline,
            landed: false,
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.landed && self.begun.elapsed() >= SUSPICIOUS.min(self.deadline) {
            self.connection.discard_if_silent(self.number, self.begun);
        }
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
