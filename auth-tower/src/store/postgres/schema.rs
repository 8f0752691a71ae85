//! The schema that holds the tables, and the texts that name it.

use super::error::refuse;
use crate::store::error::StoreError;

/// Append only: a migration that was released is never changed. Each notes itself in the table of migrations.
pub(super) const MIGRATIONS: [(u32, &str); 1] = [(1, include_str!("../../../migrations/postgres/0001_sessions.sql"))];

/// How the SQL texts of this crate name the schema.
const WRITTEN: &str = "auth.";

/// A schema's name, safe to be put into SQL.
#[derive(Debug, Clone)]
pub(super) struct Schema {
    name: Box<str>,
    /// What stands before a name in it.
    prefix: Box<str>,
}

impl Schema {
    pub(super) fn new(name: &str) -> Result<Self, StoreError> {
        let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') && !name.starts_with("pg_");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        // PostgreSQL cuts names at 63 bytes, and the channel's name is longer than the schema's.
        if !begins_well || name.len() > 48 || !name.chars().all(plain) {
            return Err(refuse(
                "the name of the schema is not a plain one: a to z, 0 to 9 and _, not beginning with a digit or pg_, at most 48",
            ));
        }
        // Quoted, because a plain name may be a keyword of SQL. The name in our texts is none.
        let prefix = if name == "auth" {
            WRITTEN.into()
        } else {
            format!("\"{name}\".").into()
        };
        Ok(Self {
            name: name.into(),
            prefix,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// One of this crate's texts, written for the schema `auth`, as one about this schema.
    pub(super) fn sql(&self, text: &str) -> String {
        // In a text of the language, as the channel's name is, quotes would be part of the name.
        text.replace("'auth.", &format!("'{}.", self.name))
            .replace(WRITTEN, &self.prefix)
    }

    /// The channel that revocations are announced on, whether the store or a person made the functions.
    pub(super) fn channel(&self) -> String {
        format!("{}.revocations", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_put_into_sql() {
        for good in ["auth", "a", "_", "select", "auth_2", &"x".repeat(48)] {
            assert!(Schema::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "1a",
            "Auth",
            "a.b",
            "a\"b",
            "a b",
            "a;b",
            "ä",
            "pg_x",
            "a'b",
            &"x".repeat(49),
        ] {
            assert!(Schema::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_text_can_be_about_another_schema() {
        let schema = Schema::new("select").unwrap();
        assert_eq!(schema.sql("SELECT auth.now_ms()"), "SELECT \"select\".now_ms()");
        assert_eq!(schema.channel(), "select.revocations");
        assert_eq!(
            schema.sql("pg_notify('auth.revocations', '')"),
            "pg_notify('select.revocations', '')"
        );
        let migration = schema.sql(MIGRATIONS[0].1);
        assert!(!migration.contains("auth."));
    }
}
