//! JSON objects read one member at a time, none of them twice (RFC 7515 §4, RFC 7519 §4).

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A string borrowed from the input wherever it holds no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The names of the members seen so far.
///
/// Comparing with each is quickest for the dozen that a token has; beyond that a set keeps it linear.
pub(crate) struct Seen<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    const FEW: usize = 32;

    pub(crate) fn new() -> Self {
        Self {
            few: Vec::with_capacity(16),
            many: HashSet::new(),
        }
    }

    /// Notes `name`; `false` if it was there already.
    pub(crate) fn insert(&mut self, name: Cow<'a, str>) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.few.len() + self.many.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_once_however_many_there_are() {
        let mut seen = Seen::new();
        for index in 0..100 {
            assert!(seen.insert(format!("m{index}").into()));
        }
        for index in 0..100 {
            assert!(!seen.insert(format!("m{index}").into()));
        }
        assert_eq!(seen.len(), 100);
    }
}
