//! Which items of foreign crates stand in the public signatures of a crate, and whether each of them is on a written list.
//!
//! A foreign type in a signature ties the crate's users to that crate's major version. rustdoc's JSON tells which there are.
//! The format is unstable, so that nothing of it is read but what has stood for years: `index`, `paths`, `external_crates`,
//! and that a mention of an item is an object with a number `id` and with `path` or `source`. A format that
//! no longer has these is an error, not an empty surface.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

/// Crates of the language itself, and this workspace's own.
const NOT_FOREIGN: [&str; 7] = [
    "std",
    "core",
    "alloc",
    "proc_macro",
    "auth_tower",
    "auth_axum",
    "auth_actix",
];

/// A foreign item in the signatures of a crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Mention {
    /// The crate that has the signature.
    pub own: String,
    /// The item's path, from its own crate on.
    pub foreign: String,
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.own, self.foreign)
    }
}

/// The documentation is not what this version of the check can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is not the JSON that rustdoc made when this check was written")
    }
}

impl std::error::Error for Unreadable {}

/// Every foreign item that `docs`, rustdoc's JSON of one crate, mentions, each with the first item that mentions it.
///
/// # Errors
/// [`Unreadable`] if the JSON has another form.
pub fn mentions(docs: &Value) -> Result<BTreeMap<Mention, String>, Unreadable> {
    let part = |name| docs.get(name).and_then(Value::as_object).ok_or(Unreadable);
    let (index, paths, crates) = (part("index")?, part("paths")?, part("external_crates")?);
    let root = docs
        .get("root")
        .map(key)
        .and_then(|root| index.get(&root))
        .ok_or(Unreadable)?;
    let own = text(root, "name").ok_or(Unreadable)?;
    let mut found = BTreeMap::new();
    for item in index.values().filter(|item| is_of_this_crate(item)) {
        let inner = item.get("inner").ok_or(Unreadable)?;
        if inner.get("impl").is_some_and(|block| is_not_written(block, index)) {
            continue;
        }
        let mut ids = BTreeSet::new();
        collect(inner, &mut ids);
        for id in ids {
            let Some(foreign) = paths.get(&id).and_then(|summary| foreign(summary, crates)) else {
                continue;
            };
            let mention = Mention {
                own: own.to_owned(),
                foreign,
            };
            found.entry(mention).or_insert_with(|| place(item, paths));
        }
    }
    // All three crates stand on types of `http` or of a framework.
    if found.is_empty() { Err(Unreadable) } else { Ok(found) }
}

/// One line of the list for each [`Mention`], each with its reason; empty lines and comments (`#`) are skipped.
///
/// # Errors
/// The first line that is not `crate path reason…`.
pub fn allowed(list: &str) -> Result<BTreeSet<Mention>, String> {
    let lines = list.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some(own), Some(foreign), Some(_)) => Ok(Mention {
                    own: own.to_owned(),
                    foreign: foreign.to_owned(),
                }),
                _ => Err(line.to_owned()),
            }
        })
        .collect()
}

/// Auto traits, and blanket impls of foreign traits: nobody here wrote them. An impl for a type that is not public is nobody's.
fn is_not_written(block: &Value, index: &Map<String, Value>) -> bool {
    let is_set = |name| !matches!(block.get(name), None | Some(Value::Null | Value::Bool(false)));
    let subject = block.get("for").and_then(|subject| subject.get("resolved_path"));
    let is_private = subject
        .and_then(|subject| subject.get("id"))
        .is_some_and(|id| !index.contains_key(&key(id)) && block.get("trait").is_none_or(Value::is_null));
    is_set("blanket_impl") || is_set("is_synthetic") || is_private
}

fn is_of_this_crate(item: &Value) -> bool {
    item.get("crate_id").and_then(Value::as_u64) == Some(0)
}

/// The ids of all items that a signature mentions.
fn collect(value: &Value, ids: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if (members.contains_key("path") || members.contains_key("source"))
                && let Some(id) = members.get("id").filter(|id| id.is_number())
            {
                ids.insert(key(id));
            }
            members.values().for_each(|member| collect(member, ids));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The path of an item of a crate that is neither the language's nor this workspace's.
fn foreign(summary: &Value, crates: &Map<String, Value>) -> Option<String> {
    let home = crates.get(&key(summary.get("crate_id")?))?;
    let path: Vec<_> = summary
        .get("path")?
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    (!NOT_FOREIGN.contains(&text(home, "name")?)).then(|| path.join("::"))
}

/// Where a mention stands, for whoever has to mend it.
fn place(item: &Value, paths: &Map<String, Value>) -> String {
    let path = item
        .get("id")
        .and_then(|id| paths.get(&key(id)))
        .and_then(|summary| summary.get("path"));
    let path = path
        .and_then(Value::as_array)
        .map(|path| path.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("::"));
    let span = item.get("span").filter(|span| span.is_object());
    let line = span
        .and_then(|span| span.get("begin"))
        .and_then(Value::as_array)
        .and_then(|begin| begin.first());
    match (path, span.and_then(|span| text(span, "filename")), line) {
        (Some(path), _, _) => path,
        (None, Some(file), Some(line)) => format!("{file}:{line}"),
        _ => text(item, "name").unwrap_or("an impl").to_owned(),
    }
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

fn key(id: &Value) -> String {
    id.to_string()
}
