//! Requests to the threads, and their answers.
#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a call, which no record is dated by"
)]

use std::time::Instant;

use rusqlite::Error;
use tokio::sync::oneshot;

use super::error::of_batch;
use super::transaction::{ReadTransaction, WriteTransaction};
use crate::store::error::StoreError;

/// What a request asks of its commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One statement at most writes.
    Single,
    /// Several statements write; if one fails, those before it have to be undone.
    Several,
    /// The same, and it has to survive a power cut.
    Revocation,
}

/// Something to write. It can be run again, in a transaction of its own, if the one it shared was lost.
pub(super) trait Write: Send {
    /// Whether its caller has stopped waiting for the answer, so that the request must not be carried out.
    fn given_up(&self) -> bool;

    /// When its caller stops waiting.
    fn deadline(&self) -> Instant;

    /// What it asks of its commit.
    fn kind(&self) -> Kind;

    /// Carries it out, and keeps the answer for after the commit. Says whether it went well.
    fn run(&mut self, work: &WriteTransaction<'_>) -> bool;

    /// Whether what it met may be the connection's fault.
    fn spoils_connection(&self) -> bool;

    /// Answers: with what it kept, or with the error that has undone it.
    fn answer(self: Box<Self>, undone: Option<&Error>);
}

/// Something to read.
pub(super) trait Read: Send {
    /// When its caller stops waiting.
    fn deadline(&self) -> Instant;

    /// Carries it out and answers. Says whether what it met may be the connection's fault.
    fn run(self: Box<Self>, transaction: Result<&ReadTransaction<'_>, &Error>) -> bool;
}

/// A request that only has the writer look which files lie at the path, as it does before every step.
pub(super) struct Look;

impl Write for Look {
    fn given_up(&self) -> bool {
        true
    }

    fn deadline(&self) -> Instant {
        Instant::now()
    }

    fn kind(&self) -> Kind {
        Kind::Single
    }

    fn run(&mut self, _: &WriteTransaction<'_>) -> bool {
        true
    }

    fn spoils_connection(&self) -> bool {
        false
    }

    fn answer(self: Box<Self>, _: Option<&Error>) {}
}

pub(super) struct Call<T, F> {
    run: F,
    outcome: Option<Result<T, StoreError>>,
    kind: Kind,
    deadline: Instant,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Call<T, F> {
    pub(super) fn new(kind: Kind, deadline: Instant, run: F) -> (Box<Self>, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let call = Self {
            run,
            outcome: None,
            kind,
            deadline,
            reply,
        };
        (Box::new(call), answer)
    }

    fn is_late(&self) -> bool {
        self.reply.is_closed() || Instant::now() >= self.deadline
    }
}

impl<T, F> Write for Call<T, F>
where
    T: Send,
    F: FnMut(&WriteTransaction<'_>) -> Result<T, StoreError> + Send,
{
    fn given_up(&self) -> bool {
        self.is_late()
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn run(&mut self, work: &WriteTransaction<'_>) -> bool {
        self.outcome.insert((self.run)(work)).is_ok()
    }

    fn spoils_connection(&self) -> bool {
        matches!(&self.outcome, Some(Err(error)) if super::error::spoils_connection(error))
    }

    fn answer(self: Box<Self>, undone: Option<&Error>) {
        let answer = match (undone, self.outcome) {
            (Some(error), _) => Err(of_batch(error)),
            (None, Some(outcome)) => outcome,
            (None, None) => Err(StoreError::Timeout),
        };
        // A caller that has given up meanwhile does not need the answer.
        let _ = self.reply.send(answer);
    }
}

impl<T, F> Read for Call<T, F>
where
    T: Send,
    F: FnMut(&ReadTransaction<'_>) -> Result<T, StoreError> + Send,
{
    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn run(mut self: Box<Self>, transaction: Result<&ReadTransaction<'_>, &Error>) -> bool {
        if self.is_late() {
            return false;
        }
        let answer = match transaction {
            Ok(transaction) => (self.run)(transaction),
            Err(error) => Err(of_batch(error)),
        };
        let spoils = matches!(&answer, Err(error) if super::error::spoils_connection(error));
        let _ = self.reply.send(answer);
        spoils
    }
}
