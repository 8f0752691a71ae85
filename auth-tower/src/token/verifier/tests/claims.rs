//! Claims of authentic tokens: missing, doubled, of the wrong type, for others, too early, too late.

use proptest::prelude::*;

use super::*;

fn is_expired(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Expired { session_id } if session_id.to_string() == SID)
}

#[test]
fn at_08_the_issuer_is_compared_exactly() {
    assert_valid(&verifier(key()), token(claims()));
    for issuer in [
        json!("https://id.example.com/"),
        json!("HTTPS://id.example.com"),
        json!("https://id.example.com "),
        json!("https://id.example.co"),
        json!(""),
        json!(["https://id.example.com"]),
        json!({"a": 1}),
        json!(1),
    ] {
        assert_invalid(&verifier(key()), token(claims_with(json!({ "iss": issuer }))));
    }
}

#[test]
fn at_09_the_audience_must_name_us_as_a_string_or_in_a_list() {
    for audience in [
        json!("api"),
        json!("api-2"),
        json!(["api"]),
        json!(["other", "api"]),
        json!(["api", "api"]),
    ] {
        assert_valid(&verifier(key()), token(claims_with(json!({ "aud": audience }))));
    }
    for audience in [
        json!("other"),
        json!("API"),
        json!("api "),
        json!("api api-2"),
        json!(""),
        json!([]),
        json!(["other"]),
        json!(["api", 1]),
        json!([["api"]]),
        json!({"api": true}),
        json!(1),
        json!(true),
    ] {
        assert_invalid(&verifier(key()), token(claims_with(json!({ "aud": audience }))));
    }
}

#[test]
fn at_07_at_10_what_is_required_must_be_there_and_of_its_type() {
    for claim in ["iss", "sub", "aud", "exp", "iat", "jti", "sid"] {
        assert_invalid(&verifier(key()), token(claims_with(json!({ claim: null }))));
        let null = claims().to_string().replacen('{', &format!(r#"{{"{claim}_x":0,"#), 1);
        assert_valid(&verifier(key()), token(&null));
        // Really `null`, which is not the same as absent to a careless parser.
        let mut explicit = claims();
        explicit[claim] = Value::Null;
        assert_invalid(&verifier(key()), token(explicit));
        for wrong in [json!(true), json!({}), json!([])] {
            assert_invalid(&verifier(key()), token(claims_with(json!({ claim: wrong }))));
        }
    }
    for claim in ["exp", "iat", "nbf", "auth_time", "gen"] {
        let mut explicit = claims();
        explicit[claim] = Value::Null;
        assert_invalid(&verifier(key()), token(explicit));
        assert_invalid(&verifier(key()), token(claims_with(json!({ claim: "1800000900" }))));
    }
    for wrong in [
        json!({"sub": ""}),
        json!({"sub": "a\nb"}),
        json!({"sub": "x".repeat(256)}),
        json!({"sub": 7}),
        json!({"jti": ""}),
        json!({"jti": 7}),
        json!({"sid": "short"}),
        json!({"sid": "AAAAAAAAAAAAAAAAAAAAAA+/"}),
        json!({"gen": -1}),
        json!({"gen": 4_294_967_296_u64}),
        json!({"gen": 1.5}),
        json!({"client_id": 7}),
        json!({"scope": ["read"]}),
    ] {
        assert_invalid(&verifier(key()), token(claims_with(wrong)));
    }
}

#[test]
fn generation_and_client_may_be_missing() {
    let verifier = verifier(key());
    match verifier.verify(
        token(claims_with(json!({"gen": null, "client_id": null}))).as_bytes(),
        at(NOW),
    ) {
        Verdict::Valid(verified) => {
            assert_eq!(verified.registered.generation(), None);
            assert_eq!(verified.registered.client_id(), None);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn at_15_a_claim_given_twice_is_refused_whichever_it_is() {
    for doubled in [
        r#""sub":"alice""#,
        r#""exp":9999999999"#,
        r#""name":"Alice""#,
        r#""\u006eame":"Alice""#,
        r#""\u0073ub":"mallory""#,
        r#""own":1,"own":1"#,
    ] {
        let twice = claims().to_string().replacen('{', &format!("{{{doubled},"), 1);
        assert_invalid(&verifier(key()), token(twice));
    }
}

#[test]
fn payloads_that_are_not_one_json_object_are_refused() {
    let good = claims().to_string();
    for payload in [
        String::new(),
        " ".into(),
        "null".into(),
        "[]".into(),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("{good} x"),
        good.replacen('{', "{,", 1),
        good[..good.len() - 1].to_owned(),
        good.replace('"', "'"),
    ] {
        assert_invalid(&verifier(key()), sign(&key(), header(&key()).to_string(), payload));
    }
    let with_bom = format!("\u{feff}{good}");
    assert_invalid(&verifier(key()), sign(&key(), header(&key()).to_string(), with_bom));
}

#[test]
fn deep_nesting_is_refused_where_the_app_would_have_to_read_it_and_harmless_elsewhere() {
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let ignored = claims().to_string().replacen('{', &format!(r#"{{"deep":{deep},"#), 1);
    assert_valid(&verifier(key()), token(ignored));
    let read = claims().to_string().replacen(r#""Alice""#, &deep, 1);
    assert_invalid(&verifier(key()), token(&read));
    let everything = Verifier::new(
        KeyRing::builder().signing(key()).build().unwrap(),
        rules(),
        decode_app::<Value>,
        CACHE,
    );
    assert_invalid(&everything, token(read));
}

#[test]
fn bytes_that_are_not_utf_8_are_refused_also_where_nobody_looks() {
    let good = claims().to_string();
    let mut ignored = br#"{"unused":""#.to_vec();
    ignored.push(0xff);
    ignored.extend_from_slice(br#"","#);
    ignored.extend_from_slice(&good.as_bytes()[1..]);
    assert_invalid(&verifier(key()), sign(&key(), header(&key()).to_string(), ignored));
}

#[test]
fn at_10_a_token_is_over_at_its_exp_and_not_a_second_before() {
    let verifier = verifier(key());
    let token = token(claims_with(json!({"exp": NOW + 900})));
    let verify = |millis| verifier.verify(token.as_bytes(), Timestamp::from_millis(millis));
    for round in ["cold", "warm"] {
        assert!(matches!(verify((NOW + 900) * 1000 - 1), Verdict::Valid(_)), "{round}");
        assert!(is_expired(&verify((NOW + 900) * 1000)), "{round}");
        assert!(is_expired(&verify((NOW + 90_000) * 1000)), "{round}");
    }
}

#[test]
fn at_12_leeway_stretches_exp_as_far_as_set_and_never_beyond_10_s() {
    for (leeway, stretch) in [(0, 0), (4, 4), (10, 10), (11, 10), (3600, 10)] {
        let rules = Rules {
            leeway: Duration::from_secs(leeway),
            ..rules()
        };
        let verifier = verifier_with(&KeyRing::builder().signing(key()).build().unwrap(), rules);
        for _ in ["cold", "warm"] {
            let token = token(claims());
            let verify = |seconds| verifier.verify(token.as_bytes(), at(seconds));
            assert!(matches!(verify(NOW + 900 + stretch - 1), Verdict::Valid(_)), "{leeway}");
            assert!(is_expired(&verify(NOW + 900 + stretch)), "{leeway}");
        }
    }
}

#[test]
fn at_11_iat_and_nbf_may_be_10_s_ahead_and_no_more() {
    for claim in ["iat", "nbf"] {
        for ahead in [-3600, 0, 5, 10] {
            assert_valid(&verifier(key()), token(claims_with(json!({ claim: NOW + ahead }))));
        }
        for ahead in [11, 30, 61, 3600] {
            assert_invalid(&verifier(key()), token(claims_with(json!({ claim: NOW + ahead }))));
        }
    }
}

#[test]
fn dates_may_have_fractions_and_extremes_do_no_harm() {
    let verdict = |changes: Value| verifier(key()).verify(token(claims_with(changes)).as_bytes(), at(NOW));
    assert!(matches!(
        verdict(json!({"exp": NOW as f64 + 0.9})),
        Verdict::Expired { .. }
    ));
    assert!(matches!(verdict(json!({"exp": NOW as f64 + 1.5})), Verdict::Valid(_)));
    assert!(matches!(verdict(json!({"exp": i64::MAX})), Verdict::Valid(_)));
    assert!(matches!(verdict(json!({"exp": i64::MIN})), Verdict::Expired { .. }));
    assert!(matches!(verdict(json!({"exp": -0.5})), Verdict::Expired { .. }));
    assert!(matches!(verdict(json!({"iat": i64::MIN})), Verdict::Valid(_)));
    for out_of_range in [json!(u64::MAX), json!(1e300), json!(-1e300), json!(9.1e15)] {
        for claim in ["exp", "iat", "nbf", "auth_time"] {
            assert!(
                matches!(verdict(json!({ claim: out_of_range })), Verdict::Invalid(_)),
                "{claim}"
            );
        }
    }
    let huge = claims().to_string().replacen(&format!("{}", NOW + 900), "1e999", 1);
    assert_invalid(&verifier(key()), token(huge));
    let huge = claims()
        .to_string()
        .replacen(&format!("{}", NOW + 900), &"9".repeat(500), 1);
    assert_invalid(&verifier(key()), token(huge));
    for now in [i64::MIN, i64::MAX] {
        let _ = verifier(key()).verify(token(claims()).as_bytes(), Timestamp::from_millis(now));
        let _ = verifier(key()).verify(token(claims_with(json!({"exp": i64::MAX}))).as_bytes(), at(now));
    }
}

#[test]
fn expired_is_known_also_when_the_apps_claims_no_longer_fit_and_only_then() {
    let old = json!({"name": null, "full_name": "Alice"});
    assert_invalid(&verifier(key()), token(claims_with(old.clone())));
    let mut expired = claims_with(old);
    expired["exp"] = json!(NOW - 1);
    assert!(is_expired(&verifier(key()).verify(token(expired).as_bytes(), at(NOW))));
}

#[test]
fn an_expired_token_that_is_wrong_otherwise_is_just_wrong() {
    for wrong in [
        json!({"exp": NOW - 1, "iss": "https://other.example.com"}),
        json!({"exp": NOW - 1, "aud": "other"}),
        json!({"exp": NOW - 1, "iat": NOW + 60}),
        json!({"exp": NOW - 1, "nbf": NOW + 60}),
        json!({"exp": NOW - 1, "sid": null}),
    ] {
        assert_invalid(&verifier(key()), token(claims_with(wrong)));
    }
    let forged = token(claims_with(json!({"exp": NOW - 1})));
    let (signed, _) = forged.rsplit_once('.').unwrap();
    assert_invalid(&verifier(key()), format!("{signed}.{}", "A".repeat(43)));
}

#[test]
fn the_apps_own_claims_may_nest_and_repeat_names_below_the_top() {
    let nested = claims().to_string().replacen('{', r#"{"x":{"sub":1,"sub":2},"#, 1);
    assert_valid(&verifier(key()), token(nested));
}

proptest! {
    #[test]
    fn expiry_is_monotonic(exp in any::<i64>(), earlier in any::<i32>(), later in any::<i32>()) {
        let (earlier, later) = (i64::from(earlier.min(later)), i64::from(earlier.max(later)));
        let verifier = verifier(key());
        let token = token(claims_with(json!({"exp": exp, "iat": i64::MIN})));
        let first = verifier.verify(token.as_bytes(), at(earlier));
        let second = verifier.verify(token.as_bytes(), at(later));
        prop_assert_eq!(matches!(first, Verdict::Valid(_)), exp > earlier);
        prop_assert_eq!(matches!(second, Verdict::Valid(_)), exp > later);
        prop_assert_eq!(is_expired(&second), exp <= later);
    }

    #[test]
    fn what_is_issued_reads_back(name in ".{0,60}", subject in "[^\\p{Cc}]{1,60}") {
        let ring = KeyRing::builder().signing(key()).build().unwrap();
        let app = json!({"name": name}).as_object().unwrap().clone();
        let issuer = Issuer::new(ring.clone(), &rules(), decode_app::<User>);
        let subject = Subject::new(subject).unwrap();
        let draft = Draft {
            subject: &subject,
            session_id: SID.parse().unwrap(),
            generation: u32::MAX,
            client_id: &name,
            scope: None,
            auth_time: None,
            app: &app,
            lifetime: Duration::from_secs(1),
        };
        let issued = issuer.issue(&draft, at(NOW)).unwrap();
        match verifier_with(&ring, rules()).verify(issued.token.as_bytes(), at(NOW)) {
            Verdict::Valid(verified) => {
                prop_assert_eq!(&verified.registered, &issued.verified.registered);
                prop_assert_eq!(&verified.app.downcast_ref::<User>().unwrap().name, &name);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
