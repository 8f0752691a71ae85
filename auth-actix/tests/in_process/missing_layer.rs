//! What a wrongly wired app is told.

use actix_web::{App, web};
use auth_actix::{Claims, MaybeClaims, Session, require_scope};
use serde::{Deserialize, Serialize};

use super::support::*;

async fn hello() -> &'static str {
    "hello"
}

/// Another claims type than the authority's.
#[derive(Clone, Serialize, Deserialize)]
struct Other {
    other: String,
}

#[tokio::test(start_paused = true)]
async fn a_wrongly_wired_app_is_a_500_whose_log_says_what_to_add() {
    async fn claims(_: Claims<User>) -> &'static str {
        "claims"
    }
    async fn option(claims: Option<Claims<User>>) -> String {
        claims.is_some().to_string()
    }
    async fn maybe(_: MaybeClaims<User>) -> &'static str {
        "maybe"
    }
    async fn session(_: Session) -> &'static str {
        "session"
    }
    let world = World::new();
    let alice = world.sign_in("alice").await;
    let missing = serve(
        App::new()
            .route("/claims", web::get().to(claims))
            .route("/option", web::get().to(option))
            .route("/maybe", web::get().to(maybe))
            .route("/session", web::post().to(session))
            .service(web::resource("/guard").wrap(require_scope::<User>("x")).get(hello)),
    );
    // The last `wrap` is the outermost: here the guard is asked first.
    let order = serve(
        App::new()
            .wrap(auth_actix::middleware(&world.auth))
            .wrap(require_scope::<User>("x"))
            .route("/order", web::get().to(hello)),
    );
    for (app, method, path) in [
        (&missing, "GET", "/claims"),
        (&missing, "GET", "/option"),
        (&missing, "GET", "/maybe"),
        (&missing, "POST", "/session"),
        (&missing, "GET", "/guard"),
        (&order, "GET", "/order"),
    ] {
        let log = Log::start();
        let request = ask(method, path).bearer(&alice.access).refresh(&alice.refresh);
        let reply = send(app, request).await;
        if path == "/option" {
            assert_eq!(
                (reply.status, &*reply.body),
                (200, "false"),
                "actix keeps it from the client"
            );
        } else {
            assert_eq!((reply.status, &*reply.code()), (500, "internal"), "{path}");
        }
        assert!(!reply.body.contains("middleware"), "the client is told nothing of it");
        assert_eq!(reply.header("www-authenticate"), None);
        let text = log.text();
        let line = text
            .lines()
            .find(|line| line.contains("ERROR"))
            .unwrap_or_else(|| panic!("no error: {text}"));
        assert!(line.contains(".wrap(auth_actix::middleware(&auth))"), "{line}");
    }

    async fn other(_: Claims<Other>) -> &'static str {
        "other"
    }
    let wrong = App::new().route("/", web::get().to(other));
    let wrong = serve(wrong.wrap(auth_actix::middleware(&world.auth)));
    let log = Log::start();
    let reply = send(&wrong, ask("GET", "/").bearer(&alice.access)).await;
    assert_eq!((reply.status, &*reply.code()), (500, "internal"));
    assert!(log.text().contains("claims type"), "{}", log.text());
    assert_eq!(
        send(&wrong, ask("GET", "/")).await.status,
        401,
        "nobody's claims have no type"
    );
}

#[tokio::test(start_paused = true)]
async fn a_scope_goes_before_the_ready_routes() {
    let world = World::new();
    let routes = auth_actix::routes(&world.auth);
    let app = serve(App::new().service(web::scope("/v1/{tenant}").configure(routes)));
    let login = ask("POST", "/v1/acme/auth/login").json(r#"{"username":"alice","password":"wonderland"}"#);
    let login = send(&app, login).await;
    assert_eq!(login.status, 200);
    let session = login.json()["session_id"].as_str().unwrap().to_owned();
    assert_eq!(
        send(&app, ask("GET", "/v1/acme/.well-known/jwks.json")).await.status,
        200
    );
    let end = ask("DELETE", &format!("/v1/acme/auth/sessions/{session}")).bearer(&login.access().unwrap());
    assert_eq!(send(&app, end).await.status, 204);
    for path in ["/auth/login", "/v1/acme/auth/log%69n", "/v1/acme/auth/login/"] {
        assert_eq!(send(&app, ask("POST", path)).await.status, 404, "{path}");
    }
}
