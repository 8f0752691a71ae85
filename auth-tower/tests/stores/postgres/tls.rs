//! A connection that nobody can listen to.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use auth_tower::PostgresStore;
use auth_tower::store::SessionStore;
use servers::Postgres;

use super::scene::{begin, connect, eventually, reason_of, server};

/// Gives the server a certificate that it signed itself.
fn secure(server: &Postgres) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let data = server.folder().join("data");
    let owner = fs::metadata(&data).unwrap();
    for (fixture, name) in [
        ("test-only-p256-certificate.pem", "server.crt"),
        ("test-only-p256.pem", "server.key"),
    ] {
        let file = data.join(name);
        fs::copy(fixtures.join(fixture), &file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    server.query("postgres", "ALTER SYSTEM SET ssl = on");
    server.query("postgres", "SELECT pg_reload_conf()");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_secured_where_that_is_asked_for() {
    let (server, url) = server(&["fsync=off"]).await;
    let required = url.replace("sslmode=prefer", "sslmode=require");
    assert!(reason_of(PostgresStore::connect(&required).await).contains("cannot be secured"));
    secure(&server);
    eventually("the server offers TLS", || async {
        PostgresStore::connect(&required).await.is_ok()
    })
    .await;
    let store = connect(&required).await;
    let id = begin(&store, "alice", 1).await;
    assert!(store.find(id).await.unwrap().is_some());
    let secured = "SELECT bool_and(s.ssl), count(*) > 0 FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                   WHERE a.application_name = 'auth-tower'";
    assert_eq!(Postgres::query_at(&url, secured), "t|t");
    // Nobody vouches for this certificate.
    let verified = url.replace("sslmode=prefer", "sslmode=verify-full");
    assert!(reason_of(PostgresStore::connect(&verified).await).contains("cannot be secured"));
}
