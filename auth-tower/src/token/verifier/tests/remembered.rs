//! The cache in front: never a way around the rules, never larger than it may be.

use std::sync::atomic::Ordering;

use super::*;
use crate::keys::refresh_key::RefreshKey;

fn ring(key: SigningKey) -> KeyRing {
    KeyRing::builder()
        .signing(key)
        .refresh(RefreshKey::new([1; 32]).unwrap())
        .build()
        .unwrap()
}

fn same(one: &Verdict, two: &Verdict) -> bool {
    match (one, two) {
        (Verdict::Valid(one), Verdict::Valid(two)) => Arc::ptr_eq(one, two),
        _ => false,
    }
}

#[test]
fn a_token_seen_again_is_the_same_entry_with_its_state() {
    let verifier = verifier(key());
    let token = token(claims());
    let first = verifier.verify(token.as_bytes(), at(NOW));
    if let Verdict::Valid(verified) = &first {
        verified.checked.store(7, Ordering::Relaxed);
    }
    let second = verifier.verify(token.as_bytes(), at(NOW));
    assert!(same(&first, &second));
    assert!(matches!(second, Verdict::Valid(verified) if verified.checked.load(Ordering::Relaxed) == 7));
}

#[test]
fn what_was_issued_is_warm_at_its_first_use() {
    let keys = ring(key());
    let verifier = verifier_with(&keys, rules());
    let issued = issue(&keys, &app());
    verifier.remember(&issued.token, Arc::clone(&issued.verified));
    assert!(same(
        &verifier.verify(issued.token.as_bytes(), at(NOW)),
        &Verdict::Valid(issued.verified)
    ));
}

#[test]
fn ky_06_a_removed_key_is_gone_at_once_for_cached_tokens_too() {
    let keys = ring(SigningKey::hmac("old", Algorithm::HS256, [1; 32]).unwrap());
    let verifier = verifier_with(&keys, rules());
    let issued = issue(&keys, &app());
    verifier.remember(&issued.token, Arc::clone(&issued.verified));
    assert!(matches!(
        verifier.verify(issued.token.as_bytes(), at(NOW)),
        Verdict::Valid(_)
    ));

    keys.replace(ring(SigningKey::hmac("new", Algorithm::HS256, [2; 32]).unwrap()))
        .unwrap();
    assert!(matches!(
        verifier.verify(issued.token.as_bytes(), at(NOW)),
        Verdict::UnknownKey
    ));
    // Neither may a token that was signed just before sneak in afterwards.
    verifier.remember(&issued.token, issued.verified);
    assert!(matches!(
        verifier.verify(issued.token.as_bytes(), at(NOW)),
        Verdict::UnknownKey
    ));
}

#[test]
fn a_key_that_is_replaced_under_its_id_no_longer_counts() {
    let keys = ring(SigningKey::hmac("k", Algorithm::HS256, [1; 32]).unwrap());
    let verifier = verifier_with(&keys, rules());
    let issued = issue(&keys, &app());
    assert!(matches!(
        verifier.verify(issued.token.as_bytes(), at(NOW)),
        Verdict::Valid(_)
    ));
    keys.replace(ring(SigningKey::hmac("k", Algorithm::HS256, [2; 32]).unwrap()))
        .unwrap();
    assert!(matches!(
        verifier.verify(issued.token.as_bytes(), at(NOW)),
        Verdict::Invalid(_)
    ));
}

#[test]
fn ky_04_ky_05_a_retired_key_still_verifies_what_it_signed() {
    let old = SigningKey::hmac("old", Algorithm::HS256, [1; 32]).unwrap();
    let retired = old.verifying_key();
    let keys = ring(old);
    let verifier = verifier_with(&keys, rules());
    let issued = issue(&keys, &app());
    let next = KeyRing::builder()
        .signing(SigningKey::hmac("new", Algorithm::HS256, [2; 32]).unwrap())
        .verifying(retired)
        .refresh(RefreshKey::new([1; 32]).unwrap())
        .build()
        .unwrap();
    keys.replace(next).unwrap();
    for token in [issued.token, issue(&keys, &app()).token] {
        assert!(matches!(verifier.verify(token.as_bytes(), at(NOW)), Verdict::Valid(_)));
    }
}

#[test]
fn a_replacement_that_could_do_less_is_refused_and_changes_nothing() {
    let keys = ring(key());
    let before = keys.version();
    let only_verifies = KeyRing::builder().verifying(key().verifying_key()).build().unwrap();
    assert!(keys.replace(only_verifies).is_err());
    assert!(
        keys.replace(KeyRing::builder().signing(key()).build().unwrap())
            .is_err()
    );
    assert_eq!(keys.version(), before);
    assert!(keys.has_signing_key() && keys.has_refresh_key());
}

#[test]
fn verification_goes_on_while_keys_are_replaced() {
    let key = || SigningKey::hmac("k", Algorithm::HS256, [1; 32]).unwrap();
    let keys = ring(key());
    let verifier = verifier_with(&keys, rules());
    let token = issue(&keys, &app()).token;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..300 {
                        assert!(matches!(verifier.verify(token.as_bytes(), at(NOW)), Verdict::Valid(_)));
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            keys.replace(ring(key())).unwrap();
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn the_cache_keeps_to_its_bytes_and_still_works() {
    let keys = ring(key());
    let verifier = Verifier::new(keys.clone(), rules(), decode_app::<User>, 64 * 1024);
    let mut last = String::new();
    for n in 0..2000 {
        last = token(claims_with(json!({"jti": n.to_string()})));
        assert_valid(&verifier, &last);
        assert!(verifier.cache().weight() <= 64 * 1024, "{}", verifier.cache().weight());
    }
    assert!(verifier.cache().len() > 20, "{}", verifier.cache().len());
    assert!(same(
        &verifier.verify(last.as_bytes(), at(NOW)),
        &verifier.verify(last.as_bytes(), at(NOW))
    ));
}

#[test]
fn a_cache_of_no_bytes_is_no_cache() {
    let verifier = Verifier::new(ring(key()), rules(), decode_app::<User>, 0);
    let token = token(claims());
    let first = verifier.verify(token.as_bytes(), at(NOW));
    assert!(matches!(first, Verdict::Valid(_)));
    assert!(!same(&first, &verifier.verify(token.as_bytes(), at(NOW))));
}

#[test]
fn what_was_refused_or_over_is_not_remembered() {
    let verifier = verifier(key());
    for token in [
        token(claims_with(json!({"exp": NOW}))),
        token(claims_with(json!({"aud": "x"}))),
        "a.b.c".into(),
    ] {
        let _ = verifier.verify(token.as_bytes(), at(NOW));
    }
    assert_eq!(verifier.cache().len(), 0);
}

#[test]
fn nothing_of_a_token_shows_in_debug() {
    let keys = ring(key());
    let verifier = verifier_with(&keys, rules());
    let issued = issue(&keys, json!({"name": "canary"}).as_object().unwrap());
    let shown = format!(
        "{verifier:?} {issued:?} {:?}",
        verifier.verify(issued.token.as_bytes(), at(NOW))
    );
    assert!(
        !shown.contains("canary") && !shown.contains(&issued.token[..20]),
        "{shown}"
    );
}

#[test]
fn at_14_an_altered_token_with_the_tail_of_a_remembered_one_is_refused() {
    let verifier = verifier(key());
    let token = token(claims()).into_bytes();
    assert_valid(&verifier, &token);
    for index in 0..token.len() {
        let mut forged = token.clone();
        forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
        let verdict = verifier.verify(&forged, at(NOW));
        assert!(!matches!(verdict, Verdict::Valid(_)), "character {index}");
    }
}
