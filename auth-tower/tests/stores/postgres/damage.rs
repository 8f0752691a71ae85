//! Rows that were damaged, or written by a version to come.

use std::time::Duration;

use auth_tower::session::EndReason;
use auth_tower::store::{Cursor, Retention, RevocationFeed as _, Revoked, SessionStore, StoreError};
use servers::Postgres;

use super::scene::{begin, connect, database, step, subject};

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_is_refused_and_the_others_are_not() {
    let url = database().await;
    let store = connect(&url).await;
    let damages = [
        "ended = 99",
        "ended = -1",
        "ended = 256",
        "ip = 'nonsense'",
        "subject = ''",
        "subject = 'bob'",
        "generation = -1",
        "generation = 4294967296",
        "format = 2",
        "subject_key = '\\x00'",
    ];
    for (number, damage) in damages.iter().enumerate() {
        let id = begin(&store, "alice", number as u64).await;
        let sound = begin(&store, "alice", 1_000 + number as u64).await;
        let hexadecimal: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Postgres::query_at(
            &url,
            &format!("UPDATE auth.sessions SET {damage} WHERE id = '\\x{hexadecimal}'"),
        );
        let found = store.find(id).await;
        assert!(matches!(found, Err(StoreError::Corrupt(_))), "{damage}: {found:?}");
        let advanced = store.advance(id, step(1)).await;
        assert!(
            matches!(advanced, Err(StoreError::Corrupt(_))),
            "{damage}: {advanced:?}"
        );
        assert!(store.find(sound).await.unwrap().is_some());
        assert!(store.advance(sound, step(1)).await.unwrap().unwrap().taken);
        // It is ended all the same, for the sake of the access tokens that it gave out.
        assert!(store.end(id, EndReason::Administrator).await.is_err());
        if !damage.starts_with("ended") {
            let log = store.revocations_since(Cursor::start(), Duration::ZERO).await.unwrap();
            assert_eq!(
                log.entries.last().map(|entry| entry.what),
                Some(Revoked::Session(id)),
                "{damage}"
            );
        }
    }
    assert_eq!(store.list(&subject("alice"), 100).await.unwrap().len(), damages.len());
    assert!(store.list(&subject("bob"), 100).await.unwrap().is_empty());
    Postgres::query_at(&url, "UPDATE auth.sessions SET sweep_at = 0, idle_expires_at = 0");
    let nothing = Retention {
        sessions: Duration::ZERO,
        revocations: Duration::ZERO,
    };
    while store.purge(nothing).await.unwrap() > 0 {}
    assert_eq!(Postgres::query_at(&url, "SELECT count(*) FROM auth.sessions"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_entry_of_the_log_is_an_error_and_never_skipped() {
    let url = database().await;
    let store = connect(&url).await;
    let id = begin(&store, "alice", 1).await;
    store.end(id, EndReason::SignedOut).await.unwrap();
    let constraints = "SELECT string_agg(format('DROP CONSTRAINT %I', conname), ', ') FROM pg_constraint \
                       WHERE conrelid = 'auth.revocations'::regclass AND contype = 'c'";
    let constraints = Postgres::query_at(&url, constraints);
    Postgres::query_at(&url, &format!("ALTER TABLE auth.revocations {constraints}"));
    for damage in [
        "session = '\\x00'",
        "session = NULL",
        "subject = '\\x0011'",
        "keep = '\\x01', session = NULL",
    ] {
        Postgres::query_at(&url, &format!("UPDATE auth.revocations SET {damage}"));
        let read = store.revocations_since(Cursor::start(), Duration::ZERO).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{damage}: {read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_lost_its_functions_is_an_error_and_no_panic() {
    let url = database().await;
    let store = connect(&url).await;
    let id = begin(&store, "alice", 1).await;
    Postgres::query_at(&url, "ALTER FUNCTION auth.now_ms() RENAME TO gone");
    assert!(store.find(id).await.is_err());
    assert!(store.advance(id, step(1)).await.is_err());
    Postgres::query_at(
        &url,
        "ALTER FUNCTION auth.gone() RENAME TO now_ms; DELETE FROM auth.log",
    );
    assert!(store.end(id, EndReason::SignedOut).await.is_err());
    assert!(
        store.find(id).await.unwrap().unwrap().record.ended.is_none(),
        "no ending without its entry"
    );
    assert!(store.revocations_since(Cursor::start(), Duration::ZERO).await.is_err());
}
