//! One authority, or several over one store, with the shell's app around it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_tower::{
    Algorithm, Auth, AuthorityBuilder, Clock, Event, KeyRing, RefreshKey, SessionId, SigningKey, Timestamp,
};
use serde_json::json;

use super::{Accounts, App, Ask, Reply, Store, User, app_of, ask, send};

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
    pub(crate) app: App,
    events: Arc<Mutex<Vec<Event>>>,
}

/// What a sign-in gave.
#[derive(Clone, Debug)]
pub(crate) struct TokenResponse {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) session: SessionId,
}

impl TokenResponse {
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

    pub(crate) async fn sign_in(&self, name: &str) -> TokenResponse {
        let reply = self.try_sign_in(name, "wonderland").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let session = reply.json()["session_id"].as_str().unwrap().parse().unwrap();
        TokenResponse {
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
