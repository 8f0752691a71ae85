//! Records as packed strings. A record is believed only if all of it makes sense.
//!
//! The head has a fixed width, so that the scripts can read it (see `prelude.lua`); the tail is the subject, the client and
//! what signed in. Numbers are big-endian, moments 48 bits of milliseconds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::keys::own;
use super::time::millis;
use crate::clock::Timestamp;
use crate::id::{SessionId, Subject};
use crate::session::rotation::Rotation;
use crate::session::{ClientInfo, EndReason, SessionRecord};
use crate::store::error::StoreError;
use crate::store::session::{Advance, NewSession};

/// The form in which this version writes records, as in `prelude.lua`. One of a later form is refused, not guessed at.
const FORMAT: u8 = 1;

/// The first byte of a record that could not be read when its session was ended.
const ENDED_UNREAD: u8 = 255;

const SEEN: u8 = 1;
const ROTATED: u8 = 2;

/// The length of an absent text.
const NONE: u16 = u16::MAX;

/// What follows the head in the record of a new session.
pub(super) fn tail(session: &NewSession) -> Result<Vec<u8>, StoreError> {
    let subject = session.subject.as_str();
    let mut tail = Vec::with_capacity(64 + subject.len());
    tail.push(u8::try_from(subject.len()).map_err(|_| StoreError::Corrupt("its subject is too long"))?);
    tail.extend_from_slice(subject.as_bytes());
    push(&mut tail, Some(&session.client_id))?;
    push(&mut tail, session.client.device.as_deref())?;
    match session.client.ip {
        None => tail.push(0),
        Some(IpAddr::V4(ip)) => {
            tail.push(4);
            tail.extend_from_slice(&ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            tail.push(16);
            tail.extend_from_slice(&ip.octets());
        }
    }
    push(&mut tail, session.client.user_agent.as_deref())?;
    Ok(tail)
}

fn push(tail: &mut Vec<u8>, text: Option<&str>) -> Result<(), StoreError> {
    let length = match text {
        None => NONE,
        Some(text) => u16::try_from(text.len())
            .ok()
            .filter(|length| *length != NONE)
            .ok_or(StoreError::Corrupt("a text of it is too long"))?,
    };
    tail.extend_from_slice(&length.to_be_bytes());
    tail.extend_from_slice(text.unwrap_or_default().as_bytes());
    Ok(())
}

/// The record that was kept as `packed` under the name of `id`; `left` if it belongs to an epoch that its subject has left.
pub(super) fn record(id: SessionId, packed: &[u8], left: bool) -> Result<SessionRecord, StoreError> {
    let mut rest = Rest(packed);
    match rest.byte()? {
        FORMAT => {}
        ENDED_UNREAD => return Err(StoreError::Corrupt("it was ended by a version that could not read it")),
        _ => return Err(StoreError::Corrupt("it is of a format that this version does not know")),
    }
    let ended = match rest.byte()? {
        0 => left.then_some(EndReason::AllEnded),
        code => Some(EndReason::from_code(code).ok_or(StoreError::Corrupt("its revocation has no known reason"))?),
    };
    let flags = rest.byte()?;
    if flags & !(SEEN | ROTATED) != 0 {
        return Err(StoreError::Corrupt("it has a flag that this version does not know"));
    }
    let rotated = flags & ROTATED != 0;
    let (current, confirmed) = (rest.generation()?, rest.generation()?);
    let (created_at, last_seen_at, rotated_at) = (rest.moment()?, rest.moment()?, rest.moment()?);
    let (idle_expires_at, absolute_expires_at) = (rest.moment()?, rest.moment()?);
    let (_ended_at, _epoch) = (rest.moment()?, rest.moment()?);
    let subject_length = rest.byte()?;
    let subject = Subject::new(rest.text(usize::from(subject_length))?)
        .ok()
        .filter(|subject| subject.key().routing() == id.routing())
        .ok_or(StoreError::Corrupt("its subject is none"))?;
    let client_id = rest.optional()?.ok_or(StoreError::Corrupt("it has no client"))?.into();
    let device = rest.optional()?.map(Into::into);
    let ip = match rest.byte()? {
        0 => None,
        4 => Some(IpAddr::V4(Ipv4Addr::from(rest.array::<4>()?))),
        16 => Some(IpAddr::V6(Ipv6Addr::from(rest.array::<16>()?))),
        _ => return Err(StoreError::Corrupt("its address is none")),
    };
    let user_agent = rest.optional()?.map(Into::into);
    if !rest.0.is_empty() {
        return Err(StoreError::Corrupt("it is longer than it should be"));
    }
    Ok(SessionRecord {
        id,
        subject,
        client_id,
        created_at,
        last_seen_at,
        rotation: Rotation {
            current,
            confirmed: rotated.then_some(confirmed),
            rotated_at: rotated.then_some(rotated_at),
            seen: flags & SEEN != 0,
        },
        idle_expires_at,
        absolute_expires_at,
        ended,
        client: ClientInfo { device, ip, user_agent },
    })
}

/// A step as `advance.lua` reads it: the numbers that the script judges by, and the head of the record if the step is taken.
pub(super) fn step(clock_offset: i64, retention: u64, id: &SessionId, step: &Advance) -> Vec<u8> {
    let distance = if step.unless_within.is_zero() {
        -1
    } else {
        millis(step.unless_within).cast_signed()
    };
    let mut packed = Vec::with_capacity(64);
    packed.extend_from_slice(&clock_offset.to_be_bytes());
    packed.extend_from_slice(&retention.to_be_bytes());
    packed.extend_from_slice(&distance.to_be_bytes());
    packed.extend_from_slice(&millis(step.idle).to_be_bytes());
    packed.extend_from_slice(&step.expected_seen.map_or(-1, i8::from).to_be_bytes());
    packed.extend_from_slice(&step.expected.to_be_bytes());
    packed.extend_from_slice(own(id));
    packed.extend_from_slice(&[FORMAT, 0, ROTATED]);
    packed.extend_from_slice(&step.current.to_be_bytes());
    packed.extend_from_slice(&step.confirmed.to_be_bytes());
    packed
}

/// When a record was rotated, by its head.
pub(super) fn rotated_at(head: &[u8]) -> Result<Timestamp, StoreError> {
    let mut rest = Rest(head);
    rest.take(23)?;
    rest.moment()
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(StoreError::Corrupt("it is shorter than it should be"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| StoreError::Corrupt("it is shorter than it should be"))
    }

    fn byte(&mut self) -> Result<u8, StoreError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn generation(&mut self) -> Result<u32, StoreError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn moment(&mut self) -> Result<Timestamp, StoreError> {
        let [a, b, c, d, e, f] = self.array()?;
        Ok(Timestamp::from_millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f])))
    }

    fn text(&mut self, length: usize) -> Result<&'a str, StoreError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| StoreError::Corrupt("a text is not UTF-8"))
    }

    fn optional(&mut self) -> Result<Option<&'a str>, StoreError> {
        match u16::from_be_bytes(self.array()?) {
            NONE => Ok(None),
            length => Ok(Some(self.text(usize::from(length))?)),
        }
    }
}
