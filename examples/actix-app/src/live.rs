//! Live connections: server-sent events and a WebSocket, closed when their session is over.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, rt, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason};
use auth_actix::{Claims, Rejection, Session};
use demo::Stop;
use demo::api::Problem;
use demo::live::{self, Close, Lifetime};
use demo::users::User;

use crate::routes::refuse;

pub(crate) async fn events(
    claims: Claims<User>,
    session: Session,
    stop: web::Data<Stop>,
) -> Result<HttpResponse, Rejection> {
    let lifetime = Lifetime::new(session.watch().await?, Stop::clone(&stop));
    Ok(HttpResponse::Ok()
        .content_type(live::EVENT_STREAM)
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(live::events(&claims.name, lifetime)))
}

/// Who asks is settled before the handshake is looked at. A browser sends a page's cookies with any page's handshake; that
/// another site's is nobody's is the library's rule for every request.
pub(crate) async fn socket(
    claims: Claims<User>,
    session: Session,
    stop: web::Data<Stop>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Rejection> {
    let Ok((response, socket, messages)) = actix_ws::handle(&request, body) else {
        return Ok(refuse(Problem::NOT_A_HANDSHAKE));
    };
    let lifetime = Lifetime::new(session.watch().await?, Stop::clone(&stop));
    let messages = messages
        .max_frame_size(live::MAX_MESSAGE)
        .aggregate_continuations()
        .max_continuation_size(live::MAX_MESSAGE);
    rt::spawn(talk(socket, messages, claims, lifetime));
    Ok(response)
}

async fn talk(
    mut socket: actix_ws::Session,
    mut messages: AggregatedMessageStream,
    claims: Claims<User>,
    mut lifetime: Lifetime,
) {
    // The whole conversation can be broken off: a client that does not read must not outlive its session.
    let close = tokio::select! {
        close = lifetime.over() => close,
        close = echo(&mut socket, &mut messages, &claims) => match close {
            Some(close) => close,
            None => return,
        },
    };
    let farewell = async {
        let reason = CloseReason {
            code: CloseCode::from(close.code()),
            description: Some(close.reason().to_owned()),
        };
        if socket.close(Some(reason)).await.is_ok() {
            // Until the client has answered, what it sent before could drown the frame.
            while let Some(Ok(message)) = messages.recv().await {
                if let AggregatedMessage::Close(_) = message {
                    break;
                }
            }
        }
    };
    let _ = tokio::time::timeout(live::FAREWELL, farewell).await;
}

/// Returns when the client has gone, or why it has to go.
async fn echo(
    socket: &mut actix_ws::Session,
    messages: &mut AggregatedMessageStream,
    claims: &Claims<User>,
) -> Option<Close> {
    socket.text(live::greeting(&claims.name)).await.ok()?;
    loop {
        match messages.recv().await? {
            Ok(AggregatedMessage::Text(text)) => socket.text(text).await.ok()?,
            Ok(AggregatedMessage::Ping(data)) => socket.pong(&data).await.ok()?,
            Ok(AggregatedMessage::Close(reason)) => {
                // A close frame is answered with one (RFC 6455 §5.5.1); here nobody else does.
                let _ = socket.clone().close(reason).await;
                return None;
            }
            Ok(AggregatedMessage::Binary(_) | AggregatedMessage::Pong(_)) => {}
            Err(_) => return Some(Close::Unreadable),
        }
    }
}
