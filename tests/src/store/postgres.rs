//! PostgreSQL, asked by `psql`.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};

use servers::Postgres;

use super::{Row, Undo};
use crate::app::Settings;

pub(crate) struct Backend;

impl super::Backend for Backend {
    fn url(&self, _folder: &Path) -> OsString {
        Postgres::shared().create_database().into()
    }

    fn session(&self, settings: &Settings, id: &str) -> Row {
        session(settings.store_url(), id)
    }

    fn make_newer(&self, settings: &Settings, id: &str) {
        make_newer(settings.store_url(), id);
    }

    fn sessions(&self, settings: &Settings) -> u64 {
        sessions(settings.store_url())
    }

    fn bytes(&self, settings: &Settings) -> Vec<u8> {
        bytes(settings.store_url())
    }

    fn break_down(&self, settings: &Settings) -> Box<dyn Undo> {
        Box::new(Outage::begin(settings.store_url()))
    }

    fn copy(&self, settings: &Settings) -> Box<dyn Undo> {
        Box::new(Snapshot::of(settings.store_url()))
    }
}

/// A public id as the server writes it.
fn hexadecimal(id: &str) -> String {
    crate::forge::from_base64url(id)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(super) fn make_newer(url: &str, id: &str) {
    let id = hexadecimal(id);
    Postgres::query_at(
        url,
        &format!("UPDATE auth.sessions SET format = 2 WHERE id = '\\x{id}'"),
    );
}

pub(super) fn session(url: &str, id: &str) -> Row {
    let id = hexadecimal(id);
    let sql = format!("SELECT generation, coalesce(confirmed, 0), seen FROM auth.sessions WHERE id = '\\x{id}'");
    let row = Postgres::query_at(url, &sql);
    let fields: Vec<_> = row.split('|').collect();
    let [current, confirmed, seen] = fields[..] else {
        panic!("no row of this session: {row:?}");
    };
    Row {
        current: current.parse().expect("a number"),
        confirmed: Some(confirmed.parse().expect("a number")).filter(|confirmed| *confirmed != 0),
        seen: seen == "t",
    }
}

pub(super) fn sessions(url: &str) -> u64 {
    let count = Postgres::query_at(url, "SELECT count(*) FROM auth.sessions");
    count.parse().expect("a count")
}

/// Every row of every table, `bytea` as what it stands for.
pub(super) fn bytes(url: &str) -> Vec<u8> {
    let tables = Postgres::query_at(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'auth'");
    let mut all = Vec::new();
    for table in tables.lines() {
        let text = Postgres::query_at(url, &format!("SELECT * FROM auth.{table}"));
        all.extend_from_slice(text.as_bytes());
        for value in text.split(['|', '\n']).filter_map(|value| value.strip_prefix("\\x")) {
            let digits: Vec<_> = value.chars().filter_map(|digit| digit.to_digit(16)).collect();
            all.extend(
                digits
                    .chunks_exact(2)
                    .map(|pair| u8::try_from(16 * pair[0] + pair[1]).expect("a byte")),
            );
        }
    }
    all
}

/// A transaction that keeps everybody else out of the tables.
#[derive(Debug)]
pub(super) struct Outage(Child);

impl Outage {
    pub(super) fn begin(url: &str) -> Self {
        let mut psql = Postgres::psql(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql starts");
        let input = psql.stdin.as_mut().expect("a pipe");
        input
            .write_all(b"BEGIN; LOCK TABLE auth.sessions; SELECT 'held';\n")
            .and_then(|()| input.flush())
            .expect("psql reads");
        let mut line = String::new();
        let output = psql.stdout.as_mut().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("psql answers");
        assert_eq!(line.trim(), "held");
        Self(psql)
    }
}

impl Undo for Outage {
    fn undo(mut self: Box<Self>) {
        // The end of its input ends psql, and with it the transaction.
        drop(self.0.stdin.take());
        let status = self.0.wait().expect("psql ends");
        assert!(status.success());
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `pg_dump` says of a database.
#[derive(Debug)]
pub(super) struct Snapshot {
    url: String,
    dump: Vec<u8>,
}

impl Snapshot {
    pub(super) fn of(url: &str) -> Self {
        let output = Postgres::dump(url).output().expect("pg_dump starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self {
            url: url.to_owned(),
            dump: output.stdout,
        }
    }
}

impl Undo for Snapshot {
    fn undo(self: Box<Self>) {
        let mut psql = Postgres::psql(&self.url)
            .arg("--single-transaction")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("psql starts");
        let mut input = psql.stdin.take().expect("a pipe");
        input.write_all(&self.dump).expect("psql reads");
        drop(input);
        assert!(psql.wait().expect("psql ends").success());
    }
}
