//! Calls of the functions in the schema: one statement each, and so one transaction and one round trip.

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Error};

use super::schema::Schema;

/// A function of the migrations.
#[derive(Clone, Copy)]
pub(super) struct Function {
    name: &'static str,
    arguments: usize,
    /// Whether it may be called again when the store does not know whether it was carried out.
    pub(super) repeatable: bool,
}

const fn function(name: &'static str, arguments: usize, repeatable: bool) -> Function {
    Function {
        name,
        arguments,
        repeatable,
    }
}

pub(super) const FIND: Function = function("find", 1, true);
/// Repeated, it would find its own session in the way.
pub(super) const CREATE: Function = function("create_session", 9, false);
/// Repeated, it is a client's quick retry, which the rules answer with the same successor.
pub(super) const ADVANCE: Function = function("advance", 8, true);
pub(super) const ACKNOWLEDGE: Function = function("acknowledge", 2, true);
/// Repeated, it would answer that another call had ended the session.
pub(super) const END: Function = function("end_session", 2, false);
/// Repeated, it would count none.
pub(super) const END_ALL: Function = function("end_all", 3, false);
pub(super) const LIST: Function = function("list", 2, true);
pub(super) const REVOCATIONS_AFTER: Function = function("revocations_after", 4, true);
pub(super) const PURGE: Function = function("purge", 2, true);

const ALL: [Function; 9] = [
    FIND,
    CREATE,
    ADVANCE,
    ACKNOWLEDGE,
    END,
    END_ALL,
    LIST,
    REVOCATIONS_AFTER,
    PURGE,
];

/// An argument. Only its digits ever become SQL.
pub(super) enum Argument {
    Bytes(Vec<u8>),
    Many(Vec<Vec<u8>>),
    Text(Option<String>),
    Number(i64),
    Numbers(Vec<i64>),
    Small(i16),
    Flag(Option<bool>),
}

/// How a call is put to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Parsed once per connection, and kept there.
    Prepared,
    /// A text of its own, for proxies that hand every statement to another connection.
    Simple,
}

/// The texts of the calls on one schema.
#[derive(Debug)]
pub(super) struct Calls {
    schema: Schema,
    form: Form,
    prepared: Vec<(&'static str, Arc<str>)>,
}

impl Calls {
    pub(super) fn new(schema: Schema, form: Form) -> Self {
        let prepared = ALL
            .iter()
            .map(|function| {
                let places: Vec<_> = (1..=function.arguments).map(|place| format!("${place}")).collect();
                (function.name, statement(&schema, function, &places.join(", ")).into())
            })
            .collect();
        Self { schema, form, prepared }
    }

    pub(super) async fn run(
        &self,
        connection: &mut PgConnection,
        function: Function,
        arguments: &[Argument],
    ) -> Result<Vec<PgRow>, Error> {
        let prepared = self.prepared.iter().find(|(name, _)| *name == function.name);
        match (self.form, prepared) {
            (Form::Prepared, Some((_, text))) => {
                let mut query = sqlx::query(AssertSqlSafe(Arc::clone(text)));
                for argument in arguments {
                    query = match argument {
                        Argument::Bytes(bytes) => query.bind(bytes),
                        Argument::Many(many) => query.bind(many),
                        Argument::Text(text) => query.bind(text),
                        Argument::Number(number) => query.bind(number),
                        Argument::Numbers(numbers) => query.bind(numbers),
                        Argument::Small(number) => query.bind(number),
                        Argument::Flag(flag) => query.bind(flag),
                    };
                }
                query.fetch_all(connection).await
            }
            _ => {
                let mut text = String::new();
                for (place, argument) in arguments.iter().enumerate() {
                    text.push_str(if place == 0 { "" } else { ", " });
                    literal(&mut text, argument);
                }
                let text = statement(&self.schema, &function, &text);
                sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await
            }
        }
    }
}

fn statement(schema: &Schema, function: &Function, arguments: &str) -> String {
    schema.sql(&format!("SELECT * FROM auth.{}(", function.name)) + arguments + ")"
}

/// Bytes and texts go as hexadecimal digits, so that no setting of the server makes anything else of them.
fn literal(sql: &mut String, argument: &Argument) {
    match argument {
        Argument::Bytes(bytes) => hexadecimal(sql, bytes),
        Argument::Many(many) => list(sql, many, "bytea", |sql, bytes| hexadecimal(sql, bytes)),
        Argument::Text(None) => sql.push_str("NULL::text"),
        Argument::Text(Some(text)) => {
            sql.push_str("convert_from(");
            hexadecimal(sql, text.as_bytes());
            sql.push_str(", 'UTF8')");
        }
        Argument::Number(number) => number_of(sql, *number, "bigint"),
        Argument::Numbers(numbers) => list(sql, numbers, "bigint", |sql, number| number_of(sql, *number, "bigint")),
        Argument::Small(number) => number_of(sql, i64::from(*number), "smallint"),
        Argument::Flag(None) => sql.push_str("NULL::boolean"),
        Argument::Flag(Some(flag)) => sql.push_str(if *flag { "true" } else { "false" }),
    }
}

fn hexadecimal(sql: &mut String, bytes: &[u8]) {
    sql.push_str("decode('");
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push_str("', 'hex')");
}

fn number_of(sql: &mut String, number: i64, of: &str) {
    // In quotes, because a minus would bind less than the cast.
    let _ = write!(sql, "'{number}'::{of}");
}

fn list<T>(sql: &mut String, items: &[T], of: &str, item: impl Fn(&mut String, &T)) {
    sql.push_str("ARRAY[");
    for (place, one) in items.iter().enumerate() {
        sql.push_str(if place == 0 { "" } else { ", " });
        item(sql, one);
    }
    let _ = write!(sql, "]::{of}[]");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_sql() {
        let mut sql = String::new();
        literal(&mut sql, &Argument::Text(Some("'; DROP TABLE \\ -- ä".to_owned())));
        let digits = sql
            .strip_prefix("convert_from(decode('")
            .and_then(|rest| rest.strip_suffix("', 'hex'), 'UTF8')"));
        assert!(
            digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())),
            "{sql}"
        );
    }

    #[test]
    fn every_function_is_in_the_migrations_with_as_many_arguments() {
        let migrations: String = super::super::schema::MIGRATIONS.iter().map(|(_, sql)| *sql).collect();
        for function in ALL {
            let begin = format!("CREATE FUNCTION auth.{}(", function.name);
            let (_, rest) = migrations.split_once(&begin).unwrap_or_else(|| panic!("{begin}"));
            let (parameters, _) = rest.split_once(')').unwrap();
            let inputs = parameters.split(',').filter(|one| one.trim().starts_with("p_")).count();
            assert_eq!(inputs, function.arguments, "{begin}");
        }
    }
}
