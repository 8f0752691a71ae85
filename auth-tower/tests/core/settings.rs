//! Settings that cannot work are refused when the authority is built, by name, and never later.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where failing loudly is the point")]

use std::time::Duration;

use auth_tower::{
    AccessTransport, Accounts, AccountsError, Algorithm, Auth, AuthorityBuilder, ConfigError, CookieConfig, Grant,
    KeyRing, MemoryStore, PasswordCredentials, RefreshKey, SameSite, SigningKey, Subject,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
}

struct Nobody;

impl Accounts for Nobody {
    type Claims = User;

    async fn verify(&self, _: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        Ok(None)
    }

    async fn claims(&self, _: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        Ok(None)
    }
}

fn signing() -> SigningKey {
    SigningKey::hmac("k", Algorithm::HS256, [1; 32]).unwrap()
}

fn keys() -> KeyRing {
    let refresh = RefreshKey::new([2; 32]).unwrap();
    KeyRing::builder().signing(signing()).refresh(refresh).build().unwrap()
}

fn builder() -> AuthorityBuilder<User> {
    Auth::<User>::authority(keys())
        .issuer("https://id.example.com")
        .audience("https://api.example.com")
        .sessions(MemoryStore::new())
        .accounts(Nobody)
}

/// A complete set of settings but for what `change` does.
fn with(change: impl FnOnce(AuthorityBuilder<User>) -> AuthorityBuilder<User>) -> Result<Auth<User>, ConfigError> {
    change(builder()).build()
}

#[track_caller]
fn refused(outcome: Result<Auth<User>, ConfigError>, setting: &str) {
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains(setting), "{error}");
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn what_has_no_safe_default_must_be_given() {
    assert!(builder().build().is_ok());
    let start = || Auth::<User>::authority(keys());
    let without_issuer = start().audience("a").sessions(MemoryStore::new()).accounts(Nobody);
    let without_audience = start().issuer("i").sessions(MemoryStore::new()).accounts(Nobody);
    let without_store = start().issuer("i").audience("a").accounts(Nobody);
    let without_accounts = start().issuer("i").audience("a").sessions(MemoryStore::new());
    for (builder, name) in [
        (without_issuer, "issuer"),
        (without_audience, "audience"),
        (without_store, "sessions"),
        (without_accounts, "accounts"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(
            matches!(error, ConfigError::Missing(missing) if missing == name),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_authority_needs_a_key_that_signs_and_one_for_refresh_tokens() {
    let verifies_only = KeyRing::builder().verifying(signing().verifying_key()).build().unwrap();
    let no_refresh = KeyRing::builder().signing(signing()).build().unwrap();
    for (keys, name) in [(verifies_only, "signing key"), (no_refresh, "refresh key")] {
        let builder = Auth::<User>::authority(keys).issuer("i").audience("a");
        refused(builder.sessions(MemoryStore::new()).accounts(Nobody).build(), name);
    }
}

#[test]
fn it_is_built_inside_of_a_runtime() {
    let error = builder().build().unwrap_err();
    assert!(matches!(error, ConfigError::NoRuntime));
    assert!(error.to_string().contains("Tokio runtime"));
}

#[tokio::test]
async fn texts_must_be_texts() {
    refused(with(|b| b.issuer("")), "issuer");
    refused(with(|b| b.issuer("a\nb")), "issuer");
    refused(with(|b| b.audience("")), "audience");
    refused(with(|b| b.audience("a\0")), "audience");
    refused(with(|b| b.client_id("")), "client_id");
    refused(with(|b| b.client_id("a\r")), "client_id");
    assert!(with(|b| b.audience("another").client_id("app")).is_ok());
}

#[tokio::test]
async fn every_duration_has_its_range() {
    refused(with(|b| b.access_lifetime(Duration::ZERO)), "access_lifetime");
    refused(
        with(|b| b.access_lifetime(Duration::from_millis(999))),
        "access_lifetime",
    );
    refused(with(|b| b.access_lifetime(secs(400 * DAY + 1))), "access_lifetime");
    assert!(with(|b| b.access_lifetime(secs(1))).is_ok());

    refused(with(|b| b.idle_lifetime(Duration::ZERO)), "idle_lifetime");
    refused(with(|b| b.idle_lifetime(Duration::from_millis(999))), "idle_lifetime");
    assert!(with(|b| b.idle_lifetime(secs(1))).is_ok());
    refused(with(|b| b.absolute_lifetime(Duration::ZERO)), "absolute_lifetime");
    refused(
        with(|b| b.absolute_lifetime(secs(400 * DAY) + Duration::from_millis(1))),
        "absolute_lifetime",
    );
    assert!(with(|b| b.absolute_lifetime(secs(400 * DAY))).is_ok());

    refused(with(|b| b.leeway(secs(10) + Duration::from_millis(1))), "leeway");
    assert!(with(|b| b.leeway(secs(10))).is_ok());
    assert!(with(|b| b.grace(Duration::ZERO)).is_ok());
    refused(with(|b| b.store_deadline(Duration::ZERO)), "store_deadline");
    refused(with(|b| b.max_staleness(Duration::from_millis(499))), "max_staleness");
    assert!(with(|b| b.max_staleness(Duration::from_millis(500))).is_ok());
    refused(with(|b| b.token_cache_bytes(u64::MAX)), "token_cache_bytes");
    assert!(with(|b| b.token_cache_bytes(0)).is_ok());
}

#[tokio::test]
async fn a_session_cannot_be_idle_for_longer_than_it_lives() {
    let error = with(|b| b.idle_lifetime(secs(8 * DAY)).absolute_lifetime(secs(7 * DAY))).unwrap_err();
    assert!(matches!(
        error,
        ConfigError::Contradiction {
            first: "idle_lifetime",
            second: "absolute_lifetime",
            ..
        }
    ));
    assert!(with(|b| b.idle_lifetime(secs(7 * DAY)).absolute_lifetime(secs(7 * DAY))).is_ok());
}

#[tokio::test]
async fn ck_11_cookies_that_browsers_drop_are_refused() {
    let cookie = |name: &str| CookieConfig::new(name);
    for bad in [
        cookie("__Host-refresh").domain("example.com"),
        cookie("__Host-refresh").path("/auth"),
        cookie("__Host-refresh").with_insecure_plain_http(),
        cookie("__HOST-refresh").domain("example.com"),
        cookie("__Host-Http-refresh").path("/auth"),
        cookie("__Secure-refresh").with_insecure_plain_http(),
        cookie("__Http-refresh").with_insecure_plain_http(),
        cookie(""),
        cookie("a b"),
        cookie("a;b"),
        cookie("a=b"),
        cookie("a\r\nSet-Cookie: b"),
        cookie("é"),
        cookie(&"a".repeat(65)),
        cookie("a").path("auth"),
        cookie("a").path("/; Domain=example.com"),
        cookie("a").path("/\n"),
        cookie("a").domain(""),
        cookie("a").domain("example.com; Path=/"),
        cookie("a").domain("exämple.com"),
        cookie("a").domain("a..b"),
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
        refused(with(|b| b.refresh_cookie(bad.clone())), "cookie");
        refused(with(|b| b.access_transport(AccessTransport::Cookie(bad))), "cookie");
    }
    for good in [
        cookie("__Host-refresh").same_site(SameSite::Lax),
        cookie("__Host-Http-refresh"),
        cookie("__Secure-refresh").domain("example.com").path("/auth"),
        cookie("refresh").with_insecure_plain_http(),
        cookie("refresh").domain(".example.com").path("/auth"),
    ] {
        let outcome = with(|b| b.refresh_cookie(good.clone()));
        let leading_dot = format!("{good:?}").contains("\".example.com\"");
        assert_eq!(outcome.is_ok(), !leading_dot, "{good:?}");
    }
}

#[tokio::test]
async fn the_two_cookies_need_different_names() {
    let access = AccessTransport::Cookie(CookieConfig::new("__Host-refresh"));
    let error = with(|b| b.access_transport(access)).unwrap_err();
    assert!(matches!(
        error,
        ConfigError::Contradiction {
            first: "refresh_cookie",
            second: "access_transport",
            ..
        }
    ));
}

#[tokio::test]
async fn a_trusted_origin_is_an_origin() {
    for bad in [
        "",
        "null",
        "*",
        "example.com",
        "https://",
        "https://example.com/",
        "https://example.com/path",
        "https://*.example.com",
        "https://user@example.com",
        "https://example.com:port",
        "https://example.com:99999",
        "ftp://example.com",
        " https://example.com",
    ] {
        refused(with(|b| b.trusted_origin(bad)), "trusted_origin");
    }
    for good in [
        "https://example.com",
        "http://localhost:5173",
        "https://[::1]:8443",
        "HTTPS://EXAMPLE.COM",
    ] {
        assert!(with(|b| b.trusted_origin(good)).is_ok(), "{good}");
    }
}

#[tokio::test]
async fn a_required_header_is_a_headers_name() {
    for bad in ["", "X-Csrf", "x csrf", "x-csrf:", "x\n", "é"] {
        refused(with(|b| b.required_header(bad)), "required_header");
    }
    assert!(with(|b| b.required_header("x-csrf")).is_ok());
}
