//! Live connections: server-sent events by hand, and a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response as Handshake};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::app::Running;
use crate::http::{Connection, Request, Response};
use crate::wait::PATIENCE;

/// A stream of server-sent events.
#[derive(Debug)]
pub struct Events {
    connection: Connection,
    unread: String,
}

impl Events {
    /// Sends the request, and expects a stream in answer. Returns its head too.
    pub async fn open(app: &Running, request: &Request) -> (Self, Response) {
        let mut connection = Connection::open(app.address()).await.expect("an app that listens");
        connection
            .write(&request.to_bytes(app.address()))
            .await
            .expect("a request");
        let head = connection.head().await.expect("an answer");
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.header("content-type"), Some("text/event-stream"), "{head:?}");
        let unread = String::new();
        (Self { connection, unread }, head)
    }

    /// The next event, as name and data; `None` when the stream has been finished in order.
    pub async fn next(&mut self) -> Option<(String, String)> {
        tokio::time::timeout(PATIENCE, self.read())
            .await
            .expect("an event, or the end")
    }

    async fn read(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                let event = (
                    field("event: ").expect("an event's name"),
                    field("data: ").expect("an event's data"),
                );
                self.unread = rest.to_owned();
                return Some(event);
            }
            let chunk = self
                .connection
                .chunk()
                .await
                .expect("a stream that does not break off")?;
            self.unread += std::str::from_utf8(&chunk).expect("UTF-8");
        }
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Sends the handshake, with the headers of `request` besides its own. Returns the answer's head too.
    pub async fn open(app: &Running, request: &Request) -> (Self, Response) {
        match Self::handshake(app, request).await {
            Ok(opened) => opened,
            Err(response) => panic!("not a WebSocket: {response:?}"),
        }
    }

    /// Sends a handshake that is to be refused.
    pub async fn refused(app: &Running, request: &Request) -> Response {
        match Self::handshake(app, request).await {
            Ok((_, head)) => panic!("a WebSocket was opened: {head:?}"),
            Err(response) => *response,
        }
    }

    async fn handshake(app: &Running, request: &Request) -> Result<(Self, Response), Box<Response>> {
        let mut handshake = format!("ws://{}{}", app.address(), request.target())
            .into_client_request()
            .expect("a handshake");
        for (name, value) in request.headers() {
            let name = HeaderName::from_bytes(name).expect("a name");
            let value = HeaderValue::from_bytes(value).expect("a value");
            handshake.headers_mut().append(name, value);
        }
        let stream = TcpStream::connect(app.address()).await.expect("an app that listens");
        match tokio_tungstenite::client_async(handshake, stream).await {
            Ok((socket, response)) => Ok((Self(socket), head(&response, Vec::new()))),
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err(Box::new(head(&response, body)))
            }
            Err(e) => panic!("no answer to a handshake: {e}"),
        }
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Message) {
        self.0.send(message).await.expect("an open socket");
    }

    /// The next message; `None` when the connection has been closed.
    pub async fn next(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
        next.expect("a message, or the end")?.ok()
    }

    /// The next text.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// Waits for the server to close the socket: its code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Message::Text(_) | Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("not closed with a reason: {other:?}"),
            }
        }
    }

    /// Whether the socket is still open after `time`.
    pub async fn is_open_after(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.0.next()).await.is_err()
    }
}

fn head<T>(response: &Handshake<T>, body: Vec<u8>) -> Response {
    let headers = response.headers().iter();
    Response {
        status: response.status().as_u16(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body,
    }
}
