//! Password checks: bounded in number, and the same for users that do not exist.
#![cfg(feature = "argon2")]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use auth_tower::{AccountsError, Password, Passwords};

fn rate_limited<T>(outcome: &Result<T, AccountsError>) -> bool {
    matches!(outcome, Err(AccountsError::RateLimited { retry_after }) if !retry_after.is_zero())
}

#[tokio::test]
async fn only_so_many_wait_and_the_rest_is_told_to_come_again() {
    let passwords = Passwords::with_limits(1, 1);
    let password = Password::from("wonderland");
    let mut running = pin!(passwords.hash(&password));
    let mut waiting = pin!(passwords.hash(&password));
    for _ in 0..2 {
        assert!(poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx).is_pending())).await);
        assert!(poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    }
    assert!(format!("{passwords:?}").contains("free: 0"));
    assert!(rate_limited(&passwords.hash(&password).await));
    assert!(
        rate_limited(&passwords.verify(&password, None).await),
        "an unknown user takes a place too"
    );
    assert!(
        rate_limited(&passwords.clone().verify(&password, Some("x")).await),
        "clones share the bound"
    );

    let (one, two) = (running.await.unwrap(), waiting.await.unwrap());
    assert_ne!(one, two, "each has its own salt");
    assert!(passwords.verify(&password, Some(&one)).await.unwrap());
    assert!(passwords.verify(&password, Some(&two)).await.unwrap());
}

#[tokio::test]
async fn a_check_for_an_unknown_user_takes_a_place_among_the_running_and_fails() {
    let passwords = Passwords::with_limits(1, 8);
    let password = Password::from("wonderland");
    let mut unknown = pin!(passwords.verify(&password, None));
    assert!(
        poll_fn(|cx| Poll::Ready(unknown.as_mut().poll(cx).is_pending())).await,
        "it is real work"
    );
    assert!(format!("{passwords:?}").contains("free: 0"), "and runs as any other");
    assert!(!unknown.await.unwrap());
    for guess in ["", "nobody", "wonderland", "nobody-has-this"] {
        assert!(!passwords.verify(&Password::from(guess), None).await.unwrap());
    }
}

#[tokio::test]
async fn one_who_goes_away_leaves_no_place_taken_for_good() {
    let passwords = Passwords::with_limits(1, 0);
    let password = Password::from("wonderland");
    {
        let mut gone = pin!(passwords.hash(&password));
        assert!(poll_fn(|cx| Poll::Ready(gone.as_mut().poll(cx).is_pending())).await);
    }
    // The next in line waits for the work that goes on, and is then served.
    let stored = passwords.hash(&password).await.unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
}

#[tokio::test]
async fn a_stored_hash_that_is_none_is_an_outage_and_no_wrong_password() {
    let passwords = Passwords::new();
    for stored in ["", "wonderland", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"] {
        let outcome = passwords.verify(&Password::from("wonderland"), Some(stored)).await;
        assert!(
            matches!(outcome, Err(AccountsError::Unavailable(_))),
            "{stored:?} {outcome:?}"
        );
    }
}

#[tokio::test]
async fn hashes_of_other_parameters_and_variants_are_checked_by_what_they_say() {
    let passwords = Passwords::new();
    // `password` by the reference implementation, with the salt `somesalt`.
    let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert!(
        passwords
            .verify(&Password::from("password"), Some(stored))
            .await
            .unwrap()
    );
    assert!(
        !passwords
            .verify(&Password::from("Password"), Some(stored))
            .await
            .unwrap()
    );
}

#[test]
fn a_password_shows_in_no_debug_form() {
    let password = Password::from("wonderland");
    assert!(!format!("{password:?}").contains("wonderland"));
    let login = auth_tower::PasswordCredentials::new("alice", password, auth_tower::session::ClientInfo::default());
    assert!(!format!("{login:?}").contains("wonderland"));
}
