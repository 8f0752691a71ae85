//! Cookies as a browser sees them: what a `Set-Cookie` line says, and a jar in which the last arrival counts.

use std::collections::BTreeMap;

/// One parsed `Set-Cookie` line (RFC 6265 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCookie {
    /// The line as it came.
    pub line: String,
    /// The cookie's name.
    pub name: String,
    /// The cookie's value.
    pub value: String,
    /// Attributes by lower-case name; one without a value has the empty string.
    pub attributes: BTreeMap<String, String>,
}

impl SetCookie {
    /// Reads a line; fails on one that no browser would take, or that says the same thing twice.
    pub fn parse(line: &str) -> Self {
        let mut parts = line.split(';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("no name in {line:?}"));
        let mut attributes = BTreeMap::new();
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let twice = attributes.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
            assert_eq!(twice, None, "an attribute twice in {line:?}");
        }
        Self {
            line: line.to_owned(),
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            attributes,
        }
    }

    /// An attribute's value, if it is there.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// `Max-Age` in seconds.
    pub fn max_age(&self) -> Option<i64> {
        self.attribute("max-age")
            .map(|text| text.parse().expect("a whole Max-Age"))
    }

    /// Whether the line deletes the cookie.
    pub fn deletes(&self) -> bool {
        self.max_age().is_some_and(|age| age <= 0)
    }
}

/// Cookies by name. It belongs to one origin, keeps the last arrival, and drops what is deleted.
#[derive(Debug, Clone, Default)]
pub struct Jar {
    cookies: BTreeMap<String, String>,
}

impl Jar {
    /// Takes one line in, as a browser would when the response arrives.
    pub fn absorb(&mut self, cookie: &SetCookie) {
        if cookie.deletes() {
            self.cookies.remove(&cookie.name);
        } else {
            self.cookies.insert(cookie.name.clone(), cookie.value.clone());
        }
    }

    /// Puts a cookie in by hand.
    pub fn put(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Takes a cookie out by hand.
    pub fn remove(&mut self, name: &str) {
        self.cookies.remove(name);
    }

    /// The value of the cookie `name`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// The `Cookie` header's value, or `None` for an empty jar.
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_arrival_counts_and_a_zero_max_age_deletes() {
        let mut jar = Jar::default();
        jar.absorb(&SetCookie::parse("a=1; Max-Age=10; Path=/; HttpOnly"));
        jar.absorb(&SetCookie::parse("a=2; Max-Age=10"));
        jar.absorb(&SetCookie::parse("b=x=y"));
        assert_eq!(jar.header().as_deref(), Some("a=2; b=x=y"));
        jar.absorb(&SetCookie::parse("a=; Max-Age=0"));
        assert_eq!(jar.value("a"), None);
    }

    #[test]
    fn attributes_are_found_by_lower_case_name() {
        let cookie = SetCookie::parse("__Host-refresh=t; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=60");
        assert_eq!(cookie.attribute("httponly"), Some(""));
        assert_eq!(cookie.attribute("samesite"), Some("Strict"));
        assert_eq!(cookie.attribute("domain"), None);
        assert_eq!(cookie.max_age(), Some(60));
        assert!(!cookie.deletes());
    }
}
