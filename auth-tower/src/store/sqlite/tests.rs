//! What cannot be brought about from outside: a full disk, and how a commit is made.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot::Receiver;

use super::feed::LastRevocation;
use super::file::DatabaseFile;
use super::requests::{Call, Kind, Write};
use super::transaction::WriteTransaction;
use super::writer::Writer;
use super::{rows, steps};
use crate::clock::Clock;
use crate::id::{SessionId, Subject};
use crate::session::{ClientInfo, EndReason, Lifetime, SessionRecord};
use crate::store::error::StoreError;
use crate::store::session::NewSession;

const PATIENCE: Duration = Duration::from_secs(5);

fn session(number: u16) -> NewSession {
    let subject = Subject::new("alice").unwrap();
    let mut id = [0; 18];
    id[..2].copy_from_slice(&subject.key().routing());
    id[2..4].copy_from_slice(&number.to_be_bytes());
    NewSession {
        id: SessionId::from_bytes(id),
        subject,
        client_id: "web".into(),
        lifetime: Lifetime {
            idle: Duration::from_secs(60),
            absolute: Duration::from_secs(60),
        },
        client: ClientInfo::new(None, None, Some(&"x".repeat(256))),
    }
}

type Answer = Receiver<Result<SessionRecord, StoreError>>;

fn creating(number: u16) -> (Box<dyn Write>, Answer) {
    let session = session(number);
    let (call, answer) = Call::new(
        Kind::Single,
        Instant::now() + PATIENCE,
        move |work: &WriteTransaction<'_>| steps::create(work, &session),
    );
    (call, answer)
}

fn writer(folder: &tempfile::TempDir, prepare: impl FnOnce(&Connection)) -> Writer {
    let path = folder.path().join("auth.db");
    let (file, opened) = DatabaseFile::open(path, PATIENCE).unwrap();
    prepare(&opened.connection);
    Writer::new(file, Clock::system(), LastRevocation::new(), opened)
}

#[test]
fn a_full_disk_fails_what_does_not_fit_and_the_next_call_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&folder, |connection| {
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        connection
            .query_row(&format!("PRAGMA max_page_count = {}", pages + 2), [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap();
    });
    let (calls, answers): (Vec<_>, Vec<_>) = (0..200).map(creating).unzip();
    writer.commit(calls);
    let answers: Vec<_> = answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap())
        .collect();
    let created = u32::try_from(answers.iter().filter(|answer| answer.is_ok()).count()).unwrap();
    for answer in &answers {
        assert!(matches!(answer, Ok(_) | Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    let file = Connection::open(folder.path().join("auth.db")).unwrap();
    let rows = |file: &Connection| -> u32 {
        file.query_row("SELECT count(*) FROM auth_sessions", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(rows(&file), created, "what was answered is there, and nothing else");

    // The new connection has no such bound: there is room on the disk again.
    let (call, mut answer) = creating(1_000);
    writer.commit(vec![call]);
    answer.try_recv().unwrap().unwrap();
    assert_eq!(rows(&file), created + 1);
}

#[test]
fn while_the_file_cannot_be_written_calls_fail_and_then_they_recover() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&folder, |_| {});
    let (call, mut answer) = creating(1);
    writer.commit(vec![call]);
    answer.try_recv().unwrap().unwrap();
    // A folder in the way of the file's log: neither this nor any new connection can write.
    let wal = folder.path().join("auth.db-wal");
    std::fs::remove_file(&wal).unwrap();
    std::fs::create_dir(&wal).unwrap();
    for number in 2..5 {
        let (call, mut answer) = creating(number);
        writer.commit(vec![call]);
        assert!(matches!(answer.try_recv().unwrap(), Err(StoreError::Unavailable(_))));
    }
    std::fs::remove_dir(&wal).unwrap();
    let (call, mut answer) = creating(5);
    writer.commit(vec![call]);
    answer.try_recv().unwrap().unwrap();
}

#[test]
fn an_ending_waits_for_the_disk_and_a_rotation_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&folder, |_| {});
    let (call, _answer) = creating(1);
    writer.commit(vec![call]);
    assert_eq!(writer.synchronous(), 1);
    let id = session(1).id;
    let (end, _ended) = Call::new(
        Kind::Revocation,
        Instant::now() + PATIENCE,
        move |work: &WriteTransaction<'_>| steps::end(work, &id, EndReason::SignedOut),
    );
    let (call, _answer) = creating(2);
    writer.commit(vec![call, end]);
    assert_eq!(writer.synchronous(), 2);
    let (call, _answer) = creating(3);
    writer.commit(vec![call]);
    assert_eq!(writer.synchronous(), 1);
}

#[test]
fn a_call_whose_caller_is_gone_is_not_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(&folder, |_| {});
    let (gone, answer) = creating(1);
    drop(answer);
    let (late, mut late_answer) = {
        let session = session(2);
        Call::new(Kind::Single, Instant::now(), move |work: &WriteTransaction<'_>| {
            steps::create(work, &session)
        })
    };
    let (call, mut answer) = creating(3);
    writer.commit(vec![gone, late, call]);
    answer.try_recv().unwrap().unwrap();
    assert!(late_answer.try_recv().is_err());
    let file = Connection::open(folder.path().join("auth.db")).unwrap();
    let rows: u32 = file
        .query_row("SELECT count(*) FROM auth_sessions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn the_hot_statements_use_their_indexes() {
    let folder = tempfile::tempdir().unwrap();
    let (_, opened) = DatabaseFile::open(folder.path().join("auth.db"), PATIENCE).unwrap();
    let connection = opened.connection;
    let plan = |sql: &str| -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = statement.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan += &row.get::<_, String>(3).unwrap();
            plan += "\n";
        }
        plan
    };
    let count = plan(steps::COUNT_LIVE);
    assert!(
        count.contains("USING COVERING INDEX auth_sessions_by_subject (subject_key=?)"),
        "{count}"
    );
    for sql in [
        rows::FIND,
        steps::ADVANCE,
        steps::ACKNOWLEDGE,
        super::reader::LIST,
        steps::CREATE,
    ] {
        let plan = plan(sql);
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
}
