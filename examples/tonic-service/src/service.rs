//! The methods. What they know of the caller is what the layer left in the request's extensions.

use std::pin::Pin;

use auth_tower::{Claims, Denial, Handle};
use demo::Stop;
use demo::users::User;
use futures_util::stream;
use futures_util::stream::{Stream, StreamExt as _};
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Response, Status};

use crate::proto::account_server::Account;
use crate::proto::greeter_server::Greeter;
use crate::proto::{
    AuditReply, AuditRequest, HelloReply, HelloRequest, MeReply, MeRequest, ReportsReply, ReportsRequest, WatchEvent,
    WatchRequest,
};

/// Answers callers who are signed in. Goes behind `auth.layer().required()`.
#[derive(Debug)]
pub(crate) struct Me {
    stop: Stop,
}

impl Me {
    /// Open streams end when the app stops.
    pub(crate) fn new(stop: Stop) -> Self {
        Self { stop }
    }
}

/// Answers everybody. Goes behind `auth.layer()`.
#[derive(Debug)]
pub(crate) struct Stranger;

#[tonic::async_trait]
impl Account for Me {
    async fn me(&self, request: Request<MeRequest>) -> Result<Response<MeReply>, Status> {
        let claims = claims(&request)?;
        Ok(Response::new(MeReply {
            sub: claims.registered().subject().to_string(),
            name: claims.name.clone(),
            roles: claims.roles.clone(),
            sid: claims.registered().session_id().to_string(),
        }))
    }

    async fn audit(&self, request: Request<AuditRequest>) -> Result<Response<AuditReply>, Status> {
        let claims = claims(&request)?;
        claims.require(User::is_admin).map_err(refused)?;
        Ok(Response::new(AuditReply {
            admin: claims.name.clone(),
        }))
    }

    async fn reports(&self, request: Request<ReportsRequest>) -> Result<Response<ReportsReply>, Status> {
        claims(&request)?.require_scope("reports:read").map_err(refused)?;
        Ok(Response::new(ReportsReply { titles: Vec::new() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchEvent, Status>> + Send>>;

    /// The stream outlives the check of its call's token, so it watches the session.
    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let watch = handle(&request)?.watch().await.map_err(refused)?;
        let mut stop = self.stop.clone();
        let hello = WatchEvent {
            text: "signed in".to_owned(),
        };
        let last = async move {
            Err(tokio::select! {
                () = watch.over() => Status::unauthenticated("The session is over."),
                () = stop.requested() => Status::unavailable("The server stops. Call again."),
            })
        };
        // Yours has more to say in between: put `take_until(watch.over())` on the stream that says it.
        let events = stream::iter([Ok(hello)]).chain(stream::once(last));
        Ok(Response::new(Box::pin(events)))
    }
}

#[tonic::async_trait]
impl Greeter for Stranger {
    async fn hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let caller: Option<Claims<User>> = handle(&request)?.maybe_claims().await.map_err(refused)?;
        let name = caller.map_or("stranger".to_owned(), |claims| claims.name.clone());
        Ok(Response::new(HelloReply {
            text: format!("Hello, {name}!"),
        }))
    }
}

fn claims<T>(request: &Request<T>) -> Result<&Claims<User>, Status> {
    let claims = request.extensions().get::<Claims<User>>();
    claims.ok_or_else(|| refused(Denial::missing_layer("auth.layer().required()")))
}

fn handle<T>(request: &Request<T>) -> Result<&Handle, Status> {
    let handle = request.extensions().get::<Handle>();
    handle.ok_or_else(|| refused(Denial::missing_layer("auth.layer()")))
}

/// A denial as tonic tells it: the same that the layer answers by itself.
fn refused(denial: Denial) -> Status {
    let grpc = denial.grpc();
    let mut status = Status::new(Code::from(grpc.code), grpc.message);
    for (name, value) in grpc.metadata {
        if let Ok(value) = MetadataValue::try_from(value) {
            status.metadata_mut().insert(name, value);
        }
    }
    status
}
