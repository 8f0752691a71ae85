//! Server-sent events and a WebSocket: a protected stream works, an exchange on its way in delivers its cookie, another
//! site's handshake is nobody's, and a live connection does not outlive its session.

use std::time::{Duration, Instant};

use acceptance::wait::{NOTICE, until};
use acceptance::{Client, Events, Request, Running, Socket, Target, expect};
use rustix::process::Signal;
use tokio_tungstenite::tungstenite::Message;

fn events() -> Request {
    Request::get("/api/events")
}

fn socket() -> Request {
    Request::get("/api/socket")
}

fn pair(name: &str, data: &str) -> Option<(String, String)> {
    Some((name.to_owned(), data.to_owned()))
}

async fn events_greet_and_tick(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let (mut stream, head) = Events::open(&app, &events().bearer(&client.access)).await;
    expect::assert_no_store(&head);
    expect::untouched(&head);
    assert_eq!(stream.next().await, pair("hello", r#"{"name":"alice"}"#));
    let greeted = Instant::now();
    assert_eq!(stream.next().await, pair("tick", "1"));
    assert_eq!(stream.next().await, pair("tick", "2"));
    let passed = greeted.elapsed();
    assert!(
        passed > Duration::from_millis(1500),
        "a tick about every second: {passed:?}"
    );
}

async fn a_socket_greets_and_echoes(at: Target) {
    let app = at.start().await;
    let client = Client::bob(&app).await;
    let (mut open, head) = Socket::open(&app, &socket().bearer(&client.access)).await;
    expect::untouched(&head);
    assert_eq!(open.text().await, "hello, bob");
    for text in ["a", "", "\u{1f980}", &"x".repeat(16 * 1024)] {
        open.send(Message::text(text)).await;
        assert_eq!(open.text().await, text);
    }
    // Not asked for, and no reason to close.
    open.send(Message::binary(vec![1, 2, 3])).await;
    open.send(Message::Ping(vec![4].into())).await;
    assert_eq!(open.next().await, Some(Message::Pong(vec![4].into())));
    open.send(Message::Close(None)).await;
    assert!(
        matches!(open.next().await, Some(Message::Close(_))),
        "a close frame is answered"
    );
    assert_eq!(open.next().await, None);
}

async fn what_a_socket_cannot_take_closes_it(at: Target) {
    let app = at.start().await;
    let client = Client::bob(&app).await;
    let (mut open, _) = Socket::open(&app, &socket().bearer(&client.access)).await;
    open.send(Message::text("x".repeat(16 * 1024 + 1))).await;
    assert_eq!(open.closed().await, (1008, "unreadable_message".to_owned()));
    assert_eq!(Request::get("/healthz").send(app.address()).await.status, 200);
}

async fn both_need_a_user(at: Target) {
    let app = at.forgeable().start().await;
    let client = Client::alice(&app).await;
    let forged = client.jwt().with_signature(&[1; 32]);
    for (code, bring) in [
        ("missing_token", None),
        ("invalid_token", Some(&forged)),
        ("token_expired", Some(&client.expired())),
    ] {
        let with = |request: Request| match bring {
            Some(token) => request.bearer(token),
            None => request,
        };
        expect::problem(&with(events()).send(app.address()).await, 401, code);
        expect::problem(&Socket::refused(&app, &with(socket())).await, 401, code);
    }
    // Who asks comes before what is asked.
    expect::problem(&socket().send(app.address()).await, 401, "missing_token");
    let no_handshake = socket().bearer(&client.access).send(app.address()).await;
    expect::problem(&no_handshake, 400, "invalid_request");
}

async fn an_exchange_on_the_way_in_delivers_its_cookie(at: Target) {
    let app = at.forgeable().start().await;
    let client = Client::alice(&app).await;
    let (mut stream, head) = Events::open(
        &app,
        &events().bearer(&client.expired()).refresh(&client.refresh_token()),
    )
    .await;
    expect::exchanged(&head);
    assert_eq!(stream.next().await, pair("hello", r#"{"name":"alice"}"#));

    let client = Client::alice(&app).await;
    let (mut open, head) = Socket::open(&app, &socket().refresh(&client.refresh_token())).await;
    assert_eq!(head.status, 101);
    let successor = expect::exchanged(&head);
    assert_eq!(open.text().await, "hello, alice");
    let refreshed = Request::post("/auth/refresh")
        .refresh(&successor)
        .send(app.address())
        .await;
    expect::signed_in(&refreshed);
}

/// A browser lets any page open a socket to any host, sends that host's cookies with it, and tells the page's origin.
async fn cs_07_another_sites_handshake_is_nobodys(at: Target) {
    let app = at
        .settings()
        .set("TRUSTED_ORIGINS", "https://app.example")
        .start()
        .await;
    let mut client = Client::alice(&app).await;
    let websocket = |request: Request, site: &str| {
        request
            .header("Sec-Fetch-Site", site)
            .header("Sec-Fetch-Mode", "websocket")
            .header("Sec-Fetch-Dest", "empty")
    };
    let evil = |request: Request| request.header("Origin", "https://evil.example");
    let foreign: [&dyn Fn(Request) -> Request; 6] = [
        &evil,
        &|request| websocket(evil(request), "cross-site"),
        &|request| websocket(request, "cross-site"),
        &|request| websocket(request, "same-site"),
        &|request| request.header("Origin", "null"),
        &|request| request.header("Origin", "http://127.0.0.1:1"),
    ];
    for from in foreign {
        for request in [events(), socket()] {
            let request = from(request).refresh(&client.refresh_token());
            let response = if request.target() == "/api/socket" {
                Socket::refused(&app, &request).await
            } else {
                request.send(app.address()).await
            };
            expect::problem(&response, 401, "missing_token");
            expect::untouched(&response);
        }
    }
    assert_eq!(client.generation(), 1);
    client.refresh().await;
    assert_eq!(client.generation(), 2, "nothing was exchanged");

    let own = app.origin();
    let welcome: [&dyn Fn(Request) -> Request; 4] = [
        &|request| request.header("Origin", &own),
        &|request| websocket(request.header("Origin", &own), "same-origin"),
        &|request| websocket(request.header("Origin", "https://app.example"), "cross-site"),
        &|request| request,
    ];
    for from in welcome {
        let client = Client::alice(&app).await;
        let (mut open, head) = Socket::open(&app, &from(socket()).refresh(&client.refresh_token())).await;
        expect::exchanged(&head);
        assert_eq!(open.text().await, "hello, alice");
    }
    // No other site can make a browser send this one.
    let client = Client::alice(&app).await;
    let (mut open, _) = Socket::open(&app, &evil(socket()).bearer(&client.access)).await;
    assert_eq!(open.text().await, "hello, alice");
}

/// Two live connections of one session, past their greetings.
async fn both(app: &Running, client: &Client) -> (Events, Socket) {
    let (mut stream, _) = Events::open(app, &events().bearer(&client.access)).await;
    assert_eq!(stream.next().await.map(|event| event.0).as_deref(), Some("hello"));
    let (mut open, _) = Socket::open(app, &socket().bearer(&client.access)).await;
    assert!(open.text().await.starts_with("hello, "));
    (stream, open)
}

/// Both are closed for the reason given; returns how long it took until both were told.
async fn ended((mut stream, mut open): (Events, Socket)) -> Duration {
    let start = Instant::now();
    let stream = async {
        let last = loop {
            match stream.next().await {
                Some((name, _)) if name == "tick" => {}
                last => break last,
            }
        };
        let told = start.elapsed();
        assert_eq!(last, pair("end", "session_ended"));
        assert_eq!(stream.next().await, None, "the end is the last event");
        told
    };
    let open = async {
        assert_eq!(open.closed().await, (4401, "session_ended".to_owned()));
        let told = start.elapsed();
        assert_eq!(open.next().await, None, "the close frame is the last message");
        told
    };
    let (stream, open) = tokio::join!(stream, open);
    stream.max(open)
}

#[track_caller]
fn at_once(what: &str, took: Duration) {
    assert!(took < NOTICE, "{what}: closed after {took:?}");
    println!("{what}: closed after {took:?}");
}

/// One way for a session to end: what its client, or the same user's other client, sends.
type Way = fn(&Client, &Client) -> Request;

async fn both_end_with_their_session(at: Target) {
    let app = at.start().await;
    let ways: [(&str, Way); 4] = [
        ("logout", |client, _| {
            Request::post("/auth/logout").refresh(&client.refresh_token())
        }),
        ("logout-all from another device", |_, other| {
            Request::post("/auth/logout-all").bearer(&other.access)
        }),
        ("ended from another device", |client, other| {
            Request::delete(&format!("/auth/sessions/{}", client.session_id())).bearer(&other.access)
        }),
        ("a new sign-in of the same browser", |client, _| {
            Request::login("alice", "wonderland").refresh(&client.refresh_token())
        }),
    ];
    for (what, end) in ways {
        let client = Client::alice(&app).await;
        let other = Client::alice(&app).await;
        let bystander = Client::bob(&app).await;
        let live = both(&app, &client).await;
        let (mut stays, mut stays_open) = both(&app, &bystander).await;
        let response = end(&client, &other).send(app.address()).await;
        assert!(matches!(response.status, 200 | 204), "{what}: {response:?}");
        at_once(what, ended(live).await);
        assert_eq!(stays.next().await.map(|event| event.0).as_deref(), Some("tick"));
        stays_open.send(Message::text("still here")).await;
        assert_eq!(stays_open.text().await, "still here", "{what}: nobody else's is closed");
    }
}

async fn both_end_when_a_theft_is_found_out(at: Target) {
    let app = at.settings().set("REFRESH_TOKEN_GRACE", "0s").start().await;
    let mut client = Client::alice(&app).await;
    let stolen = client.refresh_token();
    for _ in 0..2 {
        expect::signed_in(&client.refresh().await);
    }
    let live = both(&app, &client).await;
    let thief = Request::post("/auth/refresh")
        .refresh(&stolen)
        .send(app.address())
        .await;
    expect::problem(&thief, 401, "refresh_token_reused");
    at_once("theft", ended(live).await);
}

async fn both_end_when_another_process_ends_their_session(at: Target) {
    let app = at.start().await;
    let sibling = app.sibling().await;
    let client = Client::alice(&app).await;
    let other = Client::alice(&app).await;
    let (live, kept) = (both(&app, &client).await, both(&app, &other).await);
    let end = Request::delete(&format!("/auth/sessions/{}", client.session_id())).bearer(&other.access);
    assert_eq!(end.send(sibling.address()).await.status, 204);
    at_once("one session, in another process", ended(live).await);
    let end = Request::post("/auth/logout-all").bearer(&other.access);
    assert_eq!(end.send(sibling.address()).await.status, 200);
    at_once("all sessions, in another process", ended(kept).await);
}

/// A connection does not keep its session alive; its browser's refreshes do.
async fn both_end_when_the_session_lapses(at: Target) {
    let idle = Duration::from_secs(4);
    let app = at
        .settings()
        .set("REFRESH_TOKEN_EXPIRATION", "4s")
        .set("REFRESH_TOKEN_GRACE", "0s")
        .start()
        .await;
    let start = Instant::now();
    let mut refreshed = Client::alice(&app).await;
    let left = Client::bob(&app).await;
    let (mut stays, mut stays_open) = both(&app, &refreshed).await;
    let live = both(&app, &left).await;
    let keep = async {
        for second in 1..=4 {
            until(start, Duration::from_secs(second * 2)).await;
            expect::signed_in(&refreshed.refresh().await);
        }
    };
    let end = async {
        ended(live).await;
        start.elapsed()
    };
    let ((), passed) = tokio::join!(keep, end);
    assert!(passed >= idle, "not before its time: {passed:?}");
    assert!(passed < idle + Duration::from_secs(3), "after {passed:?}");
    assert_eq!(stays.next().await.map(|event| event.0).as_deref(), Some("tick"));
    stays_open.send(Message::text("a")).await;
    assert_eq!(stays_open.text().await, "a");
}

async fn a_signal_ends_both_and_waits_for_neither(at: Target) {
    for signal in [Signal::TERM, Signal::INT] {
        let app = at.start().await;
        let client = Client::alice(&app).await;
        let (mut stream, mut open) = both(&app, &client).await;
        app.signal(signal);
        let last = loop {
            match stream.next().await {
                Some((name, _)) if name == "tick" => {}
                last => break last,
            }
        };
        assert_eq!(last, None, "the session lives: the client may come back");
        assert_eq!(open.closed().await, (1001, "going_away".to_owned()));
        let end = app.ended_within(Duration::from_secs(8)).await;
        assert!(end.status.success(), "{signal:?}: {end:?}");
    }
}

/// A client that sends and does not read holds its connection up, but nothing new reaches it once the session is over.
async fn a_client_that_does_not_read_is_closed_too(at: Target) {
    let app = at.start().await;
    let client = Client::alice(&app).await;
    let (mut open, _) = Socket::open(&app, &socket().bearer(&client.access)).await;
    let text = "x".repeat(16 * 1024);
    // Until nothing moves any more.
    while let Ok(()) = tokio::time::timeout(Duration::from_millis(500), open.send(Message::text(text.as_str()))).await {
    }
    let out = Request::post("/auth/logout").refresh(&client.refresh_token());
    assert_eq!(out.send(app.address()).await.status, 204);
    until(Instant::now(), NOTICE).await;
    // What was on its way is still there to be read, and then comes the end.
    loop {
        match open.next().await {
            Some(Message::Text(_)) => {}
            Some(Message::Close(Some(frame))) => {
                assert_eq!(u16::from(frame.code), 4401);
                break;
            }
            None => break,
            other => panic!("neither text nor the end: {other:?}"),
        }
    }
}

acceptance::on_every_store!(
    events_greet_and_tick,
    a_socket_greets_and_echoes,
    an_exchange_on_the_way_in_delivers_its_cookie,
    both_end_with_their_session,
    both_end_when_a_theft_is_found_out,
    both_end_when_the_session_lapses,
);

acceptance::on_durable_stores!(both_end_when_another_process_ends_their_session);

acceptance::on_every_app!(
    both_need_a_user,
    what_a_socket_cannot_take_closes_it,
    cs_07_another_sites_handshake_is_nobodys,
    a_signal_ends_both_and_waits_for_neither,
    a_client_that_does_not_read_is_closed_too,
);
