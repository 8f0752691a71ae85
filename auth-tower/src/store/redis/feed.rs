//! The revocation log: one stream for each part, written by the script that ends, and read from all of them.
//!
//! A place in a stream is the number and the hash of the last entry that was read. Numbers alone would not do: a replica that
//! is promoted without the last entries gives their numbers to other entries, so a reader that only asked for larger numbers
//! would miss revocations. The next page therefore begins with the entry that was read last. If that entry is gone or has
//! another hash, the stream is read anew from its beginning, which repeats entries and misses none.

#![expect(
    clippy::disallowed_methods,
    reason = "the deadline of a wait, which no record is dated by"
)]

use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Value;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::error::UNEXPECTED_REPLY;
use super::inner::Inner;
use super::keys::PARTS;
use super::replies;
use super::scripts::READ_FEED;
use crate::clock::Timestamp;
use crate::id::{SessionId, SubjectKey};
use crate::store::FEED_PAGE;
use crate::store::error::StoreError;
use crate::store::feed::{Cursor, RevocationEvent, RevocationPage, Revoked};

/// What one page takes of one stream.
const SHARE: usize = FEED_PAGE / PARTS;

/// How often the streams of a cluster are polled while a reader waits, because no one command can wait for all of them.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The longest that a server is asked to hold an answer back.
const LONGEST_BLOCK: Duration = Duration::from_secs(5);

/// The last entry that was read: its number, and a hash of its fields.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    number: Box<str>,
    print: u32,
}

type Places = [Option<Place>; PARTS];

struct Page {
    entries: Vec<RevocationEvent>,
    place: Option<Place>,
    complete: bool,
    now: Timestamp,
}

pub(super) async fn revocations_since(
    inner: &Inner,
    cursor: Cursor,
    wait: Duration,
) -> Result<RevocationPage, StoreError> {
    // The longest wait, so that its end can be computed.
    let until = Instant::now() + wait.min(Duration::from_secs(365 * 24 * 3600));
    let mut places = places(&cursor)?;
    loop {
        let revocations = read(inner, &mut places).await?;
        let left = until.saturating_duration_since(Instant::now());
        if !revocations.entries.is_empty() || left.is_zero() {
            return Ok(revocations);
        }
        if inner.connection.opener().is_cluster() {
            sleep(POLL_INTERVAL.min(left)).await;
        } else {
            wait_for_news(inner, &places, left.min(LONGEST_BLOCK)).await?;
        }
    }
}

/// Reads every part once. An entry that cannot be read stops the readers of the log, and does not stop an instance from
/// starting: without a fresh log, sessions are looked up.
pub(super) async fn probe(inner: &Inner) -> Result<(), StoreError> {
    let feeds = inner.keys.feeds();
    let parts = feeds.iter().map(|feed| texts(inner, feed, "-", SHARE));
    let parts = try_join_all(parts).await?;
    if parts
        .iter()
        .flat_map(|(_, texts)| texts)
        .any(|text| entry(text).is_err())
    {
        tracing::warn!(
            target: "auth_tower::store",
            "the revocation log has an entry that this version cannot read: until it is trimmed, sessions are looked up instead"
        );
    }
    Ok(())
}

/// The entries of all streams after `places`, which are moved on.
async fn read(inner: &Inner, places: &mut Places) -> Result<RevocationPage, StoreError> {
    let feeds = inner.keys.feeds();
    let pages = feeds
        .iter()
        .zip(&*places)
        .map(|(feed, place)| page(inner, feed, place.as_ref()));
    let pages = try_join_all(pages).await?;
    let mut revocations = RevocationPage {
        entries: Vec::new(),
        cursor: Cursor::start(),
        complete: pages.iter().all(|page| page.complete),
        now: pages
            .iter()
            .map(|page| page.now)
            .min()
            .unwrap_or(Timestamp::from_millis(0)),
    };
    for (page, place) in pages.into_iter().zip(places.iter_mut()) {
        revocations.entries.extend(page.entries);
        *place = page.place;
    }
    // Stable, so that entries of one stream stay in its order if its clock was set back.
    revocations.entries.sort_by_key(|entry| entry.at);
    revocations.cursor = cursor(places);
    Ok(revocations)
}

async fn page(inner: &Inner, feed: &str, place: Option<&Place>) -> Result<Page, StoreError> {
    if let Some(place) = place {
        let (now, mut entries) = entries(inner, feed, &place.number, SHARE + 1).await?;
        let first = (!entries.is_empty()).then(|| entries.remove(0));
        if first.is_some_and(|(found, _)| found == *place) {
            return Ok(Page::of(now, entries, Some(place.clone())));
        }
    }
    let (now, entries) = entries(inner, feed, "-", SHARE).await?;
    Ok(Page::of(now, entries, None))
}

impl Page {
    fn of(now: Timestamp, entries: Vec<(Place, RevocationEvent)>, before: Option<Place>) -> Self {
        Self {
            complete: entries.len() < SHARE,
            place: entries.last().map(|(place, _)| place.clone()).or(before),
            entries: entries.into_iter().map(|(_, revocation)| revocation).collect(),
            now,
        }
    }
}

async fn entries(
    inner: &Inner,
    feed: &str,
    from: &str,
    count: usize,
) -> Result<(Timestamp, Vec<(Place, RevocationEvent)>), StoreError> {
    let (now, texts) = texts(inner, feed, from, count).await?;
    let entries = texts.iter().map(entry).collect::<Result<_, _>>()?;
    Ok((now, entries))
}

async fn texts(inner: &Inner, feed: &str, from: &str, count: usize) -> Result<(Timestamp, Vec<Value>), StoreError> {
    let call = READ_FEED
        .on(&[feed])
        .arg(inner.clock_offset.millis())
        .arg(from)
        .arg(count);
    let Value::Array(answer) = inner.connection.call_beside(&call).await? else {
        return Err(UNEXPECTED_REPLY);
    };
    let Ok([now, Value::Array(texts)]) = <[Value; 2]>::try_from(answer) else {
        return Err(UNEXPECTED_REPLY);
    };
    Ok((replies::moment(&now)?, texts))
}

fn entry(value: &Value) -> Result<(Place, RevocationEvent), StoreError> {
    const UNREADABLE: StoreError = StoreError::Corrupt("an entry of the log ends nothing");
    let Value::Array(parts) = value else {
        return Err(UNREADABLE);
    };
    let [Value::BulkString(number), Value::Array(fields)] = &parts[..] else {
        return Err(UNREADABLE);
    };
    let number = std::str::from_utf8(number).map_err(|_| UNREADABLE)?;
    let mut print = Sha256::new();
    let mut texts = Vec::with_capacity(fields.len());
    for field in fields {
        let Value::BulkString(bytes) = field else {
            return Err(UNREADABLE);
        };
        let text = std::str::from_utf8(bytes).map_err(|_| UNREADABLE)?;
        print.update(text);
        print.update([0]);
        texts.push(text);
    }
    let session = |text: &str| text.parse::<SessionId>().map_err(|_| UNREADABLE);
    // A later version may write more fields.
    let field = |name: &str| match texts.chunks_exact(2).find(|pair| pair.first() == Some(&name)) {
        Some([_, text]) => Some(*text),
        _ => None,
    };
    let what = match (field("session"), field("subject"), field("keep")) {
        (Some(id), None, None) => Revoked::Session(session(id)?),
        (None, Some(key), Some(keep)) => {
            let subject = subject_key(key).ok_or(UNREADABLE)?;
            let keep = match keep {
                "" => None,
                id => Some(session(id)?),
            };
            Revoked::Subject { subject, keep }
        }
        _ => return Err(UNREADABLE),
    };
    let at = field("at").ok_or(UNREADABLE)?;
    let at = Timestamp::from_millis(at.parse().map_err(|_| UNREADABLE)?);
    let print = print.finalize();
    let place = Place {
        number: number.into(),
        print: print.iter().take(4).fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
    };
    Ok((place, RevocationEvent { what, at }))
}

fn subject_key(text: &str) -> Option<SubjectKey> {
    use base64::Engine as _;
    let mut bytes = [0; 16];
    let length = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode_slice(text, &mut bytes)
        .ok()?;
    (length == bytes.len()).then(|| SubjectKey::from_bytes(bytes))
}

/// Returns when there is something after `places`, which are known to be the ends of their streams, or after `patience`.
async fn wait_for_news(inner: &Inner, places: &Places, patience: Duration) -> Result<(), StoreError> {
    let mut command = redis::cmd("XREAD");
    let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX).max(1);
    command.arg("COUNT").arg(1).arg("BLOCK").arg(millis).arg("STREAMS");
    command.arg(&inner.keys.feeds()[..]);
    for place in places {
        command.arg(place.as_ref().map_or("0-0", |place| &*place.number));
    }
    inner.waiters.wait(&inner.connection, &command, patience).await
}

const FOREIGN: StoreError = StoreError::Corrupt("the cursor is not of this store");

fn cursor(places: &Places) -> Cursor {
    let places: Vec<String> = places
        .iter()
        .map(|place| match place {
            Some(place) => format!("{}.{:08x}", place.number, place.print),
            None => String::new(),
        })
        .collect();
    Cursor::at(places.join(","))
}

fn places(cursor: &Cursor) -> Result<Places, StoreError> {
    const NOWHERE: Option<Place> = None;
    let mut places = [NOWHERE; PARTS];
    let Some(text) = cursor.place() else {
        return Ok(places);
    };
    let mut texts = text.split(',');
    for place in &mut places {
        let text = texts.next().ok_or(FOREIGN)?;
        if text.is_empty() {
            continue;
        }
        let (number, print) = text.split_once('.').ok_or(FOREIGN)?;
        let is_number = number
            .split_once('-')
            .is_some_and(|(time, order)| time.parse::<u64>().is_ok() && order.parse::<u64>().is_ok());
        if !is_number {
            return Err(FOREIGN);
        }
        *place = Some(Place {
            number: number.into(),
            print: u32::from_str_radix(print, 16).map_err(|_| FOREIGN)?,
        });
    }
    texts.next().map_or(Ok(places), |_| Err(FOREIGN))
}
