//! Bodies of the ready routes: bounded in size and in time, and read only where one is wanted.
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::cell::Cell;
use std::rc::Rc;

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::stream::{Stream, StreamExt as _, iter, pending, repeat};
use tokio::time::Instant;

use super::support::*;

type Chunk = Result<Bytes, PayloadError>;

fn login() -> Ask {
    ask("POST", "/auth/login").header("content-type", "application/json")
}

/// The chunks, and how many of them have been read.
fn counted(chunks: impl Stream<Item = Chunk> + 'static) -> (impl Stream<Item = Chunk> + 'static, Rc<Cell<usize>>) {
    let read = Rc::new(Cell::new(0));
    let count = read.clone();
    (chunks.inspect(move |_| count.set(count.get() + 1)), read)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::new();
    for begun in ["", "{\"username\":"] {
        let start = Instant::now();
        let begun = iter([Ok(Bytes::from_static(begun.as_bytes()))]);
        let reply = stream(&world.app, login(), begun.chain(pending())).await;
        assert_eq!((reply.status, &*reply.code()), (400, "invalid_request"));
        let waited = start.elapsed();
        assert!((10 * SECOND..11 * SECOND).contains(&waited), "{waited:?}");
    }
    // A byte every second does not extend it.
    let start = Instant::now();
    let drip = repeat(()).then(|()| async {
        tokio::time::sleep(SECOND).await;
        Ok(Bytes::from_static(b" "))
    });
    assert_eq!(stream(&world.app, login(), drip).await.code(), "invalid_request");
    assert!(start.elapsed() < 11 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_a_400() {
    let world = World::new();
    for error in [
        PayloadError::Incomplete(None),
        PayloadError::Overflow,
        PayloadError::UnknownLength,
        PayloadError::EncodingCorrupted,
        PayloadError::Io(std::io::ErrorKind::ConnectionReset.into()),
    ] {
        let whole = Bytes::from_static(br#"{"username":"alice","password":"wonderland"}"#);
        let reply = stream(&world.app, login(), iter([Ok(whole), Err(error)])).await;
        assert_eq!((reply.status, &*reply.code()), (400, "invalid_request"));
        assert_eq!(world.store.rows("alice").await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_may_have_16_kib_and_no_more_of_it_is_read() {
    let world = World::new();
    let body = r#"{"username":"alice","password":"wonderland"}"#;
    let padded = format!("{body}{}", " ".repeat(16 * 1024 - body.len()));
    for size in [1, 7, 16 * 1024] {
        let chunks: Vec<Chunk> = padded
            .as_bytes()
            .chunks(size)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let all = chunks.len();
        let (chunks, read) = counted(iter(chunks));
        assert_eq!(stream(&world.app, login(), chunks).await.status, 200);
        assert_eq!(read.get(), all);
    }
    let (endless, read) = counted(repeat(()).map(|()| Ok(Bytes::from_static(&[b' '; 1024]))));
    let reply = stream(&world.app, login(), endless).await;
    assert_eq!((reply.status, &*reply.code()), (413, "payload_too_large"));
    assert_eq!(read.get(), 17);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_wants_is_not_read() {
    let world = World::new();
    let alice = world.sign_in("alice").await;
    for (request, status) in [
        (ask("POST", "/auth/login"), 415),
        (
            ask("PUT", "/auth/login").header("content-type", "application/json"),
            405,
        ),
        (login().header("origin", "https://evil.example"), 403),
        (ask("POST", "/auth/refresh").refresh(&alice.refresh), 200),
        (ask("POST", "/auth/logout"), 204),
    ] {
        let (endless, read) = counted(repeat(()).map(|()| Ok(Bytes::from_static(b" "))));
        assert_eq!(stream(&world.app, request, endless).await.status, status);
        assert_eq!(read.get(), 0);
    }
}
