//! Keys, algorithms, encodings: whether a token is authentic at all.

use proptest::prelude::*;

use super::*;
use crate::keys::verifying::VerifyingKey;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/test-only-", $name))
    };
}

/// A key of every algorithm, with the key that only verifies.
fn every_algorithm() -> Vec<(SigningKey, VerifyingKey)> {
    let pem = |algorithm, private, public| {
        (
            SigningKey::from_pem("pem", algorithm, private).unwrap(),
            VerifyingKey::from_pem("pem", algorithm, public).unwrap(),
        )
    };
    let hmac = |algorithm, len| {
        let secret = vec![5; len];
        (
            SigningKey::hmac("mac", algorithm, &secret).unwrap(),
            VerifyingKey::hmac("mac", algorithm, &secret).unwrap(),
        )
    };
    vec![
        hmac(Algorithm::HS256, 32),
        hmac(Algorithm::HS384, 48),
        hmac(Algorithm::HS512, 64),
        pem(
            Algorithm::RS256,
            fixture!("rsa2048.pem"),
            fixture!("rsa2048-public.pem"),
        ),
        pem(
            Algorithm::PS256,
            fixture!("rsa2048-pkcs1.pem"),
            fixture!("rsa2048-public-pkcs1.pem"),
        ),
        pem(Algorithm::ES256, fixture!("p256.pem"), fixture!("p256-public.pem")),
        pem(Algorithm::ES256, fixture!("p256-sec1.pem"), fixture!("p256-public.pem")),
        pem(Algorithm::ES384, fixture!("p384.pem"), fixture!("p384-public.pem")),
        pem(Algorithm::ES384, fixture!("p384-sec1.pem"), fixture!("p384-public.pem")),
        pem(
            Algorithm::EdDSA,
            fixture!("ed25519.pem"),
            fixture!("ed25519-public.pem"),
        ),
    ]
}

fn ring_of(key: VerifyingKey) -> KeyRing {
    KeyRing::builder().verifying(key).build().unwrap()
}

#[test]
fn at_01_at_07_at_19_at_20_every_algorithm_issues_what_a_service_with_the_public_half_believes() {
    for (signing, verifying) in every_algorithm() {
        let authority = KeyRing::builder().signing(signing).build().unwrap();
        let issued = issue(&authority, &app());
        assert_eq!(issued.expires_in, 900);

        let header = URL_SAFE_NO_PAD.decode(issued.token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(
            header,
            json!({"typ": "at+jwt", "alg": verifying.algorithm().name(), "kid": verifying.kid()})
        );
        let payload = URL_SAFE_NO_PAD.decode(issued.token.split('.').nth(1).unwrap()).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "sid", "gen"] {
            assert!(payload.get(claim).is_some(), "{claim}");
        }

        let algorithm = verifying.algorithm();
        let verifier = verifier_with(&ring_of(verifying), rules());
        match verifier.verify(issued.token.as_bytes(), at(NOW)) {
            Verdict::Valid(verified) => {
                assert_eq!(verified.registered, issued.verified.registered, "{algorithm}");
                assert_eq!(verified.subject_key, Subject::new("alice").unwrap().key());
                assert_eq!(verified.registered.audience().collect::<Vec<_>>(), ["api", "api-2"]);
            }
            other => panic!("{algorithm}: {other:?}"),
        }
        assert_eq!(user(verifier.verify(issued.token.as_bytes(), at(NOW))).name, "Alice");
    }
}

#[test]
fn tokens_and_keys_of_another_implementation_work() {
    for (token, jwk) in [
        (fixture!("rsa2048.jwt"), fixture!("rsa2048.jwk.json")),
        (fixture!("p256.jwt"), fixture!("p256.jwk.json")),
        (fixture!("p384.jwt"), fixture!("p384.jwk.json")),
        (fixture!("ed25519.jwt"), fixture!("ed25519.jwk.json")),
    ] {
        let key = SigningKey::from_jwk(jwk).unwrap();
        let published = KeyRing::builder()
            .signing(SigningKey::from_jwk(jwk).unwrap())
            .build()
            .unwrap()
            .jwks();
        let published: Value = serde_json::from_str(&published).unwrap();
        let public = VerifyingKey::from_jwk(&published["keys"][0].to_string()).unwrap();
        for ring in [ring_of(key.verifying_key()), ring_of(public)] {
            assert_valid(&verifier_with(&ring, rules()), token.trim());
        }
    }
}

#[test]
fn at_03_unsigned_tokens_are_refused() {
    let key = key();
    for alg in ["none", "None", "NONE", "nOnE"] {
        let header = json!({"typ": "at+jwt", "alg": alg, "kid": "k1"}).to_string();
        let signed = sign(&key, &header, claims().to_string());
        assert_invalid(&verifier(super::key()), &signed);
        let (unsigned, _) = signed.rsplit_once('.').unwrap();
        assert_invalid(&verifier(super::key()), unsigned);
        assert_invalid(&verifier(super::key()), format!("{unsigned}."));
        assert_invalid(&verifier(super::key()), format!("{unsigned}.AA"));
    }
}

#[test]
fn at_04_a_public_key_is_not_taken_for_an_hmac_secret() {
    let public_pem = fixture!("rsa2048-public.pem");
    let authority = VerifyingKey::from_pem("k1", Algorithm::RS256, public_pem).unwrap();
    for secret in [public_pem.to_owned(), public_pem.trim().to_owned()] {
        let forger = SigningKey::hmac("k1", Algorithm::HS256, secret).unwrap();
        let token = sign(&forger, header(&forger).to_string(), claims().to_string());
        assert_invalid(&verifier_with(&ring_of(authority.clone()), rules()), &token);
        // Nor with the header that the key would want.
        let token = sign(
            &forger,
            json!({"typ": "at+jwt", "alg": "RS256", "kid": "k1"}).to_string(),
            claims().to_string(),
        );
        assert_invalid(&verifier_with(&ring_of(authority.clone()), rules()), &token);
    }
}

#[test]
fn at_04_a_key_has_one_algorithm_even_within_its_family() {
    for (of_key, other) in [
        (Algorithm::RS256, Algorithm::PS256),
        (Algorithm::PS256, Algorithm::RS256),
    ] {
        let forger = SigningKey::from_pem("k1", other, fixture!("rsa2048.pem")).unwrap();
        let authority = VerifyingKey::from_pem("k1", of_key, fixture!("rsa2048-public.pem")).unwrap();
        for alg in [of_key, other] {
            let header = json!({"typ": "at+jwt", "alg": alg.name(), "kid": "k1"}).to_string();
            let token = sign(&forger, header, claims().to_string());
            assert_invalid(&verifier_with(&ring_of(authority.clone()), rules()), &token);
        }
    }
    let secret = [7; 64];
    let forger = SigningKey::hmac("k1", Algorithm::HS512, secret).unwrap();
    let token = sign(&forger, header(&forger).to_string(), claims().to_string());
    let authority = VerifyingKey::hmac("k1", Algorithm::HS256, secret).unwrap();
    assert_invalid(&verifier_with(&ring_of(authority), rules()), &token);
}

#[test]
fn at_04_a_header_that_names_another_algorithm_than_its_keys_is_refused_though_the_signature_is_good() {
    for (signing, verifying) in every_algorithm() {
        for other in ["HS256", "HS384", "RS256", "PS256", "ES256", "ES384", "EdDSA"] {
            let header = json!({"typ": "at+jwt", "alg": other, "kid": signing.kid()}).to_string();
            let token = sign(&signing, header, claims().to_string());
            let verifier = verifier_with(&ring_of(verifying.clone()), rules());
            if other == signing.algorithm().name() {
                assert_valid(&verifier, token);
            } else {
                assert_invalid(&verifier, token);
            }
        }
    }
}

#[test]
fn at_05_a_key_that_the_token_brings_along_is_not_used() {
    let forger = SigningKey::from_pem("k1", Algorithm::ES256, fixture!("p256.pem")).unwrap();
    let own = KeyRing::builder().signing(SigningKey::from_pem("k1", Algorithm::ES256, fixture!("p256.pem")).unwrap());
    let own: Value = serde_json::from_str(&own.build().unwrap().jwks()).unwrap();
    let authority = SigningKey::generate("k1", Algorithm::ES256).unwrap();
    for member in [
        json!({"jwk": own["keys"][0]}),
        json!({"jku": "https://evil.example/jwks.json"}),
        json!({"x5u": "https://evil.example/cert.pem"}),
        json!({"x5c": ["MIIB"]}),
    ] {
        let mut header = header(&forger);
        header
            .as_object_mut()
            .unwrap()
            .extend(member.as_object().unwrap().clone());
        let token = sign(&forger, header.to_string(), claims().to_string());
        assert_invalid(&verifier_with(&ring_of(authority.verifying_key()), rules()), &token);
        // Also when the right key signed it.
        let token = sign(&authority, header.to_string(), claims().to_string());
        assert_invalid(&verifier_with(&ring_of(authority.verifying_key()), rules()), &token);
    }
}

#[test]
fn at_06_a_demand_to_understand_something_is_refused() {
    for crit in [json!(["x"]), json!(["exp"]), json!([]), json!("x"), json!(null)] {
        let header = json!({"typ": "at+jwt", "alg": "HS256", "kid": "k1", "x": 1, "crit": crit}).to_string();
        assert_invalid(&verifier(key()), sign(&key(), header, claims().to_string()));
    }
}

#[test]
fn at_02_at_13_another_type_of_token_is_refused_though_it_is_signed_well() {
    for typ in [
        json!("JWT"),
        json!("at"),
        json!("dpop+jwt"),
        json!("token-introspection+jwt"),
        json!(null),
        json!(1),
    ] {
        let header = json!({"typ": typ, "alg": "HS256", "kid": "k1"}).to_string();
        assert_invalid(&verifier(key()), sign(&key(), header, claims().to_string()));
    }
    assert_invalid(
        &verifier(key()),
        sign(&key(), r#"{"alg":"HS256","kid":"k1"}"#, claims().to_string()),
    );
    for typ in ["AT+jwt", "application/at+jwt"] {
        let header = json!({"typ": typ, "alg": "HS256", "kid": "k1"}).to_string();
        assert_valid(&verifier(key()), sign(&key(), header, claims().to_string()));
    }
}

#[test]
fn a_kid_that_is_not_in_the_ring_is_told_apart_and_a_missing_one_is_invalid() {
    let verifier = verifier(key());
    for kid in ["k2", "", "K1", &"k".repeat(300)] {
        let header = json!({"typ": "at+jwt", "alg": "HS256", "kid": kid}).to_string();
        let verdict = verifier.verify(sign(&key(), header, claims().to_string()).as_bytes(), at(NOW));
        assert!(matches!(verdict, Verdict::UnknownKey), "{kid}: {verdict:?}");
    }
    assert_invalid(
        &verifier,
        sign(&key(), r#"{"typ":"at+jwt","alg":"HS256"}"#, claims().to_string()),
    );
    assert_invalid(
        &verifier,
        sign(
            &key(),
            r#"{"typ":"at+jwt","alg":"HS256","kid":7}"#,
            claims().to_string(),
        ),
    );
}

#[test]
fn at_18_an_ecdsa_signature_in_der_is_refused() {
    /// RFC 3279 §2.2.3 of a fixed-size R‖S.
    fn der(fixed: &[u8]) -> Vec<u8> {
        let (r, s) = fixed.split_at(fixed.len() / 2);
        let integer = |number: &[u8]| {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            let mut number = number[zeros..].to_vec();
            if number[0] & 0x80 != 0 {
                number.insert(0, 0);
            }
            [&[2, u8::try_from(number.len()).unwrap()], number.as_slice()].concat()
        };
        let body = [integer(r), integer(s)].concat();
        [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
    }
    for algorithm in [Algorithm::ES256, Algorithm::ES384] {
        let key = SigningKey::generate("k1", algorithm).unwrap();
        let verifier = verifier_with(&ring_of(key.verifying_key()), rules());
        let token = sign(&key, header(&key).to_string(), claims().to_string());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let encode = |signature: &[u8]| format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_invalid(&verifier, encode(&der(&signature)));
        assert_invalid(&verifier, encode(&signature[1..]));
        assert_invalid(&verifier, encode(&[&signature[..], &[0]].concat()));
        assert_invalid(&verifier, encode(&vec![0; signature.len()]));
        assert_valid(&verifier, &token);
    }
}

#[test]
fn at_14_every_character_counts_for_every_algorithm() {
    for (signing, verifying) in every_algorithm() {
        let token = sign(&signing, header(&signing).to_string(), claims().to_string()).into_bytes();
        let verifier = verifier_with(&ring_of(verifying), rules());
        // Each position once, each bit in turn: every class of byte in every segment.
        for index in 0..token.len() {
            let mut forged = token.clone();
            forged[index] ^= 1 << (index % 8);
            let verdict = verifier.verify(&forged, at(NOW));
            assert!(
                matches!(verdict, Verdict::Invalid(_) | Verdict::UnknownKey),
                "character {index} of {}: {verdict:?}",
                signing.algorithm()
            );
        }
        assert_valid(&verifier, &token);
    }
}

#[test]
fn at_15_only_the_canonical_spelling_counts() {
    let good = token(claims());
    let verifier = verifier(key());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = signed.split_once('.').unwrap();
    // The last character of an HS256 signature carries two bits that mean nothing: each of its twins must be refused.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = signature.split_at(signature.len() - 1);
    for twin in alphabet.chars().filter(|twin| !last.starts_with(*twin)) {
        assert_invalid(&verifier, format!("{signed}.{start}{twin}"));
    }
    for bad in [
        format!("{good}="),
        format!("{good}=="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{head}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{signed}."),
        signed.to_owned(),
        head.to_owned(),
        format!("{head}.{payload}\n.{signature}"),
        format!("{head}=.{payload}.{signature}"),
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        format!("{}\0", good),
    ] {
        assert_invalid(&verifier, bad);
    }
    assert_invalid(&verifier, [good.as_bytes(), &[0xff]].concat());
    assert_invalid(&verifier, [0xff; 64]);
    assert_valid(&verifier, &good);
}

#[test]
fn at_15_standard_base64_is_refused() {
    // `>?` makes sure of characters that the two alphabets spell differently.
    let claims = claims_with(json!({"name": "~~~???>>>ÿÿÿ"})).to_string();
    let good = sign(&key(), header(&key()).to_string(), claims);
    let standard = good.replace('-', "+").replace('_', "/");
    assert_ne!(good, standard);
    assert_invalid(&verifier(key()), standard);
}

#[test]
fn at_16_a_token_over_8_kib_is_refused_and_one_within_is_not() {
    let of_len = |len: usize| {
        let mut filler = len / 2;
        loop {
            let token = token(claims_with(json!({"name": "x".repeat(filler)})));
            match token.len() {
                found if found < len => filler += 1,
                found => break (token, found),
            }
        }
    };
    let (within, len) = of_len(8190);
    assert!(len <= 8192, "{len}");
    assert_valid(&verifier(key()), within);
    let (over, len) = of_len(8193);
    assert!(len < 8200, "{len}");
    assert_invalid(&verifier(key()), over);
    assert_invalid(&verifier(key()), "a".repeat(100_000));
    // Before any signature work: a wrong signature makes no difference to the reason.
    let verdict = verifier(key()).verify(&[b'.'; 100_000], at(NOW));
    assert!(matches!(verdict, Verdict::Invalid("longer than 8 KiB")), "{verdict:?}");
}

#[test]
fn at_13_a_refresh_token_is_no_access_token() {
    use crate::keys::refresh_key::RefreshKey;
    use crate::token::refresh::SessionSecret;
    let ring = KeyRing::builder()
        .signing(key())
        .refresh(RefreshKey::new([7; 32]).unwrap())
        .build()
        .unwrap();
    let secret = SessionSecret::generate(&Subject::new("alice").unwrap().key());
    let refresh = ring.mint_refresh(&secret, 1).unwrap();
    assert_invalid(&verifier_with(&ring, rules()), refresh.expose_secret());
    let access = token(claims());
    assert!(ring.authenticate_refresh(access.as_bytes()).is_none());
    assert!(ring.authenticate_refresh(&access.as_bytes()[..72]).is_none());
}

proptest! {
    #[test]
    fn at_14_nothing_made_up_is_believed(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let verdict = verifier(key()).verify(&bytes, at(NOW));
        prop_assert!(matches!(verdict, Verdict::Invalid(_)));
    }

    #[test]
    fn at_14_no_altered_byte_goes_unnoticed(index: prop::sample::Index, byte: u8) {
        let mut token = token(claims()).into_bytes();
        let index = index.index(token.len());
        prop_assume!(token[index] != byte);
        token[index] = byte;
        let verdict = verifier(key()).verify(&token, at(NOW));
        prop_assert!(matches!(verdict, Verdict::Invalid(_) | Verdict::UnknownKey));
    }

    #[test]
    fn no_signed_header_or_payload_makes_it_panic(head in ".{0,80}", payload in ".{0,200}") {
        let verifier = verifier(key());
        let _ = verifier.verify(sign(&key(), &head, claims().to_string()).as_bytes(), at(NOW));
        let verdict = verifier.verify(sign(&key(), header(&key()).to_string(), &payload).as_bytes(), at(NOW));
        prop_assert!(matches!(verdict, Verdict::Invalid(_)));
    }
}
