//! A session as plain data.

use std::net::IpAddr;
use std::time::Duration;

use super::rotation::Rotation;
use crate::clock::Timestamp;
use crate::id::{SessionId, Subject};

/// What a store keeps of one session: hashes and counters, never a token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The session's public name.
    pub id: SessionId,
    /// Who signed in.
    pub subject: Subject,
    /// The OAuth client the session belongs to (RFC 9068 §2.2).
    pub client_id: Box<str>,
    /// When the session began, by the store's clock.
    pub created_at: Timestamp,
    /// When its client was last noticed: at sign-in, at a rotation, at the first proof that a generation arrived.
    pub last_seen_at: Timestamp,
    /// The generation counter.
    pub rotation: Rotation,
    /// When the session lapses unless it is refreshed before. At this very moment it is over.
    pub idle_expires_at: Timestamp,
    /// When the session lapses whatever happens. At this very moment it is over.
    pub absolute_expires_at: Timestamp,
    /// Why the session was ended, once it was. An ended session never comes back.
    pub ended: Option<EndReason>,
    /// What signed in.
    pub client: ClientInfo,
}

impl SessionRecord {
    /// A live session of generation 1, begun at `now`.
    pub fn begin(
        id: SessionId,
        subject: Subject,
        client_id: Box<str>,
        lifetime: Lifetime,
        client: ClientInfo,
        now: Timestamp,
    ) -> Self {
        let absolute_expires_at = now + lifetime.absolute;
        Self {
            id,
            subject,
            client_id,
            created_at: now,
            last_seen_at: now,
            rotation: Rotation::first(),
            idle_expires_at: (now + lifetime.idle).min(absolute_expires_at),
            absolute_expires_at,
            ended: None,
            client,
        }
    }

    /// The earlier of the two deadlines.
    pub fn expires_at(&self) -> Timestamp {
        self.idle_expires_at.min(self.absolute_expires_at)
    }

    /// Why the session is over at `now`, or `None` while it lives.
    pub fn status(&self, now: Timestamp) -> Option<Terminated> {
        match self.ended {
            Some(reason) => Some(Terminated::Ended(reason)),
            None if now >= self.expires_at() => Some(Terminated::Expired),
            None => None,
        }
    }
}

/// How long a session may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "two numbers, compared field by field in tests of third-party stores"
)]
pub struct Lifetime {
    /// Without a refresh.
    pub idle: Duration,
    /// In all.
    pub absolute: Duration,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way for a session to be over")]
pub enum Terminated {
    /// Its idle or absolute lifetime has passed.
    Expired,
    /// Somebody or something ended it.
    Ended(EndReason),
}

/// Who or what ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// Its own client signed out.
    SignedOut,
    /// Its owner ended it from another session.
    EndedByOwner,
    /// Every session of the subject was ended at once.
    AllEnded,
    /// The same client signed in anew.
    Replaced,
    /// A refresh token that was already superseded was presented: two parties held this session (RFC 9700 §4.14.2).
    Reused,
    /// The account is gone or disabled.
    AccountGone,
    /// The application ended it.
    Administrator,
}

impl EndReason {
    /// The number a store keeps; it never changes its meaning.
    pub const fn code(self) -> u8 {
        match self {
            Self::SignedOut => 1,
            Self::EndedByOwner => 2,
            Self::AllEnded => 3,
            Self::Replaced => 4,
            Self::Reused => 5,
            Self::AccountGone => 6,
            Self::Administrator => 7,
        }
    }

    /// The reason that a store kept as `code`.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::SignedOut,
            2 => Self::EndedByOwner,
            3 => Self::AllEnded,
            4 => Self::Replaced,
            5 => Self::Reused,
            6 => Self::AccountGone,
            7 => Self::Administrator,
            _ => return None,
        })
    }
}

/// What signed in, for the session list. Told by the client, so never to be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientInfo {
    /// The name the user gave the device, at most 64 characters.
    pub device: Option<Box<str>>,
    /// Where the sign-in came from.
    pub ip: Option<IpAddr>,
    /// The `User-Agent` header, at most 256 characters.
    pub user_agent: Option<Box<str>>,
}

impl ClientInfo {
    /// Keeps at most 64 characters of `device` and 256 of `user_agent`.
    ///
    /// Characters that a reader does not see (controls, line and paragraph separators, bidirectional marks, zero-width and
    /// other invisible ones) are left out: a client could write them to make one device look like another in the list, or to
    /// turn the text around it. A name of nothing else is none.
    pub fn new(device: Option<&str>, ip: Option<IpAddr>, user_agent: Option<&str>) -> Self {
        Self {
            device: device.and_then(|text| clean(text, 64)),
            ip,
            user_agent: user_agent.and_then(|text| clean(text, 256)),
        }
    }
}

fn clean(text: &str, max: usize) -> Option<Box<str>> {
    let seen: String = text.chars().filter(|c| !is_unseen(*c)).collect();
    let kept: String = seen.trim().chars().take(max).collect();
    let kept = kept.trim_end();
    (!kept.is_empty()).then(|| kept.into())
}

/// Whether a reader does not see this character: controls, the separators of lines and paragraphs, the anchors of
/// interlinear notes, the blank pattern of Braille, and all of Unicode's `Default_Ignorable_Code_Point`, among which are
/// the bidirectional marks, the zero-width characters, the fillers, the variation selectors and the tags.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
