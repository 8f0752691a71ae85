//! Live connections: server-sent events and a WebSocket, closed when their session is over.

use auth_axum::{Claims, Rejection, Session};
use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use demo::Stop;
use demo::api::Problem;
use demo::live::{self, Close, Lifetime};
use demo::users::User;

use crate::routes::Refusal;

pub(crate) async fn events(
    claims: Claims<User>,
    session: Session,
    State(stop): State<Stop>,
) -> Result<Response, Rejection> {
    let lifetime = Lifetime::new(session.watch().await?, stop);
    let headers = [(CONTENT_TYPE, live::EVENT_STREAM), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(live::events(&claims.name, lifetime))).into_response())
}

/// Who asks is settled before the handshake is looked at. A browser sends a page's cookies with any page's handshake; that
/// another site's is nobody's is the library's rule for every request.
pub(crate) async fn socket(
    claims: Claims<User>,
    session: Session,
    State(stop): State<Stop>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Rejection> {
    let Ok(upgrade) = upgrade else {
        return Ok(Refusal(Problem::NOT_A_HANDSHAKE).into_response());
    };
    let lifetime = Lifetime::new(session.watch().await?, stop);
    Ok(upgrade
        .max_message_size(live::MAX_MESSAGE)
        .max_frame_size(live::MAX_MESSAGE)
        .on_upgrade(move |socket| talk(socket, claims, lifetime)))
}

async fn talk(mut socket: WebSocket, claims: Claims<User>, mut lifetime: Lifetime) {
    // The whole conversation can be broken off: a client that does not read must not outlive its session.
    let close = tokio::select! {
        close = lifetime.over() => close,
        close = echo(&mut socket, &claims) => match close {
            Some(close) => close,
            None => return,
        },
    };
    let farewell = async {
        let frame = CloseFrame {
            code: close.code(),
            reason: close.reason().into(),
        };
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            // Until the client has answered, what it sent before could drown the frame.
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = tokio::time::timeout(live::FAREWELL, farewell).await;
}

/// Returns when the client has gone, or why it has to go.
async fn echo(socket: &mut WebSocket, claims: &Claims<User>) -> Option<Close> {
    socket
        .send(Message::Text(live::greeting(&claims.name).into()))
        .await
        .ok()?;
    loop {
        match socket.recv().await? {
            Ok(Message::Text(text)) => socket.send(Message::Text(text)).await.ok()?,
            // Pings and a close frame are answered on the way to the next message; the rest is not asked for.
            Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => {}
            Err(_) => return Some(Close::Unreadable),
        }
    }
}
