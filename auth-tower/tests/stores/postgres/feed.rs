//! The revocation log among other transactions, lost connections and restored databases.

#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::time::{Duration, Instant};

use auth_tower::session::EndReason;
use auth_tower::store::{Cursor, RevocationFeed as _, RevocationPage, Revoked, SessionStore};
use auth_tower::{PostgresOptions, PostgresStore, SessionId};
use servers::Postgres;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::scene::{NOTICE, PATIENCE, begin, connect, database, eventually, session, sessions, sql, stranger, subject};

async fn read(store: &PostgresStore, cursor: Cursor) -> RevocationPage {
    store.revocations_since(cursor, Duration::ZERO).await.unwrap()
}

/// A reader that waits for what comes after `cursor`, and says when it came.
fn reading(store: &PostgresStore, cursor: Cursor) -> JoinHandle<(RevocationPage, Instant)> {
    let store = store.clone();
    tokio::spawn(async move {
        let page = store.revocations_since(cursor, PATIENCE).await.unwrap();
        (page, Instant::now())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn another_instance_hears_of_an_ending_in_time() {
    let url = database().await;
    let (near, far) = (connect(&url).await, connect(&url).await);
    let polling = PostgresOptions::new().with_polling(Duration::from_millis(100));
    let poller = polling.connect(&url).await.unwrap();
    let mut cursor = read(&far, Cursor::start()).await.cursor;
    for number in 0..20 {
        let id = begin(&near, "alice", number).await;
        let readers = [reading(&far, cursor.clone()), reading(&poller, cursor.clone())];
        let ended = Instant::now();
        near.end(id, EndReason::SignedOut).await.unwrap();
        for reader in readers {
            let (page, heard) = reader.await.unwrap();
            assert_eq!(sessions(&page), [id]);
            assert!(heard - ended < NOTICE, "{:?}", heard - ended);
            cursor = page.cursor;
        }
    }
}

/// Somebody else's transaction, open for as long as it likes, with and without a snapshot of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_open_transaction_holds_nothing_up() {
    let url = database().await;
    let (near, far) = (connect(&url).await, connect(&url).await);
    let mut stranger = stranger(&url).await;
    sql(&mut stranger, "CREATE TABLE theirs (x int)").await;
    sql(&mut stranger, "BEGIN ISOLATION LEVEL SERIALIZABLE").await;
    sql(&mut stranger, "INSERT INTO theirs VALUES (1)").await;
    let cursor = read(&far, Cursor::start()).await.cursor;
    let id = begin(&near, "alice", 1).await;
    let reader = reading(&far, cursor);
    let ended = Instant::now();
    near.end(id, EndReason::SignedOut).await.unwrap();
    let (page, heard) = reader.await.unwrap();
    assert_eq!(sessions(&page), [id]);
    assert!(heard - ended < NOTICE && page.complete, "{:?}", heard - ended);
    sql(&mut stranger, "COMMIT").await;
}

/// The entry of a transaction that commits late never comes behind one that was read before it.
#[tokio::test(flavor = "multi_thread")]
async fn an_ending_that_commits_late_is_not_overtaken() {
    let url = database().await;
    let (near, far) = (connect(&url).await, connect(&url).await);
    let mut late = stranger(&url).await;
    for (round, outcome) in ["COMMIT", "ROLLBACK"].into_iter().enumerate() {
        let number = 10 * round as u64;
        let slow = begin(&near, "alice", number).await;
        let quick = begin(&near, "bob", number + 1).await;
        let cursor = read(&far, Cursor::start()).await.cursor;
        let hexadecimal: String = slow.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        sql(
            &mut late,
            &format!("BEGIN; SELECT auth.end_session('\\x{hexadecimal}', 1::smallint)"),
        )
        .await;
        let overtaking = {
            let near = near.clone();
            tokio::spawn(async move { near.end(quick, EndReason::SignedOut).await })
        };
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the second one waits", || async {
            let mut asking = stranger(&url).await;
            sqlx::query_scalar::<_, i64>(waits)
                .fetch_one(&mut asking)
                .await
                .unwrap()
                == 1
        })
        .await;
        assert!(read(&far, cursor.clone()).await.entries.is_empty());
        sql(&mut late, outcome).await;
        overtaking.await.unwrap().unwrap();
        let expected: &[SessionId] = if outcome == "COMMIT" { &[slow, quick] } else { &[quick] };
        assert_eq!(sessions(&read(&far, cursor).await), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_nobody_listens_is_heard_in_time_all_the_same() {
    let url = database().await;
    let (near, far) = (connect(&url).await, connect(&url).await);
    let mut cursor = read(&far, Cursor::start()).await.cursor;
    let listens = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    for number in 0..3 {
        let id = begin(&near, "alice", number).await;
        let reader = reading(&far, cursor);
        eventually("the far instance listens", || async {
            Postgres::query_at(&url, listens) == "1"
        })
        .await;
        Postgres::query_at(&url, cut);
        let ended = Instant::now();
        near.end(id, EndReason::SignedOut).await.unwrap();
        let (page, heard) = timeout(PATIENCE, reader).await.unwrap().unwrap();
        assert_eq!(sessions(&page), [id]);
        assert!(heard - ended < NOTICE, "{:?}", heard - ended);
        cursor = page.cursor;
    }
}

/// What a reader has seen is gone, and its numbers are given anew: to it everything is news.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_from_before_a_restore_misses_nothing() {
    let url = database().await;
    let store = connect(&url).await;
    for number in 0..5 {
        let id = begin(&store, "alice", number).await;
        store.end(id, EndReason::SignedOut).await.unwrap();
    }
    let cursor = read(&store, Cursor::start()).await.cursor;
    // As a backup has it that was made after the second.
    let restore = "DELETE FROM auth.revocations WHERE seq > 2; UPDATE auth.log SET last = 2";
    Postgres::query_at(&url, restore);
    assert_eq!(
        read(&store, cursor.clone()).await.entries.len(),
        2,
        "a number that was never given"
    );
    for number in 10..14 {
        let id = begin(&store, "bob", number).await;
        store.end(id, EndReason::SignedOut).await.unwrap();
    }
    assert_eq!(
        read(&store, cursor.clone()).await.entries.len(),
        6,
        "a number that is another's by now"
    );
    let cursor = read(&store, cursor).await.cursor;
    assert!(read(&store, cursor.clone()).await.entries.is_empty());
    Postgres::query_at(&url, "UPDATE auth.log SET id = 'another database'");
    assert_eq!(read(&store, cursor).await.entries.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn end_all_is_one_statement_and_one_entry_for_thousands() {
    let url = database().await;
    let store = connect(&url).await;
    let kept = begin(&store, "alice", 0).await;
    let copies = "INSERT INTO auth.sessions SELECT created_at, last_seen_at, idle_expires_at, absolute_expires_at, rotated_at, \
                  generation, confirmed, epoch, sweep_at, format, ended, seen, \
                  substr(id, 1, 2) || decode(md5(n::text), 'hex'), subject_key, subject, client_id, device, ip, user_agent \
                  FROM auth.sessions, generate_series(1, 5000) n";
    Postgres::query_at(&url, copies);
    let ended = store
        .end_all(&subject("alice"), Some(kept), EndReason::AllEnded)
        .await
        .unwrap();
    assert_eq!(ended.ended, 5_000);
    let log = read(&store, Cursor::start()).await;
    let keep = Some(kept);
    assert_eq!(log.entries.len(), 1);
    assert_eq!(
        log.entries[0].what,
        Revoked::Subject {
            subject: subject("alice").key(),
            keep
        }
    );
    assert_eq!(store.list(&subject("alice"), 10).await.unwrap().len(), 1);
    store.create(session("alice", 77)).await.unwrap();
    assert_eq!(store.list(&subject("alice"), 10).await.unwrap().len(), 2);
}
