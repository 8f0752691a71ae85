//! A service that only verifies: public keys, no secret, and the store's log of revocations.

use auth_axum::Claims;
use auth_tower::{Algorithm, Auth, Clock, KeyRing, MemoryStore, RefreshKey, Resource, SigningKey, VerifyingKey};
use axum::Router;
use axum::routing::get;

use super::support::*;

const KID: &str = "2026-11";

/// An authority that signs with Ed25519, and the ring that its services are given.
fn authority_and_public_keys(store: &Store, clock: &Clock) -> (Auth<User>, App, KeyRing) {
    let signing = SigningKey::generate(KID, Algorithm::EdDSA).unwrap();
    let keys = KeyRing::builder()
        .signing(signing)
        .refresh(RefreshKey::new([2; 32]).unwrap())
        .build()
        .unwrap();
    let jwks: serde_json::Value = serde_json::from_str(&keys.jwks()).unwrap();
    let public = KeyRing::builder()
        .verifying(VerifyingKey::from_jwk(&jwks["keys"][0].to_string()).unwrap())
        .build()
        .unwrap();
    let auth = Auth::<User>::authority(keys)
        .issuer(ISSUER)
        .audience("api")
        .audience("orders")
        .sessions(store.clone())
        .accounts(Accounts::new())
        .clock(clock.clone())
        .build()
        .unwrap();
    let app = app_of(&auth);
    (auth, app, public)
}

fn service_of(auth: &Auth<User, Resource>) -> App {
    async fn me(claims: Claims<User>) -> String {
        claims.registered().subject().to_string()
    }
    async fn anyone(claims: Option<Claims<User>>) -> String {
        claims.map_or("nobody".to_owned(), |claims| claims.registered().subject().to_string())
    }
    Router::new()
        .route("/admin", get(|| async { "hello" }))
        .route_layer(auth_axum::require(|user: &User| {
            user.roles.iter().any(|role| role == "admin")
        }))
        .route("/me", get(me))
        .route("/public", get(anyone))
        .layer(auth.layer())
}

struct Scene {
    clock: Clock,
    store: Store,
    authority: App,
    public: KeyRing,
}

impl Scene {
    fn new() -> Self {
        let clock = Clock::manual(auth_tower::Timestamp::from_secs(1_800_000_000));
        let store = Store::new(&clock);
        let (_, authority, public) = authority_and_public_keys(&store, &clock);
        Self {
            clock,
            store,
            authority,
            public,
        }
    }

    fn service(&self) -> App {
        let auth = Auth::<User>::resource(ISSUER)
            .audience("orders")
            .keys(self.public.clone())
            .revocations(self.store.clone())
            .clock(self.clock.clone())
            .build()
            .unwrap();
        service_of(&auth)
    }

    async fn sign_in(&self) -> (String, String) {
        let body = r#"{"username":"alice","password":"wonderland"}"#;
        let reply = send(&self.authority, ask("POST", "/auth/login").json(body)).await;
        (reply.access().unwrap(), reply.refresh().unwrap())
    }
}

async fn settle() {
    tokio::time::sleep(5 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_with_a_public_key_and_no_secret_verifies_guards_and_extracts() {
    let scene = Scene::new();
    let service = scene.service();
    let (access, refresh) = scene.sign_in().await;
    assert_eq!(send(&service, ask("GET", "/me").bearer(&access)).await.body, "alice");
    assert_eq!(
        send(&service, ask("GET", "/public").bearer(&access)).await.body,
        "alice"
    );
    assert_eq!(send(&service, ask("GET", "/admin").bearer(&access)).await.status, 403);
    assert_eq!(send(&service, ask("GET", "/public")).await.body, "nobody");
    let reply = send(&service, ask("GET", "/me")).await;
    assert_eq!((reply.status, &*reply.code()), (401, "missing_token"));
    // It has no refresh keys: a cookie says nothing here, and none is written.
    let reply = send(&service, ask("GET", "/me").refresh(&refresh)).await;
    assert_eq!((reply.status, &*reply.code()), (401, "missing_token"));
    assert!(reply.refresh().is_none() && reply.access().is_none());
    scene.clock.advance(HOUR);
    let reply = send(&service, ask("GET", "/me").bearer(&access).refresh(&refresh)).await;
    assert_eq!((reply.status, &*reply.code()), (401, "token_expired"));
}

#[tokio::test(start_paused = true)]
async fn a_service_honours_the_revocations_of_its_authority() {
    let scene = Scene::new();
    let service = scene.service();
    let (one, _) = scene.sign_in().await;
    let (two, _) = scene.sign_in().await;
    let me = async |access: &str| {
        let reply = send(&service, ask("GET", "/me").bearer(access)).await;
        if reply.status == 200 { reply.body } else { reply.code() }
    };
    assert_eq!(me(&one).await, "alice");
    let reply = send(&scene.authority, ask("POST", "/auth/logout").bearer(&one)).await;
    assert_eq!(reply.status, 204);
    settle().await;
    assert_eq!(
        (me(&one).await, me(&two).await),
        ("token_revoked".to_owned(), "alice".to_owned())
    );
    let reply = send(&scene.authority, ask("POST", "/auth/logout-all").bearer(&two)).await;
    assert_eq!(reply.status, 200);
    settle().await;
    assert_eq!(me(&two).await, "token_revoked");
    scene.clock.advance(2 * SECOND);
    let (three, _) = scene.sign_in().await;
    assert_eq!(me(&three).await, "alice", "a later sign-in is not covered");
    // A service that starts later has heard of it all before it answers.
    let late = scene.service();
    assert_eq!(
        send(&late, ask("GET", "/me").bearer(&one)).await.code(),
        "token_revoked"
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_log_is_decided_by_the_layer() {
    let scene = Scene::new();
    let (access, _) = scene.sign_in().await;
    scene.store.fail_all(Fault::Error);
    let build = || {
        Auth::<User>::resource(ISSUER)
            .audience("orders")
            .keys(scene.public.clone())
            .revocations(scene.store.clone())
            .clock(scene.clock.clone())
            .build()
            .unwrap()
    };
    let accepting = service_of(&build());
    assert_eq!(send(&accepting, ask("GET", "/me").bearer(&access)).await.status, 200);
    let refusing = Router::new()
        .route("/me", get(|_: Claims<User>| async { "hello" }))
        .layer(build().layer().on_outage(auth_tower::OnOutage::Refuse));
    let reply = send(&refusing, ask("GET", "/me").bearer(&access)).await;
    assert_eq!((reply.status, &*reply.code()), (503, "store_unavailable"));
    assert!(reply.header("retry-after").is_some());
    scene.store.heal();
    settle().await;
    assert_eq!(send(&refusing, ask("GET", "/me").bearer(&access)).await.status, 200);
}

#[tokio::test]
async fn what_a_service_cannot_do_is_refused_when_it_is_built() {
    let public = authority_and_public_keys(&Store::new(&Clock::system()), &Clock::system()).2;
    let builder = || Auth::<User>::resource(ISSUER).audience("orders");
    let error = builder().keys(public.clone()).build().unwrap_err().to_string();
    assert!(error.contains("revocations"), "{error}");
    let error = builder()
        .revocations(MemoryStore::new())
        .build()
        .unwrap_err()
        .to_string();
    assert!(error.contains("keys"), "{error}");
    let error = Auth::<User>::resource("").audience("orders").keys(public.clone());
    assert!(error.without_revocations().build().is_err());
    assert!(builder().keys(public).without_revocations().build().is_ok());
}
