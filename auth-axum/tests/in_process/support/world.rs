//! One authority, or several over one store, and an app of every kind of route.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_axum::{Claims, MaybeClaims, Rejection, Session};
use auth_tower::{
    Algorithm, AppClaims, Auth, AuthorityBuilder, Clock, Event, KeyRing, RefreshKey, SessionId, SigningKey, Timestamp,
};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Accounts, Ask, Reply, Store, User, ask};

pub(crate) const ISSUER: &str = "https://id.example.com";

/// A ring whose signing key is called `kid`.
pub(crate) fn key_ring(kid: &str) -> KeyRing {
    KeyRing::builder()
        .signing(SigningKey::hmac(kid, Algorithm::HS256, [1; 32]).unwrap())
        .refresh(RefreshKey::new([2; 32]).unwrap())
        .build()
        .unwrap()
}

pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) accounts: Accounts,
    pub(crate) keys: KeyRing,
    pub(crate) auth: Auth<User>,
    pub(crate) app: Router,
    events: Arc<Mutex<Vec<Event>>>,
}

/// What a sign-in gave.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) session: SessionId,
}

impl SignedIn {
    /// The token with its last character changed: no longer authentic.
    pub(crate) fn forged_refresh(&self) -> String {
        forge(&self.refresh)
    }

    pub(crate) fn forged_access(&self) -> String {
        forge(&self.access)
    }
}

fn forge(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 5);
    let other = if last.starts_with('A') { "B" } else { "A" };
    format!("{rest}{other}{}", &last[1..])
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(AuthorityBuilder<User>) -> AuthorityBuilder<User>) -> Self {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let store = Store::new(&clock);
        Self::over(clock, store, Accounts::new(), key_ring("first"), settings)
    }

    /// Another instance over the same store, clock and accounts, with the same keys.
    pub(crate) fn another(&self) -> Self {
        self.another_with(|builder| builder)
    }

    pub(crate) fn another_with(&self, settings: impl FnOnce(AuthorityBuilder<User>) -> AuthorityBuilder<User>) -> Self {
        Self::over(
            self.clock.clone(),
            self.store.clone(),
            self.accounts.clone(),
            key_ring("first"),
            settings,
        )
    }

    fn over(
        clock: Clock,
        store: Store,
        accounts: Accounts,
        keys: KeyRing,
        settings: impl FnOnce(AuthorityBuilder<User>) -> AuthorityBuilder<User>,
    ) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = events.clone();
        let builder = Auth::<User>::authority(keys.clone())
            .issuer(ISSUER)
            .audience("api")
            .sessions(store.clone())
            .accounts(accounts.clone())
            .clock(clock.clone())
            .token_cache_bytes(1024 * 1024)
            .on_event(move |event| heard.lock().unwrap().push(event.clone()));
        let auth = settings(builder).build().unwrap();
        let app = app_of(&auth);
        Self {
            clock,
            store,
            accounts,
            keys,
            auth,
            app,
            events,
        }
    }

    pub(crate) async fn send(&self, ask: Ask) -> Reply {
        send(&self.app, ask).await
    }

    pub(crate) async fn try_sign_in(&self, name: &str, password: &str) -> Reply {
        let body = json!({"username": name, "password": password, "device": "a test"});
        self.send(ask("POST", "/auth/login").json(&body.to_string())).await
    }

    pub(crate) async fn sign_in(&self, name: &str) -> SignedIn {
        let reply = self.try_sign_in(name, "wonderland").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let session = reply.json()["session_id"].as_str().unwrap().parse().unwrap();
        SignedIn {
            access: reply.access().unwrap(),
            refresh: reply.refresh().unwrap(),
            session,
        }
    }

    pub(crate) async fn post_refresh(&self, refresh: &str) -> Reply {
        self.send(ask("POST", "/auth/refresh").refresh(refresh)).await
    }

    /// `GET /me` with nothing but a cookie: the silent path.
    pub(crate) async fn silently(&self, refresh: &str) -> Reply {
        self.send(ask("GET", "/me").refresh(refresh)).await
    }

    pub(crate) async fn me(&self, access: &str) -> Reply {
        self.send(ask("GET", "/me").bearer(access)).await
    }

    pub(crate) fn travel(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Lets everything that happens by itself happen: marks are written, the feed is read. Only on paused time.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }

    /// What happened since the last time this was asked.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }
}

pub(crate) async fn send(app: &Router, ask: Ask) -> Reply {
    Reply::read(app.clone().oneshot(ask.build()).await.unwrap()).await
}

/// Routes for every extractor and everything that a session can do, for any claims type.
pub(crate) fn app_of<C: AppClaims>(auth: &Auth<C>) -> Router {
    Router::new()
        .route("/me", any(me::<C>))
        .route("/option", any(option::<C>))
        .route("/maybe", any(maybe::<C>))
        .route("/public", get(|| async { "hello" }))
        .route("/fail", any(fail::<C>))
        .route("/leave", any(leave::<C>))
        .route("/wipe", post(wipe::<C>))
        .route("/others", post(others))
        .merge(auth_axum::routes(auth))
        .layer(auth.layer())
}

fn shown<C>(claims: &Claims<C>) -> Value {
    let token = claims.token();
    json!({
        "sub": token.subject(),
        "sid": token.session_id().to_string(),
        "gen": token.generation(),
    })
}

async fn me<C: AppClaims>(claims: Claims<C>) -> String {
    shown(&claims).to_string()
}

async fn option<C: AppClaims>(claims: Option<Claims<C>>) -> String {
    claims.map_or(Value::Null, |claims| shown(&claims)).to_string()
}

async fn maybe<C: AppClaims>(MaybeClaims(claims): MaybeClaims<C>) -> String {
    claims.map_or(Value::Null, |claims| shown(&claims)).to_string()
}

async fn fail<C: AppClaims>(_: Claims<C>) -> (StatusCode, &'static str) {
    (StatusCode::IM_A_TEAPOT, "the handler failed")
}

async fn leave<C: AppClaims>(_: Claims<C>, session: Session) -> Result<&'static str, Rejection> {
    session.log_out().await?;
    Ok("bye")
}

async fn wipe<C: AppClaims>(_: Claims<C>, session: Session) -> Result<String, Rejection> {
    Ok(session.end_all().await?.to_string())
}

async fn others(session: Session) -> Result<String, Rejection> {
    Ok(session.end_others().await?.to_string())
}
