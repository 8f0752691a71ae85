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
    let (axum, actix) = tokio::join!(start(App::Axum), start(App::Actix));
    let (axum, actix) = tokio::join!(table(&axum), table(&actix));
    compare(axum, actix);
}

async fn start(app: App) -> Running {
    let store = Store::Memory;
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
        match forced::difference(&what) {
            None if axum != actix => {
                differences.push(format!("{what}\n  axum:  {}\n  actix: {}", axum.line(), actix.line()))
            }
            Some(forced) if !forced.holds(&axum, &actix) => differences.push(format!(
                "{what}\n  no longer as documented ({})\n  axum:  {}\n  actix: {}",
                forced.why,
                axum.line(),
                actix.line()
            )),
            None | Some(_) => {}
        }
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
        Ok(response) => Answer::of(&response),
        Err(_) => Answer::none(),
    }
}

async fn answer(app: &Running, request: &Request) -> std::io::Result<Response> {
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
