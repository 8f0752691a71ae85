//! The names of keys, and which keys share a slot of a cluster.

use std::fmt::Write as _;

use crate::id::{SessionId, Subject};

/// The number of parts that the sessions are kept in. A revocation and its entry in the log are one step only if they lie in one slot,
/// so every part has a log of its own, and a reader of the log reads them all: few enough for that, and enough for sixteen
/// primaries.
pub(super) const PARTS: usize = 16;

/// The hash tags of the parts. Each was chosen so that its slot lies in the middle of its sixteenth of all slots: wherever
/// a cluster draws its borders, its primaries get as many parts as they have slots.
const TAGS: [&str; PARTS] = [
    "18", "4b", "0f", "a0", "d2", "5d", "95", "a1", "e6", "34", "0d", "a2", "d0", "5f", "1b", "48",
];

/// The names of one store's keys.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    bases: [Box<str>; PARTS],
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            bases: TAGS.map(|tag| format!("{prefix}{{{tag}}}").into()),
        }
    }

    /// The part that these bytes lead to.
    pub(super) fn part(routing: [u8; 2]) -> usize {
        usize::from(routing[0] >> 4)
    }

    /// What every key of a part begins with.
    #[expect(clippy::indexing_slicing, reason = "four bits name one of sixteen")]
    pub(super) fn base(&self, routing: [u8; 2]) -> &str {
        &self.bases[Self::part(routing)]
    }

    /// The slot that the keys of a part lie in.
    #[expect(clippy::indexing_slicing, reason = "four bits name one of sixteen")]
    pub(super) fn slot(&self, routing: [u8; 2]) -> u16 {
        slot(TAGS[Self::part(routing)])
    }

    pub(super) fn session(&self, id: &SessionId) -> String {
        named(self.base(id.routing()), "s:", id)
    }

    /// Sessions of the present epoch, by deadline.
    pub(super) fn index(&self, subject: &Subject) -> String {
        named(self.base(subject.key().routing()), "u:", subject)
    }

    /// When earlier epochs were left.
    pub(super) fn epochs(&self, subject: &Subject) -> String {
        named(self.base(subject.key().routing()), "e:", subject)
    }

    /// The revocation log of the part that these bytes lead to.
    pub(super) fn feed(&self, routing: [u8; 2]) -> String {
        named(self.base(routing), "f", "")
    }

    /// The key that is written so that replicas can be waited for.
    pub(super) fn marker(&self, routing: [u8; 2]) -> String {
        named(self.base(routing), "w", "")
    }

    /// The logs of all parts.
    pub(super) fn feeds(&self) -> [String; PARTS] {
        self.bases.each_ref().map(|base| named(base, "f", ""))
    }
}

/// What is particular to an id among those that share its routing bytes.
pub(super) fn own(id: &SessionId) -> &[u8] {
    id.as_bytes().split_at(2).1
}

/// CRC-16/XMODEM, as the specification of Redis Cluster has it.
fn slot(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    });
    crc % 16_384
}

fn named(base: &str, kind: &str, name: impl std::fmt::Display) -> String {
    let mut key = String::with_capacity(base.len() + 32);
    key.push_str(base);
    key.push_str(kind);
    // Writing to a string cannot fail.
    let _ = write!(key, "{name}");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_spread_evenly_over_the_slots() {
        assert_eq!(slot("123456789"), 0x31c3);
        for (number, tag) in TAGS.iter().enumerate() {
            assert_eq!(usize::from(slot(tag)) / 1_024, number, "{tag}");
        }
    }

    #[test]
    fn all_that_belongs_to_a_subject_lies_in_one_part() {
        let keys = Keys::new("app:");
        let subject = Subject::new("a}{b").unwrap();
        let [first, second] = subject.key().routing();
        let mut id = [7; 18];
        id[0] = first;
        id[1] = second;
        let base = keys.base([first, second]);
        let names = [
            keys.session(&SessionId::from_bytes(id)),
            keys.index(&subject),
            keys.epochs(&subject),
            keys.feed([first, second]),
        ];
        assert!(base.starts_with("app:{") && base.ends_with('}'));
        assert!(names.iter().all(|name| name.starts_with(base)), "{names:?}");
    }
}
