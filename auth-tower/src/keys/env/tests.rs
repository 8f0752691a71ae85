use std::path::Path;

use super::*;

const ACCESS: &str = "ACCESS_TOKEN_SECRET";
const REFRESH: &str = "REFRESH_TOKEN_SECRET";
const A: &str = "an access secret that is long enough";
const R: &str = "the refresh secret, as long as it must be";
const A2: &str = "2nd secret, for access tokens this time";
const R2: &str = "2nd secret, for refresh tokens this time";

fn ring(variables: &[(&str, &str)]) -> Result<Option<KeyRing>, KeyError> {
    let unrelated = [
        ("PATH", "/bin"),
        ("MY_ACCESS_TOKEN_SECRET", ""),
        ("ACCESS_TOKEN_SECRETS", "x"),
    ];
    from_variables(
        unrelated
            .iter()
            .chain(variables)
            .map(|(name, value)| (name.into(), value.into())),
    )
}

fn refusal(variables: &[(&str, &str)]) -> (String, String) {
    match ring(variables) {
        Err(KeyError::Variable { name, problem }) => (name, problem.to_string()),
        other => panic!("{other:?}"),
    }
}

fn signing_kid(ring: &KeyRing) -> String {
    ring.keys().signing.as_ref().unwrap().kid().to_owned()
}

/// Whether a token of `secret` is good in `ring` under `kid`.
fn verifies(ring: &KeyRing, kid: &str, secret: &str) -> bool {
    let signer = SigningKey::hmac(kid, Algorithm::HS256, secret).unwrap();
    let signature = signer.sign(b"message").unwrap();
    ring.keys()
        .verifying(kid)
        .is_some_and(|key| key.verify(b"message", &signature))
}

#[test]
fn none_of_the_variables_is_no_ring() {
    assert!(ring(&[]).unwrap().is_none());
}

#[test]
fn the_plain_pair_signs_as_default() {
    let ring = ring(&[(ACCESS, A), (REFRESH, R)]).unwrap().unwrap();
    assert!(ring.has_signing_key() && ring.has_refresh_key());
    assert_eq!(signing_kid(&ring), "default");
    assert_eq!(ring.keys().signing.as_ref().unwrap().algorithm(), Algorithm::HS256);
}

#[test]
fn key_version_signs_and_every_pair_verifies() {
    let ring = ring(&[
        (VERSION, "v2"),
        ("ACCESS_TOKEN_SECRET_v1", A),
        ("REFRESH_TOKEN_SECRET_v1", R),
        ("ACCESS_TOKEN_SECRET_v2", A2),
        ("REFRESH_TOKEN_SECRET_v2", R2),
        (ACCESS, "4th secret, of the pair without version"),
        (REFRESH, "5th secret, of the pair without version"),
    ])
    .unwrap()
    .unwrap();
    let keys = ring.keys();
    assert_eq!(signing_kid(&ring), "v2");
    for kid in ["v1", "v2", "default"] {
        assert!(keys.verifying(kid).is_some(), "{kid}");
    }
    assert_eq!(keys.older_refresh.len(), 2);
    assert_eq!(ring.jwks(), r#"{"keys":[]}"#);
}

#[test]
fn versions_may_share_a_secret() {
    let ring = ring(&[
        (VERSION, "v2"),
        ("ACCESS_TOKEN_SECRET_v1", A),
        ("REFRESH_TOKEN_SECRET_v1", R),
        ("ACCESS_TOKEN_SECRET_v2", A2),
        ("REFRESH_TOKEN_SECRET_v2", R),
    ])
    .unwrap()
    .unwrap();
    assert_eq!(ring.keys().older_refresh.len(), 0);
}

#[test]
fn the_plain_pair_signs_beside_versions_without_key_version() {
    let ring = ring(&[
        ("ACCESS_TOKEN_SECRET_v1", A),
        ("REFRESH_TOKEN_SECRET_v1", R),
        (ACCESS, A2),
        (REFRESH, R2),
    ])
    .unwrap()
    .unwrap();
    assert_eq!(signing_kid(&ring), "default");
}

#[test]
fn half_a_pair_is_an_error_that_names_the_missing_half() {
    assert_eq!(refusal(&[(ACCESS, A)]).0, REFRESH);
    assert_eq!(refusal(&[(REFRESH, R)]).0, ACCESS);
    let versioned = [(ACCESS, A), (REFRESH, R), ("ACCESS_TOKEN_SECRET_v1", A2)];
    assert_eq!(refusal(&versioned).0, "REFRESH_TOKEN_SECRET_v1");
}

#[test]
fn key_version_must_name_secrets_that_are_set() {
    for named in ["v9", "V1", "default", "FILE", "v1 ", "\"v1\"", "1", "${KEY_VERSION}"] {
        let variables = [
            (VERSION, named),
            (ACCESS, A),
            (REFRESH, R),
            ("ACCESS_TOKEN_SECRET_v1", A2),
            ("REFRESH_TOKEN_SECRET_v1", R2),
        ];
        assert_eq!(refusal(&variables).0, VERSION);
    }
    assert_eq!(refusal(&[(VERSION, "v1")]).0, VERSION);
    assert_eq!(refusal(&[(VERSION, ""), (ACCESS, A), (REFRESH, R)]).0, VERSION);
}

#[test]
fn versions_alone_need_key_version() {
    let variables = [("ACCESS_TOKEN_SECRET_v1", A), ("REFRESH_TOKEN_SECRET_v1", R)];
    assert_eq!(refusal(&variables).0, VERSION);
}

#[test]
fn empty_short_and_unnameable_are_errors_that_name_the_variable() {
    assert_eq!(refusal(&[(ACCESS, ""), (REFRESH, R)]).0, ACCESS);
    assert_eq!(refusal(&[(ACCESS, A), (REFRESH, &R[..30])]).0, REFRESH);
    assert_eq!(refusal(&[(ACCESS, &A[..31]), (REFRESH, R)]).0, ACCESS);
    let unnamed = [
        (ACCESS, A),
        (REFRESH, R),
        ("ACCESS_TOKEN_SECRET_", A),
        ("REFRESH_TOKEN_SECRET_", R),
    ];
    assert_eq!(refusal(&unnamed).0, "ACCESS_TOKEN_SECRET_");
}

#[cfg(unix)]
#[test]
fn what_is_not_utf_8_is_an_error_that_names_the_variable() {
    use std::os::unix::ffi::OsStringExt;
    let broken = OsString::from_vec(vec![0xff; 40]);
    let refused = from_variables([(ACCESS.into(), broken), (REFRESH.into(), R.into())]).unwrap_err();
    assert_eq!(refused.to_string(), "ACCESS_TOKEN_SECRET is not UTF-8");
    let name = OsString::from_vec(b"ACCESS_TOKEN_SECRET_\xff".to_vec());
    assert!(from_variables([(name, A.into())]).is_err());
}

#[test]
fn no_error_shows_a_value() {
    let canary = "canary-canary-canary";
    let long = "canary canary canary canary canary canary\n";
    for variables in [
        vec![(ACCESS, canary), (REFRESH, R)],
        vec![(ACCESS, A), (REFRESH, canary)],
        vec![(VERSION, canary)],
        vec![(ACCESS, A), ("REFRESH_TOKEN_SECRET_FILE", canary)],
        vec![(ACCESS, A), (REFRESH, long)],
        vec![(ACCESS, &long[..41]), (REFRESH, &long[..41])],
        vec![("ACCESS_TOKEN_SECRET_OLD", canary)],
    ] {
        let error = ring(&variables).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn s1_a_path_never_becomes_a_signing_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (access, refresh) = (path("access"), path("a_long_enough_path_for_a_refresh_secret"));
    std::fs::write(&access, A).unwrap();
    std::fs::write(&refresh, R).unwrap();
    let files = [
        ("ACCESS_TOKEN_SECRET_FILE", access.as_str()),
        ("REFRESH_TOKEN_SECRET_FILE", refresh.as_str()),
    ];
    let made = ring(&files).unwrap().unwrap();
    assert!(verifies(&made, "default", A) && made.keys().verifying("FILE").is_none());
    // As an entry script leaves them behind that has read the files itself.
    for (plain, file) in [
        (ACCESS, "ACCESS_TOKEN_SECRET_FILE"),
        (REFRESH, "REFRESH_TOKEN_SECRET_FILE"),
    ] {
        let (name, problem) = refusal(&[&[(ACCESS, A), (REFRESH, R)][..], &files].concat());
        assert!(name.starts_with(ACCESS), "{name}");
        assert!(problem.contains("both"), "{problem}");
        let both = [(plain, A2), files[0], files[1]];
        assert_eq!(
            refusal(&both),
            (file.to_owned(), format!("and {plain} are both set: which one counts?"))
        );
    }
    assert!(!verifies(&made, "default", &access.repeat(2)));
}

#[test]
fn s1_any_other_name_of_the_pattern_stops_the_start_by_name() {
    for rest in [
        "FILES",
        "FILE_v2",
        "v2_FILES",
        "v2FILE",
        "_FILE",
        "_v2",
        "V2",
        "v",
        "v2a",
        "v2_",
        "2",
        "v2_FILE_FILE",
        "PATH",
        "OLD",
        "PREVIOUS",
        "default",
        "HINT",
        "file",
        "v2_file",
        "v٢",
        " v2",
        "v2 ",
    ] {
        for half in [ACCESS, REFRESH] {
            let name = format!("{half}_{rest}");
            for variables in [vec![(ACCESS, A), (REFRESH, R), (&*name, A2)], vec![(&*name, A2)]] {
                let (refused, problem) = refusal(&variables);
                assert_eq!(refused, name);
                assert!(problem.contains("v2"), "{problem}");
            }
        }
    }
}

fn from_files(files: &[(&str, &Path)], others: &[(&str, &str)]) -> Result<KeyRing, KeyError> {
    let files = files.iter().map(|(name, path)| ((*name).into(), path.into()));
    let others = others.iter().map(|(name, value)| (name.into(), value.into()));
    from_variables(files.chain(others)).map(Option::unwrap)
}

#[test]
fn s1_a_file_holds_the_secret_and_one_line_break_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    for contents in [
        A.to_owned(),
        format!("{A}\n"),
        format!("{A}\r\n"),
        format!("\u{feff}{A}\n"),
    ] {
        std::fs::write(&path, &contents).unwrap();
        let plain = from_files(&[("ACCESS_TOKEN_SECRET_FILE", &path)], &[(REFRESH, R)]).unwrap();
        assert!(verifies(&plain, "default", A), "{contents:?}");
        let files = [("ACCESS_TOKEN_SECRET_v2_FILE", &*path)];
        let others = [
            ("REFRESH_TOKEN_SECRET_v2", R2),
            (VERSION, "v2"),
            (ACCESS, A2),
            (REFRESH, R),
        ];
        let versioned = from_files(&files, &others).unwrap();
        assert_eq!(signing_kid(&versioned), "v2");
        assert!(verifies(&versioned, "v2", A) && verifies(&versioned, "default", A2));
    }
    for unsound in [
        String::new(),
        "\n".into(),
        "\u{feff}".into(),
        format!("{A}\n\n"),
        format!(" {A}\n"),
        format!("{A}\n{R}\n"),
        format!("ACCESS_TOKEN_SECRET={A}\n"),
        format!("\"{A}\"\n"),
        "short\n".into(),
        A.chars().flat_map(|c| [c, '\0']).collect(),
        "x".repeat(70_000),
    ] {
        std::fs::write(&path, &unsound).unwrap();
        let refused = from_files(&[("ACCESS_TOKEN_SECRET_FILE", &path)], &[(REFRESH, R)]).unwrap_err();
        let message = refused.to_string();
        assert!(message.starts_with("ACCESS_TOKEN_SECRET_FILE "), "{message}");
        assert!(!message.contains("long enough"), "{message}");
    }
    std::fs::write(&path, [0xff; 40]).unwrap();
    assert!(from_files(&[("ACCESS_TOKEN_SECRET_FILE", &path)], &[(REFRESH, R)]).is_err());
}

#[test]
fn s1_what_is_no_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = vec![folder.path().to_owned(), folder.path().join("nothing"), "".into()];
    #[cfg(target_os = "linux")]
    {
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        paths.extend([pipe, link, "/dev/zero".into(), "/dev/null".into()]);
    }
    for path in paths {
        let refused = from_files(&[("REFRESH_TOKEN_SECRET_FILE", &path)], &[(ACCESS, A)]).unwrap_err();
        let message = refused.to_string();
        assert!(message.starts_with("REFRESH_TOKEN_SECRET_FILE "), "{message}");
        let shown = path.to_str().unwrap();
        assert!(
            shown.is_empty() || !format!("{message} {refused:?}").contains(shown),
            "{message}"
        );
    }
}

#[cfg(unix)]
#[test]
fn s1_a_file_of_container_platforms_is_taken_and_one_that_everybody_may_change_is_not() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("secret"), folder.path().join("link"));
    std::fs::write(&path, A).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for (mode, taken) in [
        (0o400, true),
        (0o444, true),
        (0o640, true),
        (0o666, false),
        (0o602, false),
    ] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for path in [&path, &link] {
            let made = from_files(&[("ACCESS_TOKEN_SECRET_FILE", path)], &[(REFRESH, R)]);
            assert_eq!(made.is_ok(), taken, "{mode:o}");
        }
    }
}

#[test]
fn s12_one_secret_for_both_halves_is_refused_also_across_versions() {
    assert_eq!(refusal(&[(ACCESS, A), (REFRESH, A)]).0, REFRESH);
    let across = [
        (VERSION, "v2"),
        ("ACCESS_TOKEN_SECRET_v1", A),
        ("REFRESH_TOKEN_SECRET_v1", R),
        ("ACCESS_TOKEN_SECRET_v2", A2),
        ("REFRESH_TOKEN_SECRET_v2", A),
    ];
    let (name, problem) = refusal(&across);
    assert_eq!(name, "REFRESH_TOKEN_SECRET_v2");
    assert!(problem.contains("ACCESS_TOKEN_SECRET_v1"), "{problem}");
}

#[test]
fn s12_what_is_no_secret_is_refused_by_name() {
    let pem = include_str!("../../../tests/fixtures/test-only-rsa2048-public.pem");
    let one_line = pem.replace('\n', "\\n");
    let jwk = include_str!("../../../tests/fixtures/test-only-p256.jwk.json");
    for unsound in [
        "                                        ",
        "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\n",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "0000000000000000000000000000000000000000",
        "abababababababababababababababababababab",
        "0123456789012345678901234567890123456789",
        "password password password password pass",
        "change_me_change_me_change_me_change_me",
        "change_me",
        "CHANGE-ME-in-production-or-else-everybody-knows",
        "please, change this before you deploy it",
        "replace_me_with_at_least_32_characters_!",
        "your-256-bit-secret-your-256-bit-secret",
        "your_secret_key_of_at_least_32_characters",
        "<a secret of at least thirty-two characters>",
        "placeholder-0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "${ACCESS_TOKEN_SECRET_FROM_THE_PIPELINE}",
        "${SECRET:-some default that nobody looked at}",
        "${{ secrets.ACCESS_TOKEN_SECRET_PROD }}",
        "$(openssl rand -base64 48 | tr -d '=+/')",
        "$(ACCESS_TOKEN_SECRET_FROM_THE_CONFIG_MAP)",
        "$ACCESS_TOKEN_SECRET_FROM_THE_ENVIRONMENT",
        "{{ .Values.secrets.accessTokenSecret.value }}",
        "%ACCESS_TOKEN_SECRET_FROM_THE_ENVIRONMENT%",
        "\"an access secret that is long enough\"",
        "'an access secret that is long enough'",
        " an access secret that is long enough",
        "an access secret that is long enough\n",
        "an access secret\nthat is long enough, on two lines",
        "\u{feff}an access secret that is long enough",
        "/run/secrets/a_long_enough_path_to_a_secret",
        "file:///run/secrets/a_long_enough_path_to_it",
        "op://vault/item/a-long-enough-reference-to-a-field",
        "@Microsoft.KeyVault(SecretUri=https://a.vault.azure.net/x)",
        "ACCESS_TOKEN_SECRET=an access secret that is long enough",
        pem,
        &one_line,
        jwk,
    ] {
        for (half, variables) in [
            (ACCESS, [(ACCESS, unsound), (REFRESH, R)]),
            (REFRESH, [(ACCESS, A), (REFRESH, unsound)]),
        ] {
            let (name, problem) = refusal(&variables);
            assert_eq!(name, half, "{unsound}");
            assert!(!problem.contains(unsound), "{problem}");
            assert!(!problem.contains("at least 32"), "{unsound}: {problem}");
        }
        let kept = [
            (VERSION, "v2"),
            ("ACCESS_TOKEN_SECRET_v2", A),
            ("REFRESH_TOKEN_SECRET_v2", R),
            (ACCESS, unsound),
        ];
        assert_eq!(refusal(&kept).0, ACCESS, "also one that only verifies");
    }
}
