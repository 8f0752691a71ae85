//! Services without a web framework behind the tower layer: plain hyper, and gRPC by tonic.

mod grpc;
mod hyper;
mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::all,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    tonic::include_proto!("demo");
}

use acceptance::{App, Store, Target};

/// On a file, because the tests start several processes on it and lock it.
fn target(app: App) -> Target {
    Target {
        app,
        store: Store::Sqlite,
    }
}

/// A bad setting is one line and exit code 2, as for every example.
async fn refuses_bad_settings(app: App) {
    for (variable, value) in [
        ("ACCESS_TOKEN_EXPIRATION", "soon"),
        ("LISTEN", "nowhere"),
        ("STORE", ""),
    ] {
        let refusal = target(app).settings().set(variable, value).refused().await;
        assert_eq!(refusal.status.code(), Some(2), "{refusal:?}");
        assert_eq!(refusal.stdout, "");
        let line = refusal.stderr.strip_suffix('\n').unwrap_or_default();
        assert!(line.contains(variable) && !line.contains('\n'), "{refusal:?}");
    }
}
