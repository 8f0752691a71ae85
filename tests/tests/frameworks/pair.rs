//! The two apps, asked the same.

use acceptance::{App, Connection, Request, Response, Running, Store, Target};

use crate::answer::Answer;
use crate::forced;

/// How many differences a failure tells.
const TOLD: usize = 25;

/// What an app answered, row by row.
pub(crate) type Table = Vec<(String, Answer)>;

/// Starts both apps with the same secrets, lets `table` ask each, and fails on every row that is answered differently.
pub(crate) async fn alike(table: impl AsyncFn(&Running) -> Table) {
    alike_on(Store::Memory, table).await;
}

/// The same on this store.
pub(crate) async fn alike_on(store: Store, table: impl AsyncFn(&Running) -> Table) {
    let (axum, actix) = tokio::join!(start(App::Axum, store), start(App::Actix, store));
    let (axum, actix) = tokio::join!(table(&axum), table(&actix));
    compare(axum, actix);
}

async fn start(app: App, store: Store) -> Running {
    // A grace of which no test sees the end: one cookie is then good for any number of requests.
    Target { app, store }
        .forgeable()
        .set("REFRESH_TOKEN_GRACE", "1h")
        .set("TRUSTED_ORIGINS", "https://app.example")
        .start()
        .await
}

fn compare(axum: Table, actix: Table) {
    assert_eq!(axum.len(), actix.len(), "the same requests");
    assert!(!axum.is_empty(), "some requests");
    let compared = axum.len();
    let mut differences = Vec::new();
    for ((what, axum), (same, actix)) in axum.into_iter().zip(actix) {
        assert_eq!(what, same, "the same requests in the same order");
        let told = match forced::difference(&what, &axum) {
            None if axum == actix => continue,
            None => format!("{what}: "),
            Some(forced) if forced.holds(&axum, &actix) => continue,
            Some(forced) => format!("{what}: not as documented ({}): ", forced.why),
        };
        differences.push(told + &Answer::difference(&axum, &actix));
    }
    let told = differences.iter().take(TOLD).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        differences.is_empty(),
        "{} of {compared} answers differ:\n{told}",
        differences.len()
    );
}

/// Sends a request on a connection of its own. Of a stream that does not end, the first chunk is the body.
pub(crate) async fn ask(app: &Running, request: &Request) -> Answer {
    match answer(app, request).await {
        Ok(response) => like_any_other(request, Answer::of(&response)),
        Err(_) => Answer::bare(0),
    }
}

/// Without what is not the application's to say, or not the same twice.
pub(crate) fn like_any_other(request: &Request, mut answer: Answer) -> Answer {
    if request.target().starts_with("/auth/sessions") && answer.status == 200 {
        // Times are written with as many digits as they have.
        answer
            .headers
            .insert("content-length".to_owned(), vec!["<length>".to_owned()]);
    }
    let asks_for_more = |(name, _): &(Vec<u8>, Vec<u8>)| name.eq_ignore_ascii_case(b"upgrade");
    let left_unread =
        request.content().is_some() || request.method() == "CONNECT" || request.headers().iter().any(asks_for_more);
    if left_unread {
        // Whether what follows an early answer is read and thrown away, or the connection closed, is the framework's
        // choice: `what_an_early_answer_leaves_unread` has it.
        return answer.without("connection", "close");
    }
    answer
}

pub(crate) async fn answer(app: &Running, request: &Request) -> std::io::Result<Response> {
    let mut connection = Connection::open(app.address()).await?;
    // A server that refuses early may close before it has read everything; its answer counts all the same.
    let _ = connection.write(&request.to_bytes(app.address())).await;
    let mut head = connection.head().await?;
    if head.header("content-type") == Some("text/event-stream") {
        if !request.is_head() {
            head.body = connection.chunk().await?.expect("a first event");
        }
        return Ok(head);
    }
    connection.body(head, request.is_head()).await
}
