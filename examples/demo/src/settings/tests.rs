use std::ffi::OsString;

use super::*;

fn with(vars: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_vars(vars.iter().map(|(name, value)| (name.into(), value.into())))
}

fn set(variable: &str, value: &str) -> Settings {
    with(&[(variable, value)]).unwrap_or_else(|error| panic!("{variable}={value}: {error}"))
}

/// Every value is refused, in one line that begins with the variable's name.
fn refuses(variable: &str, values: &[&str]) {
    for value in values {
        let error = with(&[(variable, value)]).expect_err(value);
        assert_eq!(error.variable(), variable, "{value:?}");
        let line = error.to_string();
        assert!(line.starts_with(&format!("{variable} ")), "{line}");
        assert!(!line.contains(['\n', '\r', '\x1b']), "{line:?}");
    }
}

const VARIABLES: [&str; 12] = [
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
    "RUST_LOG",
];

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let settings = with(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(settings.store, Store::Sqlite("auth.db".into()));
    assert_eq!(settings.keys, PathBuf::from("auth-keys.json"));
    assert_eq!(settings.issuer, "http://localhost:3000");
    assert_eq!(settings.audience, "api");
    assert_eq!(settings.access_lifetime.as_secs(), 15 * 60);
    assert_eq!(settings.idle_lifetime.as_secs(), 7 * 86_400);
    assert_eq!(settings.absolute_lifetime.as_secs(), 30 * 86_400);
    assert_eq!(settings.grace.as_secs(), 30);
    assert_eq!(settings.reuse, Reuse::Recover);
    assert!(settings.trusted_origins.is_empty());
    assert_eq!(settings.log.to_env_filter().to_string(), "info");
    assert_eq!(
        with(&[("PATH", ""), ("KEY_VERSION", ""), ("listen", "x")]).unwrap(),
        settings
    );
}

#[test]
fn an_empty_value_is_refused_except_for_the_list_that_may_be_empty() {
    for variable in VARIABLES {
        match with(&[(variable, "")]) {
            Ok(settings) => assert!(variable == "TRUSTED_ORIGINS" && settings.trusted_origins.is_empty()),
            Err(error) => assert!(error.to_string().contains("empty"), "{error}"),
        }
    }
}

#[test]
fn b10_quotation_marks_and_substitutions_are_told_by_name() {
    for variable in VARIABLES {
        for (value, told) in [
            ("\"info\"", "quotation marks"),
            ("'https://id.example.com'", "quotation marks"),
            ("${VALUE}", "substitution"),
            ("https://${HOST}/", "substitution"),
            ("$(hostname)", "substitution"),
            ("{{ .Values.issuer }}", "substitution"),
        ] {
            let error = with(&[(variable, value)]).expect_err(value).to_string();
            assert!(error.starts_with(variable) && error.contains(told), "{error}");
        }
    }
    refuses("AUTH_KEYS", &[" keys.json", "keys.json\n", "keys\0.json", "keys.json "]);
}

#[test]
fn s1_a_name_that_only_begins_like_ours_is_told_of() {
    let settings = with(&[
        ("REFRESH_TOKEN_TTL", "1d"),
        ("AUTH_KEY", "keys.json"),
        ("AUTH_ISSUER_FILE", "/run/secrets/issuer"),
        ("AUTH_ISSUER", "https://id.example.com"),
        ("ACCESS_TOKEN_EXPIRATION", "15m"),
        ("ACCESS_TOKEN_SECRET_v2", "judged elsewhere"),
        ("OAUTH_ISSUER", "https://somebody.example.com"),
    ])
    .unwrap();
    assert_eq!(settings.ignored, ["AUTH_ISSUER_FILE", "AUTH_KEY", "REFRESH_TOKEN_TTL"]);
    let every = VARIABLES
        .iter()
        .filter(|variable| PREFIXES.iter().any(|prefix| variable.starts_with(prefix)));
    assert!(every.eq(PREFIXED.iter()), "every variable with a prefix is in the list");
}

#[test]
#[cfg(unix)]
fn a_value_that_is_not_utf_8_is_refused_everywhere() {
    use std::os::unix::ffi::OsStringExt;
    for variable in VARIABLES {
        let value = OsString::from_vec(b"info\xff".to_vec());
        let error = Settings::from_vars([(variable.into(), value)]).unwrap_err();
        assert_eq!(error.to_string(), format!("{variable} is not valid UTF-8"));
    }
    let foreign = OsString::from_vec(b"\xff".to_vec());
    assert!(Settings::from_vars([(foreign.clone(), foreign)]).is_ok());
}

#[test]
fn listen_takes_an_address_and_a_port() {
    for (value, address) in [
        (":0", "127.0.0.1:0"),
        (":8080", "127.0.0.1:8080"),
        ("localhost:0", "127.0.0.1:0"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("0.0.0.0:3000", "0.0.0.0:3000"),
        ("[::1]:3000", "[::1]:3000"),
        ("[::]:65535", "[::]:65535"),
    ] {
        assert_eq!(set("LISTEN", value).listen.to_string(), address);
    }
    refuses(
        "LISTEN",
        &[
            "3000",
            ":",
            ":+1",
            ":-1",
            ":65536",
            "localhost",
            "localhost:",
            "localhost:x",
            "localhost.evil:1",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:3000 ",
            "256.0.0.1:1",
            "::1:3000",
            "[::1]",
            "http://127.0.0.1:3000",
            "example.com:80",
            ":3000\nx",
            "\x1b[2J",
        ],
    );
}

#[test]
fn store_takes_a_file_or_memory() {
    for (value, store) in [
        ("memory:", Store::Memory),
        ("sqlite://auth.db", Store::Sqlite("auth.db".into())),
        ("sqlite://data/a b%20.db", Store::Sqlite("data/a b%20.db".into())),
        ("sqlite:///var/lib/auth.db", Store::Sqlite("/var/lib/auth.db".into())),
    ] {
        assert_eq!(set("STORE", value).store, store);
    }
    refuses(
        "STORE",
        &[
            "memory",
            "memory://",
            "auth.db",
            "sqlite",
            "sqlite:",
            "sqlite:auth.db",
            "sqlite://",
            "sqlite:///",
            "sqlite://dir/",
            "sqlite://auth.db?mode=ro",
            "sqlite://auth.db#x",
            "sqlite::memory:",
            "sqlite://:memory:",
            "SQLITE://auth.db",
            " memory:",
            "mysql://root@localhost/auth",
        ],
    );
}

#[test]
fn an_address_of_redis_is_taken_as_it_is_and_not_shown() {
    for value in [
        "redis://localhost",
        "rediss://:hunter2@localhost/1",
        "redis+cluster://user:hunter2@a:7000,b:7000",
        "rediss+cluster://localhost?prefix=shop:",
    ] {
        let settings = with(&[("STORE", value)]).unwrap();
        assert!(matches!(&settings.store, Store::Redis(address) if address.expose() == value));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}

#[test]
fn no_message_repeats_a_password() {
    for (variable, value) in [
        ("STORE", "mysql://root:hunter2@db/auth"),
        ("STORE", "sqlite:hunter2"),
        ("TRUSTED_ORIGINS", "https://root:hunter2@a.example"),
        ("AUTH_ISSUER", " hunter2"),
    ] {
        let error = with(&[(variable, value)]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn the_address_of_a_database_is_kept_and_not_printed() {
    for value in ["postgres://root:hunter2@db/auth", "postgresql://root:hunter2@db/auth"] {
        let settings = set("STORE", value);
        assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
        assert!(matches!(settings.store, Store::Postgres(address) if address.expose() == value));
    }
}

#[test]
fn identifiers_are_taken_as_they_are() {
    assert_eq!(
        set("AUTH_KEYS", "/etc/keys 1.json").keys,
        PathBuf::from("/etc/keys 1.json")
    );
    assert_eq!(
        set("AUTH_ISSUER", "https://id.example.com/").issuer,
        "https://id.example.com/"
    );
    assert_eq!(set("AUTH_AUDIENCE", &"a".repeat(255)).audience.len(), 255);
    for variable in ["AUTH_ISSUER", "AUTH_AUDIENCE"] {
        refuses(variable, &[" ", " a", "a\n", "a\0b", &"a".repeat(256)]);
    }
}

#[test]
fn durations_are_a_number_and_a_unit() {
    for (value, seconds) in [
        ("1s", 1),
        ("0001s", 1),
        ("1000ms", 1),
        ("15m", 900),
        ("12h", 43_200),
        ("7d", 604_800),
        ("1w", 604_800),
    ] {
        assert_eq!(set("ACCESS_TOKEN_EXPIRATION", value).access_lifetime.as_secs(), seconds);
        assert_eq!(set("REFRESH_TOKEN_GRACE", value).grace.as_secs(), seconds);
    }
    let not_durations = [
        "0", "15", "m", "-1s", "+1s", "1.5h", "1,5h", "1 s", " 1s", "1s ", "1S", "1M", "1y", "1min", "1h30m", "1e3s",
        "٣s", "1s\n", "never", "0x1s", "1²s", "ms", "s15",
    ];
    let too_long = [
        "401d",
        "34560001s",
        "18446744073709551615ms",
        "18446744073709551616s",
        "30500568904943w",
        "99999999999999999999999999999999d",
    ];
    for variable in [
        "ACCESS_TOKEN_EXPIRATION",
        "REFRESH_TOKEN_EXPIRATION",
        "REFRESH_TOKEN_ABSOLUTE_EXPIRATION",
        "REFRESH_TOKEN_GRACE",
    ] {
        refuses(variable, &not_durations);
        refuses(variable, &too_long);
    }
    assert_eq!(
        set("ACCESS_TOKEN_EXPIRATION", "400d").access_lifetime.as_secs(),
        400 * 86_400
    );
}

#[test]
fn a_grace_may_be_nothing_and_a_lifetime_may_not() {
    assert!(set("REFRESH_TOKEN_GRACE", "0s").grace.is_zero());
    assert_eq!(set("REFRESH_TOKEN_GRACE", "1ms").grace.as_millis(), 1);
    for variable in [
        "ACCESS_TOKEN_EXPIRATION",
        "REFRESH_TOKEN_EXPIRATION",
        "REFRESH_TOKEN_ABSOLUTE_EXPIRATION",
    ] {
        refuses(variable, &["0s", "0ms", "0d", "000s", "1ms", "1500ms"]);
    }
}

#[test]
fn a_session_cannot_be_idle_for_longer_than_it_lives() {
    let lifetimes = |idle, absolute| {
        with(&[
            ("REFRESH_TOKEN_EXPIRATION", idle),
            ("REFRESH_TOKEN_ABSOLUTE_EXPIRATION", absolute),
        ])
    };
    assert!(lifetimes("1h", "60m").is_ok());
    let error = lifetimes("3601s", "1h").unwrap_err().to_string();
    assert!(error.contains("REFRESH_TOKEN_EXPIRATION") && error.contains("REFRESH_TOKEN_ABSOLUTE_EXPIRATION"));
    assert!(with(&[("REFRESH_TOKEN_EXPIRATION", "31d")]).is_err());
    assert!(with(&[("REFRESH_TOKEN_ABSOLUTE_EXPIRATION", "6d")]).is_err());
}

#[test]
fn reuse_is_one_of_two_words() {
    assert_eq!(set("REFRESH_TOKEN_REUSE", "recover").reuse, Reuse::Recover);
    assert_eq!(set("REFRESH_TOKEN_REUSE", "strict").reuse, Reuse::Strict);
    refuses("REFRESH_TOKEN_REUSE", &["Strict", "strict ", "1", "true", "strict\n"]);
}

#[test]
fn trusted_origins_are_origins_and_nothing_more() {
    let settings = set(
        "TRUSTED_ORIGINS",
        "https://app.example.com, http://localhost:5173,https://[2001:db8::1]:8443,http://127.0.0.1",
    );
    assert_eq!(
        settings.trusted_origins,
        [
            "https://app.example.com",
            "http://localhost:5173",
            "https://[2001:db8::1]:8443",
            "http://127.0.0.1"
        ]
    );
    refuses(
        "TRUSTED_ORIGINS",
        &[
            " ",
            ",",
            "https://a.example,",
            "*",
            "null",
            "a.example",
            "//a.example",
            "https://",
            "https://*.a.example",
            "https://a.example/",
            "https://a.example/path",
            "https://a.example?q",
            "https://a.example#f",
            "https://u@a.example",
            "https://a.example:",
            "https://a.example:0",
            "https://a.example:+1",
            "https://a.example:65536",
            "https://a..example",
            "https://.a",
            "https://ä.example",
            "https://A.example",
            "HTTPS://a.example",
            "ftp://a.example",
            "https://[::1",
            "https://[::1]x",
            "https://[127.0.0.1]",
            "https://a.example https://b.example",
        ],
    );
    let error = with(&[("TRUSTED_ORIGINS", "https://a.example,b.example")]).unwrap_err();
    assert!(error.to_string().contains("entry 2"), "{error}");
}

#[test]
fn rust_log_is_a_filter_that_does_something() {
    for value in [
        "off",
        "TRACE",
        "info,auth_tower=debug,h2=off",
        "[request{id=3}]=debug,warn",
        "auth_tower[session]",
        "auth=trace",
    ] {
        set("RUST_LOG", value);
    }
    refuses(
        "RUST_LOG",
        &[
            "inof",
            "auth_tower",
            "info,",
            ",",
            " ",
            "info debug",
            "auth=loud",
            "auth=",
            "a=b=c",
            "info,[",
            "[x{y=1]=info",
            "9",
        ],
    );
}
