//! Keys as an app meets them: what is accepted, what is refused and why, the key file, the published set.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, where failing loudly is the point"
)]

use std::fs;
use std::path::Path;
use std::sync::Barrier;

use auth_tower::{Algorithm, FileProblem, KeyError, KeyRing, RefreshKey, SigningKey, VerifyingKey};
use serde_json::{Value, json};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/test-only-", $name))
    };
}

fn jwk(fixture: &str) -> Value {
    serde_json::from_str(fixture).unwrap()
}

fn jwk_with(fixture: &str, changes: Value) -> String {
    let mut jwk = jwk(fixture);
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            jwk.as_object_mut().unwrap().remove(name);
        } else {
            jwk[name] = value.clone();
        }
    }
    jwk.to_string()
}

fn refresh() -> RefreshKey {
    RefreshKey::new([9; 32]).unwrap()
}

#[test]
fn at_17_an_hmac_secret_has_at_least_the_length_of_its_hash() {
    for (algorithm, len) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        assert!(SigningKey::hmac("k", algorithm, vec![1; len]).is_ok());
        assert!(VerifyingKey::hmac("k", algorithm, vec![1; len]).is_ok());
        for short in [0, 16, len - 1] {
            for refused in [
                SigningKey::hmac("k", algorithm, vec![1; short]).unwrap_err(),
                VerifyingKey::hmac("k", algorithm, vec![1; short]).unwrap_err(),
            ] {
                assert!(
                    matches!(refused, KeyError::ShortSecret { at_least, .. } if at_least == len),
                    "{refused}"
                );
            }
        }
    }
    assert!(matches!(
        SigningKey::hmac("k", Algorithm::EdDSA, [1; 32]),
        Err(KeyError::WrongKeyForAlgorithm(Algorithm::EdDSA))
    ));
    assert!(matches!(
        VerifyingKey::hmac("k", Algorithm::RS256, [1; 512]),
        Err(KeyError::WrongKeyForAlgorithm(Algorithm::RS256))
    ));
}

#[test]
fn rsa_keys_under_2048_bits_are_refused() {
    for algorithm in [Algorithm::RS256, Algorithm::PS256] {
        for refused in [
            SigningKey::from_pem("k", algorithm, fixture!("rsa1024.pem")).unwrap_err(),
            VerifyingKey::from_pem("k", algorithm, fixture!("rsa1024-public.pem")).unwrap_err(),
        ] {
            assert!(matches!(refused, KeyError::RsaSize { bits: 1024, .. }), "{refused}");
        }
    }
}

#[test]
fn every_form_of_pem_makes_a_key_of_its_algorithm_and_of_no_other() {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, RS256};
    let all = [HS256, HS384, HS512, RS256, PS256, ES256, ES384, EdDSA];
    for (private, public, fits) in [
        (
            fixture!("rsa2048.pem"),
            fixture!("rsa2048-public.pem"),
            &[RS256, PS256][..],
        ),
        (
            fixture!("rsa2048-pkcs1.pem"),
            fixture!("rsa2048-public-pkcs1.pem"),
            &[RS256, PS256],
        ),
        (fixture!("p256.pem"), fixture!("p256-public.pem"), &[ES256]),
        (fixture!("p256-sec1.pem"), fixture!("p256-public.pem"), &[ES256]),
        (fixture!("p384.pem"), fixture!("p384-public.pem"), &[ES384]),
        (fixture!("p384-sec1.pem"), fixture!("p384-public.pem"), &[ES384]),
        (fixture!("ed25519.pem"), fixture!("ed25519-public.pem"), &[EdDSA]),
    ] {
        for algorithm in all {
            let signing = SigningKey::from_pem("k", algorithm, private);
            let verifying = VerifyingKey::from_pem("k", algorithm, public);
            if fits.contains(&algorithm) {
                assert_eq!(signing.unwrap().algorithm(), algorithm);
                assert_eq!(verifying.unwrap().algorithm(), algorithm);
            } else {
                assert!(matches!(signing, Err(KeyError::WrongKeyForAlgorithm(_))), "{algorithm}");
                assert!(
                    matches!(verifying, Err(KeyError::WrongKeyForAlgorithm(_))),
                    "{algorithm}"
                );
            }
        }
        assert!(matches!(
            SigningKey::from_pem("k", fits[0], public),
            Err(KeyError::PrivateKeyMissing)
        ));
        assert!(matches!(
            VerifyingKey::from_pem("k", fits[0], private),
            Err(KeyError::UnexpectedPrivateKey)
        ));
        // Whitespace and line ends as other systems write them.
        assert!(SigningKey::from_pem("k", fits[0], format!("\n{}\n", private.replace('\n', "\r\n"))).is_ok());
    }
}

#[test]
fn the_parameters_that_openssl_puts_before_a_key_do_no_harm() {
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let pem = format!("{parameters}{}", fixture!("p256-sec1.pem"));
    assert!(SigningKey::from_pem("k", Algorithm::ES256, pem).is_ok());
    assert!(SigningKey::from_pem("k", Algorithm::ES256, parameters).is_err());
}

#[test]
fn pem_that_is_no_usable_key_is_refused_with_its_reason() {
    let key = fixture!("p256.pem");
    let refused = |pem: &str| SigningKey::from_pem("k", Algorithm::ES256, pem).unwrap_err();
    assert!(matches!(refused(fixture!("p256-encrypted.pem")), KeyError::Encrypted));
    assert!(matches!(
        refused(fixture!("p256-certificate.pem")),
        KeyError::Unsupported(_)
    ));
    assert!(matches!(refused(fixture!("p521.pem")), KeyError::Unsupported(_)));
    let public = VerifyingKey::from_pem("k", Algorithm::ES256, fixture!("p521-public.pem")).unwrap_err();
    assert!(matches!(public, KeyError::Unsupported(_)));
    for malformed in [
        String::new(),
        "not a key".into(),
        key.replace("-----END", "----END"),
        format!("{key}{key}"),
        key.replacen("MIG", "MIH", 1),
        key.replacen('\n', "\n!", 1),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".into(),
        fixture!("rsa2048.pem").replace("PRIVATE KEY", "RSA PRIVATE KEY"),
    ] {
        let error = refused(&malformed);
        assert!(matches!(error, KeyError::Malformed(_)), "{error:?}: {malformed}");
    }
    assert!(SigningKey::from_pem("k", Algorithm::ES256, [0xff; 100]).is_err());
}

#[test]
fn jwks_of_every_type_make_keys() {
    for (fixture, algorithm) in [
        (fixture!("rsa2048.jwk.json"), Algorithm::PS256),
        (fixture!("p256.jwk.json"), Algorithm::ES256),
        (fixture!("p384.jwk.json"), Algorithm::ES384),
        (fixture!("ed25519.jwk.json"), Algorithm::EdDSA),
    ] {
        let key = SigningKey::from_jwk(fixture).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.kid(), jwk(fixture)["kid"].as_str().unwrap());
        assert!(matches!(
            VerifyingKey::from_jwk(fixture),
            Err(KeyError::UnexpectedPrivateKey)
        ));

        let private_members = ["d", "p", "q", "dp", "dq", "qi"].map(|name| (name.to_owned(), Value::Null));
        let public = jwk_with(fixture, Value::Object(private_members.into_iter().collect()));
        assert_eq!(VerifyingKey::from_jwk(&public).unwrap().algorithm(), algorithm);
        assert!(matches!(
            SigningKey::from_jwk(&public),
            Err(KeyError::PrivateKeyMissing)
        ));
    }
    let secret = json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": "A".repeat(43)}).to_string();
    assert_eq!(SigningKey::from_jwk(&secret).unwrap().algorithm(), Algorithm::HS256);
    assert_eq!(VerifyingKey::from_jwk(&secret).unwrap().algorithm(), Algorithm::HS256);
    let short = json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": "A".repeat(42)}).to_string();
    assert!(SigningKey::from_jwk(&short).is_err());
}

#[test]
fn a_jwk_that_contradicts_its_use_is_refused() {
    let ed25519 = fixture!("ed25519.jwk.json");
    for (changes, allowed) in [
        (json!({"use": "sig"}), true),
        (json!({"use": null}), true),
        (json!({"use": "enc"}), false),
        (json!({"key_ops": ["sign"]}), true),
        (json!({"key_ops": ["verify", "sign"]}), true),
        (json!({"key_ops": ["verify"]}), false),
        (json!({"key_ops": []}), false),
        (json!({"alg": null}), true),
        (json!({"alg": "ES256"}), false),
        (json!({"alg": "none"}), false),
        (json!({"alg": "RS512"}), false),
        (json!({"crv": "Ed448"}), false),
        (json!({"crv": "X25519"}), false),
        (json!({"kty": "EC"}), false),
        (json!({"unknown": {"to": "us"}}), true),
    ] {
        let result = SigningKey::from_jwk(&jwk_with(ed25519, changes.clone()));
        assert_eq!(result.is_ok(), allowed, "{changes}: {result:?}");
    }
    let verify_only = json!({"d": null, "key_ops": ["verify"]});
    assert!(VerifyingKey::from_jwk(&jwk_with(ed25519, verify_only)).is_ok());
    let sign_only = json!({"d": null, "key_ops": ["sign"]});
    assert!(VerifyingKey::from_jwk(&jwk_with(ed25519, sign_only)).is_err());
    assert!(matches!(
        SigningKey::from_jwk(&jwk_with(fixture!("p256.jwk.json"), json!({"alg": "ES384"}))),
        Err(KeyError::WrongKeyForAlgorithm(Algorithm::ES384))
    ));
    assert!(matches!(
        SigningKey::from_jwk(&jwk_with(fixture!("rsa2048.jwk.json"), json!({"alg": null}))),
        Err(KeyError::JwkMember("alg"))
    ));
}

#[test]
fn a_jwk_with_a_member_missing_or_broken_is_refused() {
    for (fixture, members) in [
        (
            fixture!("rsa2048.jwk.json"),
            &["kid", "kty", "n", "e", "d", "p", "q", "dp", "dq", "qi"][..],
        ),
        (fixture!("p256.jwk.json"), &["kid", "kty", "crv", "x", "y", "d"]),
        (fixture!("ed25519.jwk.json"), &["kid", "kty", "crv", "x", "d"]),
    ] {
        for member in members {
            for broken in [Value::Null, json!(""), json!(7), json!("+/=="), json!("AAAA")] {
                // Any text is an id; and not every back end takes the redundant numbers from the key.
                let any_text = *member == "kid" && (broken == "+/==" || broken == "AAAA");
                let redundant = ["dp", "dq", "qi"].contains(member) && broken == "AAAA";
                if any_text || redundant {
                    continue;
                }
                let changed = jwk_with(fixture, json!({ *member: broken }));
                assert!(SigningKey::from_jwk(&changed).is_err(), "{member}: {broken}");
            }
        }
    }
    let twice = fixture!("ed25519.jwk.json").replacen('{', r#"{"kid":"again","#, 1);
    for json in ["", "{}", "[]", "null", r#"{"kty":"oct"}"#, &twice] {
        assert!(SigningKey::from_jwk(json).is_err(), "{json}");
    }
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    let other = SigningKey::generate("other", Algorithm::ES256).unwrap();
    let ring = KeyRing::builder().signing(other).build().unwrap();
    let published: Value = serde_json::from_str(&ring.jwks()).unwrap();
    let (x, y) = (&published["keys"][0]["x"], &published["keys"][0]["y"]);
    assert!(matches!(
        SigningKey::from_jwk(&jwk_with(fixture!("p256.jwk.json"), json!({"x": x, "y": y}))),
        Err(KeyError::HalvesDiffer)
    ));
    let ed25519 = jwk_with(fixture!("ed25519.jwk.json"), json!({"x": x}));
    assert!(matches!(SigningKey::from_jwk(&ed25519), Err(KeyError::HalvesDiffer)));
    // A modulus that is not the product of the primes.
    let n = jwk(fixture!("rsa2048.jwk.json"))["n"].as_str().unwrap().to_owned();
    let other = format!("{}{}", &n[..100], n[100..].replacen(|c| c != 'A', "A", 1));
    assert_ne!(n, other);
    assert!(SigningKey::from_jwk(&jwk_with(fixture!("rsa2048.jwk.json"), json!({"n": other}))).is_err());
}

#[test]
fn a_kid_is_1_to_64_printable_ascii_characters() {
    for kid in ["a", "2026-11/primary", &"k".repeat(64)] {
        assert!(SigningKey::hmac(kid, Algorithm::HS256, [1; 32]).is_ok());
    }
    for kid in ["", "a b", "a\n", "schlüssel", "\0", &"k".repeat(65)] {
        assert!(
            matches!(
                SigningKey::hmac(kid, Algorithm::HS256, [1; 32]),
                Err(KeyError::InvalidKeyId)
            ),
            "{kid:?}"
        );
        assert!(matches!(
            VerifyingKey::hmac(kid, Algorithm::HS256, [1; 32]),
            Err(KeyError::InvalidKeyId)
        ));
    }
}

#[test]
fn keys_are_generated_for_everything_but_rsa() {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, RS256};
    for algorithm in [HS256, HS384, HS512, ES256, ES384, EdDSA] {
        assert_eq!(SigningKey::generate("k", algorithm).unwrap().algorithm(), algorithm);
    }
    for algorithm in [RS256, PS256] {
        assert!(matches!(
            SigningKey::generate("k", algorithm),
            Err(KeyError::CannotGenerate(_))
        ));
    }
    assert_ne!(KeyRing::generate().unwrap().jwks(), KeyRing::generate().unwrap().jwks());
}

#[test]
fn algorithms_have_names_and_none_is_not_one() {
    for name in ["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        assert_eq!(name.parse::<Algorithm>().unwrap().to_string(), name);
    }
    for name in ["none", "hs256", "RS512", "", "ES512"] {
        assert!(name.parse::<Algorithm>().is_err());
    }
}

#[test]
fn b10_a_key_whose_point_is_compressed_is_a_key() {
    for (algorithm, private, public, whole) in [
        (
            Algorithm::ES256,
            [fixture!("p256-compressed.pem"), fixture!("p256-compressed-sec1.pem")],
            &[
                fixture!("p256-compressed-public.pem"),
                fixture!("p256-hybrid-public.pem"),
            ][..],
            fixture!("p256-public.pem"),
        ),
        (
            Algorithm::ES384,
            [fixture!("p384-compressed.pem"), fixture!("p384-compressed-sec1.pem")],
            &[fixture!("p384-compressed-public.pem")],
            fixture!("p384-public.pem"),
        ),
    ] {
        let published = |key: VerifyingKey| KeyRing::builder().verifying(key).build().unwrap().jwks();
        let expected = published(VerifyingKey::from_pem("k", algorithm, whole).unwrap());
        for pem in private {
            let key = SigningKey::from_pem("k", algorithm, pem).unwrap();
            assert_eq!(published(key.verifying_key()), expected);
        }
        for pem in public {
            assert_eq!(
                published(VerifyingKey::from_pem("k", algorithm, pem).unwrap()),
                expected
            );
        }
    }
}

#[test]
fn b10_ed25519_is_a_name_of_eddsa() {
    let named = jwk_with(fixture!("ed25519.jwk.json"), json!({"alg": "Ed25519"}));
    assert_eq!(SigningKey::from_jwk(&named).unwrap().algorithm(), Algorithm::EdDSA);
    let public = jwk_with(&named, json!({"d": null}));
    assert_eq!(VerifyingKey::from_jwk(&public).unwrap().algorithm(), Algorithm::EdDSA);
    assert_eq!("Ed25519".parse::<Algorithm>().unwrap(), Algorithm::EdDSA);
    for other in ["Ed448", "ed25519", "ESP256", "Ed25519 "] {
        let named = jwk_with(fixture!("ed25519.jwk.json"), json!({"alg": other}));
        assert!(SigningKey::from_jwk(&named).is_err(), "{other}");
    }
    let other_key = jwk_with(fixture!("p256.jwk.json"), json!({"alg": "Ed25519"}));
    assert!(matches!(
        SigningKey::from_jwk(&other_key),
        Err(KeyError::WrongKeyForAlgorithm(Algorithm::EdDSA))
    ));
}

#[test]
fn b10_an_encrypted_key_is_called_encrypted_whichever_way_it_is() {
    for (algorithm, pem) in [
        (Algorithm::ES256, fixture!("p256-encrypted.pem")),
        (Algorithm::ES256, fixture!("p256-encrypted-sec1.pem")),
        (Algorithm::RS256, fixture!("rsa2048-encrypted-pkcs1.pem")),
    ] {
        for pem in [pem.to_owned(), pem.replace('\n', "\r\n"), pem.replace('\n', "\\n")] {
            let refused = SigningKey::from_pem("k", algorithm, &pem).unwrap_err();
            assert!(matches!(refused, KeyError::Encrypted), "{refused}: {pem}");
            let refused = VerifyingKey::from_pem("k", algorithm, &pem).unwrap_err();
            assert!(matches!(refused, KeyError::Encrypted), "{refused}: {pem}");
        }
    }
}

#[test]
fn b10_a_pem_out_of_a_variable_or_an_editor_is_the_same_key() {
    for (algorithm, private, public) in [
        (Algorithm::ES256, fixture!("p256.pem"), fixture!("p256-public.pem")),
        (
            Algorithm::RS256,
            fixture!("rsa2048-pkcs1.pem"),
            fixture!("rsa2048-public.pem"),
        ),
    ] {
        let ways: [fn(&str) -> String; 5] = [
            |pem| pem.replace('\n', "\\n"),
            |pem| pem.replace('\n', "\\r\\n"),
            |pem| format!("\"{}\"", pem.trim().replace('\n', "\\n")),
            |pem| format!("\u{feff}{pem}"),
            |pem| format!("\u{feff}{}", pem.replace('\n', "\r\n")),
        ];
        for way in ways {
            assert!(
                SigningKey::from_pem("k", algorithm, way(private)).is_ok(),
                "{}",
                way(private)
            );
            assert!(
                VerifyingKey::from_pem("k", algorithm, way(public)).is_ok(),
                "{}",
                way(public)
            );
        }
    }
    let marked = format!("\u{feff}{}", fixture!("ed25519.jwk.json"));
    assert!(SigningKey::from_jwk(&marked).is_ok());
}

#[test]
fn s12_a_pem_text_is_no_shared_secret_in_any_ring() {
    for pem in [fixture!("rsa2048-public.pem"), fixture!("p256.pem")] {
        let key = SigningKey::hmac("k", Algorithm::HS256, pem).unwrap();
        let verifying = VerifyingKey::hmac("k", Algorithm::HS256, pem).unwrap();
        for ring in [
            KeyRing::builder().verifying(verifying),
            KeyRing::builder().verifying(key.verifying_key()),
            KeyRing::builder().signing(key),
        ] {
            assert!(matches!(ring.build(), Err(KeyError::PemAsSecret(kid)) if kid == "k"));
        }
    }
}

#[test]
fn a_ring_needs_keys_that_go_together() {
    let key = |kid: &str| SigningKey::hmac(kid, Algorithm::HS256, [1; 32]).unwrap();
    assert!(matches!(KeyRing::builder().build(), Err(KeyError::NoKeys)));
    assert!(matches!(
        KeyRing::builder().refresh(refresh()).build(),
        Err(KeyError::NoKeys)
    ));
    let duplicate = KeyRing::builder()
        .signing(key("a"))
        .verifying(key("a").verifying_key())
        .build();
    assert!(matches!(duplicate, Err(KeyError::DuplicateKeyId(kid)) if kid == "a"));
    let orphan = KeyRing::builder().signing(key("a")).previous_refresh(refresh()).build();
    assert!(matches!(orphan, Err(KeyError::NoActiveRefreshKey)));

    let resource = KeyRing::builder().verifying(key("a").verifying_key()).build().unwrap();
    assert!(!resource.has_signing_key() && !resource.has_refresh_key());
    let authority = KeyRing::builder().signing(key("a")).refresh(refresh()).build().unwrap();
    assert!(authority.has_signing_key() && authority.has_refresh_key());
}

#[test]
fn clones_of_a_ring_are_replaced_together_and_other_rings_are_not() {
    let (ring, next) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
    let (clone, other) = (ring.clone(), KeyRing::generate().unwrap());
    let (expected, untouched) = (next.jwks(), other.jwks());
    ring.replace(next.clone()).unwrap();
    assert_eq!(clone.jwks(), expected);
    assert_eq!(other.jwks(), untouched);
    // The one whose keys were taken goes its own way afterwards.
    ring.replace(other).unwrap();
    assert_eq!(next.jwks(), expected);
}

#[test]
fn ky_01_ky_02_only_public_parts_are_published() {
    let ring = KeyRing::builder()
        .signing(SigningKey::from_pem("rsa", Algorithm::RS256, fixture!("rsa2048.pem")).unwrap())
        .verifying(SigningKey::from_jwk(fixture!("p256.jwk.json")).unwrap().verifying_key())
        .verifying(VerifyingKey::from_pem("p384", Algorithm::ES384, fixture!("p384-public.pem")).unwrap())
        .verifying(
            SigningKey::from_jwk(fixture!("ed25519.jwk.json"))
                .unwrap()
                .verifying_key(),
        )
        .verifying(VerifyingKey::hmac("mac", Algorithm::HS256, [1; 32]).unwrap())
        .refresh(refresh())
        .build()
        .unwrap();
    let set: Value = serde_json::from_str(&ring.jwks()).unwrap();
    let keys = set["keys"].as_array().unwrap();
    let kids: Vec<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(
        kids,
        ["rsa", "jwk-p256", "p384", "jwk-ed25519"],
        "the signing key first, no shared secret"
    );
    for key in keys {
        assert_eq!(key["use"], "sig");
        assert!(key["alg"].is_string());
        for (name, _) in key.as_object().unwrap() {
            assert!(
                ["kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"].contains(&name.as_str()),
                "{name}"
            );
        }
    }
    // The same numbers as another implementation gives them.
    for (key, expected) in [
        (&keys[0], fixture!("rsa2048.jwk.json")),
        (&keys[1], fixture!("p256.jwk.json")),
        (&keys[2], fixture!("p384.jwk.json")),
        (&keys[3], fixture!("ed25519.jwk.json")),
    ] {
        for member in ["kty", "crv", "x", "y", "n", "e"] {
            assert_eq!(key.get(member), jwk(expected).get(member), "{member}");
        }
    }
}

#[test]
fn nothing_secret_shows_in_debug() {
    let secret = "canary-canary-canary-canary-canary";
    let ring = KeyRing::builder()
        .signing(SigningKey::hmac("k1", Algorithm::HS256, secret).unwrap())
        .verifying(VerifyingKey::hmac("k2", Algorithm::HS256, secret).unwrap())
        .refresh(RefreshKey::new(secret).unwrap());
    let builder = format!("{ring:?}");
    let shown = format!("{builder} {:?} {:?}", ring.build().unwrap(), RefreshKey::new(secret));
    assert!(!shown.contains("canary") && !shown.contains("99, 97"), "{shown}");
    assert!(shown.contains("k1") && shown.contains("HS256"), "{shown}");
}

#[test]
fn a_key_file_is_made_once_with_mode_0600_and_read_ever_after() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth-keys.json");
    let made = KeyRing::load_or_generate(&path).unwrap();
    assert!(made.has_signing_key() && made.has_refresh_key());
    let contents = fs::read(&path).unwrap();
    assert_eq!(KeyRing::load_or_generate(&path).unwrap().jwks(), made.jwks());
    assert_eq!(fs::read(&path).unwrap(), contents);
    assert_only(&path);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        // Open to others it is reported, not refused.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(KeyRing::load_or_generate(&path).unwrap().jwks(), made.jwks());
    }
}

#[cfg(unix)]
#[test]
fn s12_a_key_file_that_others_may_change_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth-keys.json");
    let made = KeyRing::load_or_generate(&path).unwrap().jwks();
    let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o666, 0o602, 0o660, 0o620, 0o777] {
        set(mode);
        let refused = KeyRing::load_or_generate(&path).unwrap_err();
        assert!(
            matches!(&refused, KeyError::File { problem: FileProblem::Writable { mode: shown }, .. } if *shown == mode),
            "{refused}"
        );
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
    for mode in [0o400, 0o600, 0o640, 0o644, 0o444] {
        set(mode);
        assert_eq!(KeyRing::load_or_generate(&path).unwrap().jwks(), made, "{mode:o}");
    }
    set(0o600);
    // Only root can give a file away; for anybody else the rule cannot be broken here.
    if std::os::unix::fs::chown(&path, Some(54_321), None).is_ok() {
        let refused = KeyRing::load_or_generate(&path).unwrap_err();
        assert!(
            matches!(
                &refused,
                KeyError::File {
                    problem: FileProblem::ForeignOwner,
                    ..
                }
            ),
            "{refused}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn s12_a_pipe_or_a_device_as_key_file_is_refused_and_not_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = tempfile::tempdir().unwrap();
    let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    for path in [
        &*pipe,
        &*link,
        Path::new("/dev/zero"),
        Path::new("/dev/null"),
        Path::new("/dev/tty"),
    ] {
        let refused = KeyRing::load_or_generate(path).unwrap_err();
        assert!(matches!(refused, KeyError::File { .. }), "{refused}");
    }
}

#[test]
fn b10_a_byte_order_mark_does_no_harm_to_a_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth-keys.json");
    let made = KeyRing::load_or_generate(&path).unwrap().jwks();
    let contents = fs::read(&path).unwrap();
    fs::write(&path, [b"\xef\xbb\xbf", contents.as_slice()].concat()).unwrap();
    assert_eq!(KeyRing::load_or_generate(&path).unwrap().jwks(), made);
}

/// No draft is left beside the file.
fn assert_only(path: &Path) {
    let names: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(names, [path]);
}

#[test]
fn whoever_starts_at_once_ends_with_the_same_keys() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth-keys.json");
        let start = Barrier::new(8);
        let sets: Vec<_> = std::thread::scope(|scope| {
            let starters: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        KeyRing::load_or_generate(&path).unwrap().jwks()
                    })
                })
                .collect();
            starters.into_iter().map(|starter| starter.join().unwrap()).collect()
        });
        assert!(sets.iter().all(|set| *set == sets[0]));
        assert_only(&path);
    }
}

#[test]
fn a_damaged_key_file_is_refused_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.json");
    KeyRing::load_or_generate(&good).unwrap();
    let good = fs::read_to_string(good).unwrap();
    let path = folder.path().join("auth-keys.json");
    for damaged in [
        String::new(),
        "\n".into(),
        "{}".into(),
        "[]".into(),
        "null".into(),
        "not json".into(),
        good[..good.len() / 2].to_owned(),
        format!("{good}{good}"),
        r#"{"keys":[],"refresh_keys":[]}"#.into(),
        good.replace("refresh_keys", "refresh_kez"),
        good.replace("\"kty\": \"oct\"", "\"kty\": \"EC\""),
        good.replace("\"d\"", "\"dd\""),
        good.replace("EdDSA", "ES256"),
        good.replacen("\"k\": \"", "\"k\": \"!", 1),
        good.replacen('{', r#"{"keys": [],"#, 1),
        good.replacen('{', r#"{"more": 1,"#, 1),
        " ".repeat(2 << 20),
    ] {
        fs::write(&path, &damaged).unwrap();
        let refused = KeyRing::load_or_generate(&path).unwrap_err();
        let secret = good.split("\"k\": \"").nth(1).unwrap().get(..20).unwrap();
        assert!(!format!("{refused} {refused:?}").contains(secret), "{refused:?}");
        assert!(refused.to_string().contains("auth-keys.json"), "{refused}");
        assert!(matches!(
            refused,
            KeyError::File {
                problem: FileProblem::Damaged(_) | FileProblem::Refused(_),
                ..
            }
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
    fs::write(&path, [0xff; 64]).unwrap();
    assert!(KeyRing::load_or_generate(&path).is_err());
    assert_eq!(fs::read(&path).unwrap(), [0xff; 64]);
}

#[test]
fn a_path_that_cannot_hold_a_key_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(KeyRing::load_or_generate(folder.path()).is_err());
    assert!(KeyRing::load_or_generate(folder.path().join("missing/auth-keys.json")).is_err());
    assert!(KeyRing::load_or_generate("").is_err());
    assert!(KeyRing::load_or_generate("..").is_err());
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(KeyRing::load_or_generate(file.join("auth-keys.json")).is_err());
    #[cfg(unix)]
    {
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        assert!(KeyRing::load_or_generate(&link).is_err());
        assert!(!folder.path().join("nowhere").exists());
    }
}
