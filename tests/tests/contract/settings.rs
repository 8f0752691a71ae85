//! Settings that are wrong: one clear line on stderr that names the variable, exit code 2, and nothing is replaced.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use acceptance::{Client, Settings, Target};
use tokio::net::TcpListener;

const VARIABLES: [&str; 14] = [
    "LISTEN",
    "STORE",
    "AUTH_KEYS",
    "AUTH_ISSUER",
    "AUTH_AUDIENCE",
    "ACCESS_TOKEN_EXPIRATION",
    "REFRESH_TOKEN_EXPIRATION",
    "REFRESH_TOKEN_ABSOLUTE_EXPIRATION",
    "REFRESH_TOKEN_GRACE",
    "REFRESH_TOKEN_REUSE",
    "TRUSTED_ORIGINS",
    "ACCESS_TOKEN_SECRET",
    "REFRESH_TOKEN_SECRET",
    "RUST_LOG",
];

/// Exit code 2 and one line on stderr that names `variable`.
async fn refused(settings: &Settings, variable: &str, what: &str) {
    let end = settings.refused().await;
    assert_eq!(end.status.code(), Some(2), "{what}: {end:?}");
    assert_eq!(end.stdout, "", "{what}: {end:?}");
    let lines: Vec<_> = end.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{what}: one line: {end:?}");
    assert!(lines[0].contains(variable), "{what}: names {variable}: {end:?}");
    assert!(!lines[0].contains("panicked"), "{what}: {end:?}");
}

/// A store that says nothing is waited for; whoever stops the app meanwhile is not.
async fn a_start_can_be_stopped(at: Target) {
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = silent.local_addr().expect("an address");
    for store in [
        format!("postgres://user:password@{address}/x"),
        format!("redis://{address}"),
    ] {
        let mut held = None;
        let connected = async { held = Some(silent.accept().await.expect("the app connects")) };
        let end = at.settings().set("STORE", store).stopped_at(connected).await;
        drop(held);
        assert_eq!(end.status.code(), Some(0), "{end:?}");
        assert_eq!((&*end.stdout, &*end.stderr), ("", ""), "{end:?}");
    }
}

async fn an_unusable_value_is_refused_by_name(at: Target) {
    let cases: &[(&str, &[&str])] = &[
        (
            "LISTEN",
            &[
                "nonsense",
                "127.0.0.1",
                "127.0.0.1:99999",
                "127.0.0.1:http",
                "localhost:-1",
            ],
        ),
        (
            "STORE",
            &[
                "nonsense",
                "ftp://somewhere",
                "mysql://a/b",
                "memory:more",
                "sqlite:",
                "sqlite://",
            ],
        ),
        (
            "ACCESS_TOKEN_EXPIRATION",
            &[
                "0s",
                "0",
                "abc",
                "-5m",
                "15x",
                "5m nonsense",
                "99999999999999999999s",
                "18446744073709551615d",
            ],
        ),
        ("REFRESH_TOKEN_EXPIRATION", &["0s", "0d", "abc", "-7d", "7w8"]),
        (
            "REFRESH_TOKEN_ABSOLUTE_EXPIRATION",
            &["0s", "abc", "-30d", "99999999999999999999d"],
        ),
        (
            "REFRESH_TOKEN_GRACE",
            &["abc", "-1s", "1 fortnight", "99999999999999999999s"],
        ),
        ("REFRESH_TOKEN_REUSE", &["maybe", "RECOVER!", "recover,strict"]),
        (
            "TRUSTED_ORIGINS",
            &[
                "nonsense",
                "null",
                "*",
                "https://a.example/path",
                "https://a.example,nonsense",
                "https://",
                "javascript:x",
            ],
        ),
        ("RUST_LOG", &["axum_app=loud", "info,=,=", "[unclosed"]),
        ("KEY_VERSION", &["v9", "no such version"]),
    ];
    for (variable, values) in cases {
        for value in *values {
            refused(
                &at.settings().set(variable, value),
                variable,
                &format!("{variable}={value}"),
            )
            .await;
        }
    }
}

async fn a_value_that_is_not_utf_8_is_refused_by_name(at: Target) {
    for variable in VARIABLES.into_iter().chain(["KEY_VERSION"]) {
        let mut value = OsString::from("x").into_vec();
        value.extend([0xff, 0xfe]);
        let mut settings = at.settings();
        if let Some(pair) = variable.strip_suffix("_TOKEN_SECRET") {
            let other = if pair == "ACCESS" {
                "REFRESH_TOKEN_SECRET"
            } else {
                "ACCESS_TOKEN_SECRET"
            };
            settings = settings.set(other, acceptance::ACCESS_SECRET);
        }
        refused(
            &settings.set(variable, OsStr::from_bytes(&value)),
            variable,
            &format!("{variable} not UTF-8"),
        )
        .await;
    }
}

async fn lifetimes_that_contradict_each_other_are_refused(at: Target) {
    let settings = at
        .settings()
        .set("REFRESH_TOKEN_EXPIRATION", "31d")
        .set("REFRESH_TOKEN_ABSOLUTE_EXPIRATION", "30d");
    refused(&settings, "REFRESH_TOKEN_EXPIRATION", "idle longer than absolute").await;
}

async fn at_17_ky_secrets_are_long_enough_and_come_in_pairs(at: Target) {
    let short = "only sixteen byt";
    for (variable, other) in [
        ("ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"),
        ("REFRESH_TOKEN_SECRET", "ACCESS_TOKEN_SECRET"),
    ] {
        let long = acceptance::REFRESH_SECRET;
        for bad in [short, "", "thirty-one bytes are one to few"] {
            let settings = at.settings().set(variable, bad).set(other, long);
            refused(
                &settings,
                variable,
                &format!("AT-17: {variable} of {} bytes", bad.len()),
            )
            .await;
            let end = settings.refused().await;
            assert!(bad.is_empty() || !end.stderr.contains(bad), "the secret is not printed");
            assert!(!end.stderr.contains(long), "the other secret is not printed");
        }
        refused(&at.settings().set(variable, long), other, &format!("{variable} alone")).await;
        let version = |name: &str| format!("{name}_v2");
        let settings = at.settings().set("KEY_VERSION", "v2").set(&version(variable), long);
        refused(&settings, &version(other), &format!("{variable}_v2 alone")).await;
    }
    let versions = at
        .settings()
        .set("KEY_VERSION", "v2")
        .set("ACCESS_TOKEN_SECRET_v1", acceptance::ACCESS_SECRET);
    refused(
        &versions.set("REFRESH_TOKEN_SECRET_v1", acceptance::REFRESH_SECRET),
        "KEY_VERSION",
        "a version without secrets",
    )
    .await;
}

async fn s1_a_path_never_becomes_a_signing_key(at: Target) {
    let files = at.settings();
    let (access, refresh) = (files.file("access-secret"), files.file("refresh-secret"));
    std::fs::write(&access, format!("{}\n", acceptance::ACCESS_SECRET)).expect("a secret");
    std::fs::write(&refresh, format!("{}\r\n", acceptance::REFRESH_SECRET)).expect("a secret");
    let files = files
        .set("ACCESS_TOKEN_SECRET_FILE", &access)
        .set("REFRESH_TOKEN_SECRET_FILE", &refresh);
    let app = files.start().await;
    assert_eq!(Client::alice(&app).await.jwt().header["kid"], "default");
    let settings = app.terminate().await.0;
    let both = settings
        .set("ACCESS_TOKEN_SECRET", acceptance::ACCESS_SECRET)
        .set("REFRESH_TOKEN_SECRET", acceptance::REFRESH_SECRET);
    refused(&both, "ACCESS_TOKEN_SECRET_FILE", "a secret and its file").await;
    let nowhere = files.set(
        "ACCESS_TOKEN_SECRET_FILE",
        "/run/secrets/a_long_enough_path_that_leads_nowhere",
    );
    refused(&nowhere, "ACCESS_TOKEN_SECRET_FILE", "no file").await;
    assert!(
        !nowhere.refused().await.stderr.contains("leads_nowhere"),
        "the value is not shown"
    );
    for rest in ["FILE_v2", "PATH", "V2", "OLD", "2", "v2_PATH"] {
        for half in ["ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"] {
            let name = format!("{half}_{rest}");
            let settings = at
                .settings()
                .set(&name, "/run/secrets/a_long_enough_path_to_be_a_secret");
            refused(&settings, &name, "a name that means nothing").await;
        }
    }
}

async fn s1_the_versions_that_sign_and_verify_are_logged(at: Target) {
    let app = at
        .forgeable()
        .set("KEY_VERSION", "v2")
        .set(
            "ACCESS_TOKEN_SECRET_v2",
            "an access secret of its own: 45 bytes in all.",
        )
        .set(
            "REFRESH_TOKEN_SECRET_v2",
            "a refresh secret of its own: 45 bytes in all.",
        )
        .start()
        .await;
    let log = app.log_with("the keys are those of the environment").await;
    assert!(
        log.contains("signs=\"v2\"") && log.contains("verify=\"default, v2\""),
        "{log}"
    );
    assert!(
        !log.contains("of its own") && !log.contains(acceptance::ACCESS_SECRET),
        "{log}"
    );
}

async fn s12_what_is_no_secret_is_refused_by_name(at: Target) {
    for unsound in [
        "change_me_to_something_of_at_least_32_bytes",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "${ACCESS_TOKEN_SECRET_OF_THE_DEPLOYMENT}",
        "$(cat /run/secrets/the_secret_of_the_app)",
        "\"a secret that is long enough, in quotes\"",
        "                                            ",
        "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\\n",
        acceptance::REFRESH_SECRET,
    ] {
        for (variable, other) in [
            ("ACCESS_TOKEN_SECRET", "REFRESH_TOKEN_SECRET"),
            ("REFRESH_TOKEN_SECRET", "ACCESS_TOKEN_SECRET"),
        ] {
            let settings = at
                .settings()
                .set(variable, unsound)
                .set(other, acceptance::REFRESH_SECRET);
            refused(&settings, variable, unsound).await;
            let end = settings.refused().await;
            assert!(!end.stderr.contains(unsound), "{end:?}");
        }
    }
}

async fn s12_a_key_file_that_others_may_change_is_refused(at: Target) {
    use std::os::unix::fs::PermissionsExt as _;
    let settings = at.settings();
    settings.start().await.terminate().await;
    let path = settings.file("auth-keys.json");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("the file is ours");
    refused(&settings, "AUTH_KEYS", "a key file of mode 0666").await;
    refused(&settings.set("AUTH_KEYS", "/dev/zero"), "AUTH_KEYS", "a device").await;
}

async fn b11_a_key_file_that_is_made_is_told_of(at: Target) {
    let app = at.settings().start().await;
    app.log_with("made a new key file").await;
    let app = app.restart().await;
    let log = app.log_with("the keys are those of the key file").await;
    assert!(!log.contains("made a new key file"), "{log}");
}

async fn b10_what_an_env_file_leaves_around_a_value_is_told_by_name(at: Target) {
    for (variable, value) in [
        ("AUTH_ISSUER", "\"https://id.example.com\""),
        ("AUTH_AUDIENCE", "'api'"),
        ("AUTH_KEYS", "\"auth-keys.json\""),
        ("AUTH_ISSUER", "${ISSUER}"),
        ("AUTH_KEYS", "$(pwd)/auth-keys.json"),
        ("STORE", "\"memory:\""),
    ] {
        refused(&at.settings().set(variable, value), variable, value).await;
    }
}

async fn a_port_that_is_taken_is_refused_by_name(at: Target) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    refused(&at.settings().set("LISTEN", &address), "LISTEN", "a port that is taken").await;
}

async fn a_damaged_key_file_is_refused_and_never_replaced(at: Target) {
    let whole = at.settings();
    whole.start().await.terminate().await;
    let good = std::fs::read(whole.file("auth-keys.json")).expect("a key file");
    let mut flipped = good.clone();
    flipped[good.len() / 2] = 0;
    let damages: [(&str, Vec<u8>); 7] = [
        ("empty", Vec::new()),
        ("cut short", good[..good.len() / 2].to_vec()),
        ("a zero byte", flipped),
        ("other JSON", b"{}".to_vec()),
        ("a list", b"[1,2,3]".to_vec()),
        ("no keys", br#"{"keys":[]}"#.to_vec()),
        ("not UTF-8", vec![0xff; 100]),
    ];
    for (what, bytes) in damages {
        let settings = at.settings();
        let path = settings.file("auth-keys.json");
        std::fs::write(&path, &bytes).expect("a damaged file");
        refused(&settings, "AUTH_KEYS", &format!("a key file: {what}")).await;
        assert_eq!(
            std::fs::read(&path).expect("the file"),
            bytes,
            "{what}: it is as it was"
        );
    }
    let settings = at.settings();
    std::fs::create_dir(settings.file("auth-keys.json")).expect("a folder in its place");
    refused(&settings, "AUTH_KEYS", "a folder").await;
    let nowhere = at.settings();
    let path = nowhere.file("no such folder").join("auth-keys.json");
    refused(
        &nowhere.set("AUTH_KEYS", path),
        "AUTH_KEYS",
        "a folder that is not there",
    )
    .await;
}

async fn a_damaged_database_is_refused_and_never_replaced(at: Target) {
    let whole = at.settings();
    let app = whole.start().await;
    Client::alice(&app).await;
    app.terminate().await;
    let good = std::fs::read(whole.file("auth.db")).expect("a database");
    let mut overwritten = good.clone();
    for page in overwritten.chunks_mut(4096).skip(1) {
        page.fill(0xa5);
    }
    let mut header = good.clone();
    header[..16].fill(b'x');
    let damages = [
        (
            "no database at all",
            b"this is a text file, longer than the header of a database ".repeat(40),
        ),
        ("its header is gone", header),
        ("its pages are gone", overwritten),
        ("cut short", good[..good.len() / 2].to_vec()),
    ];
    for (what, bytes) in damages {
        let settings = at.settings();
        let path = settings.file("auth.db");
        std::fs::write(&path, &bytes).expect("a damaged file");
        refused(&settings, "STORE", &format!("a database: {what}")).await;
        assert_eq!(
            std::fs::read(&path).expect("the file"),
            bytes,
            "{what}: it is as it was"
        );
    }
    let settings = at.settings();
    std::fs::create_dir(settings.file("auth.db")).expect("a folder in its place");
    refused(&settings, "STORE", "a folder").await;
    let nowhere = at.settings();
    let mut url = OsString::from("sqlite://");
    url.push(nowhere.file("no such folder").join("auth.db"));
    refused(&nowhere.set("STORE", url), "STORE", "a folder that is not there").await;
}

acceptance::on_every_app!(
    an_unusable_value_is_refused_by_name,
    a_value_that_is_not_utf_8_is_refused_by_name,
    lifetimes_that_contradict_each_other_are_refused,
    at_17_ky_secrets_are_long_enough_and_come_in_pairs,
    s1_a_path_never_becomes_a_signing_key,
    s1_the_versions_that_sign_and_verify_are_logged,
    s12_what_is_no_secret_is_refused_by_name,
    s12_a_key_file_that_others_may_change_is_refused,
    b10_what_an_env_file_leaves_around_a_value_is_told_by_name,
    b11_a_key_file_that_is_made_is_told_of,
    a_port_that_is_taken_is_refused_by_name,
    a_damaged_key_file_is_refused_and_never_replaced,
    a_start_can_be_stopped,
);

acceptance::on_the_file_store!(a_damaged_database_is_refused_and_never_replaced);
