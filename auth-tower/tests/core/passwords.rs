//! Password checks: bounded in number, and the same for users that do not exist.
#![cfg(feature = "argon2")]
#![expect(clippy::unwrap_used, reason = "what a test stands on")]
#![expect(clippy::disallowed_methods, reason = "a test measures how long an answer took")]

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, Once};
use std::task::Poll;
use std::time::{Duration, Instant};

use auth_tower::{AccountsError, Password, Passwords, Verification};

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

/// Hashes of other systems, damaged ones, and what stands in the place of a hash where nobody may sign in.
const NOT_CHECKED: [(&str, &str); 13] = [
    ("", "empty"),
    ("!", "locked"),
    ("!$6$salt$hash", "locked"),
    ("*", "locked"),
    ("x", "kept elsewhere"),
    ("wonderland", "unknown"),
    ("$2b$12$abcdefghijklmnopqrstuv", "bcrypt"),
    ("$6$salt$hash", "SHA-crypt"),
    ("pbkdf2_sha256$600000$salt$hash", "PBKDF2"),
    ("{SSHA}hash", "a scheme in braces"),
    ("$argon2id$", "argon2, damaged or beyond what is computed"),
    (
        "$argon2id$v=18$m=19456,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        "argon2, damaged or beyond what is computed",
    ),
    (
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        "argon2, damaged or beyond what is computed",
    ),
];

thread_local! {
    static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps each event of a thread as its fields were written. One subscriber hears all threads of this process: with one per
/// test, whether a line is heard would depend on which test comes across it first.
struct Log;

impl Log {
    fn start() {
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| tracing::subscriber::set_global_default(Self).unwrap());
        HEARD.take();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "auth"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields(String);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!(" {field}={value:?}"));
            }
        }
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        HEARD.with_borrow_mut(|heard| heard.push(fields.0));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn s12_a_hash_that_is_not_checked_is_a_wrong_password_and_one_warning_of_its_kind() {
    Log::start();
    let passwords = Passwords::with_limits(2, 8);
    for (stored, kind) in NOT_CHECKED {
        for password in ["wonderland", "", "!", "x"] {
            let verified = passwords.verify(&Password::from(password), Some(stored)).await;
            assert!(matches!(verified, Ok(false)), "{stored:?} {verified:?}");
            let heard = HEARD.take();
            assert_eq!(heard.len(), 1, "{stored:?} {heard:?}");
            assert!(
                heard[0].starts_with("WARN") && heard[0].contains(kind),
                "{stored:?} {heard:?}"
            );
            assert!(stored.len() < 4 || !heard[0].contains(stored), "{heard:?}");
        }
    }
    passwords.verify(&Password::from("wonderland"), None).await.unwrap();
    assert!(
        HEARD.with_borrow(Vec::is_empty),
        "an unknown user is nothing to warn of"
    );
}

/// The least time of three, which other load of the machine lengthens least.
async fn time(passwords: &Passwords, password: &str, stored: Option<&str>) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        assert!(!passwords.verify(&Password::from(password), stored).await.unwrap());
        least = least.min(start.elapsed());
    }
    least
}

#[tokio::test]
async fn s12_no_failure_is_quicker_than_a_wrong_password() {
    let passwords = Passwords::with_limits(1, 8);
    let stored = passwords.hash(&Password::from("wonderland")).await.unwrap();
    let cheap = Passwords::with_limits(1, 8).with_cost(64, 1);
    let cheap = cheap.hash(&Password::from("wonderland")).await.unwrap();
    let wrong = time(&passwords, "builder", Some(&stored)).await;
    for other in [
        None,
        Some("!"),
        Some(""),
        Some("$2b$12$abcdefghijklmnopqrstuv"),
        Some(&*cheap),
    ] {
        let took = time(&passwords, "builder", other).await;
        assert!(took * 2 > wrong, "{other:?} {took:?}, a wrong password {wrong:?}");
    }
    // A password in another form than NFC costs two checks of everybody.
    let wrong = time(&passwords, "u\u{308}ber", Some(&stored)).await;
    for other in [None, Some("!")] {
        let took = time(&passwords, "u\u{308}ber", other).await;
        assert!(took * 2 > wrong, "{other:?} {took:?}, a wrong password {wrong:?}");
    }
}

#[tokio::test]
async fn s12_an_argon2_hash_without_a_version_is_of_the_first_version() {
    // `password` by the reference implementation before it had a second version.
    let passwords = Passwords::new();
    for stored in [
        "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        "$argon2i$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
    ] {
        let outcome = passwords
            .check(&Password::from("password"), Some(stored))
            .await
            .unwrap();
        assert!(outcome.is_correct() && outcome.needs_rehash(), "{stored} {outcome:?}");
        assert!(
            !passwords
                .verify(&Password::from("Password"), Some(stored))
                .await
                .unwrap()
        );
    }
}

/// `Zoë's café`, composed and decomposed, and a ligature that NFC leaves alone.
const COMPOSED: &str = "Zo\u{eb}'s caf\u{e9} \u{fb01}";
const DECOMPOSED: &str = "Zoe\u{308}'s cafe\u{301} \u{fb01}";

#[tokio::test]
async fn a_password_is_the_same_in_every_normalization_form() {
    let passwords = Passwords::new();
    for made in [COMPOSED, DECOMPOSED] {
        let stored = passwords.hash(&Password::from(made)).await.unwrap();
        for typed in [COMPOSED, DECOMPOSED] {
            let outcome = passwords.check(&Password::from(typed), Some(&stored)).await.unwrap();
            assert!(outcome.is_correct() && !outcome.needs_rehash(), "{made:?} {typed:?}");
        }
        // What only looks alike is another password.
        for other in ["Zoe's cafe \u{fb01}", "Zo\u{eb}'s caf\u{e9} fi"] {
            assert!(!passwords.verify(&Password::from(other), Some(&stored)).await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_hash_made_of_other_bytes_than_nfc_is_matched_by_these_bytes_and_reported() {
    let argon2 = argon2::Argon2::default();
    let old: argon2::PasswordHash = argon2::PasswordHasher::hash_password(&argon2, DECOMPOSED.as_bytes()).unwrap();
    let old = old.to_string();
    let passwords = Passwords::new();
    let outcome = passwords.check(&Password::from(DECOMPOSED), Some(&old)).await.unwrap();
    assert!(outcome.is_correct() && outcome.needs_rehash());
    let new = passwords.hash(&Password::from(DECOMPOSED)).await.unwrap();
    assert!(passwords.verify(&Password::from(COMPOSED), Some(&new)).await.unwrap());
}

#[tokio::test]
async fn a_hash_weaker_than_a_new_one_is_reported_and_a_stronger_one_is_not() {
    let password = Password::from("wonderland");
    let stored = async |memory, passes| {
        let made = Passwords::with_limits(1, 8).with_cost(memory, passes);
        made.hash(&password).await.unwrap()
    };
    let needs_rehash = async |passwords: Passwords, stored: String| {
        let outcome = passwords.check(&password, Some(&stored)).await.unwrap();
        assert!(outcome.is_correct());
        outcome.needs_rehash()
    };
    for (memory, passes, weak) in [
        (19_456, 2, false),
        (19_456, 1, true),
        (12_288, 4, true),
        (19_456, 3, false),
        (40_960, 1, false),
        (8, 1, true),
        (0, 0, true),
    ] {
        let hash = stored(memory, passes).await;
        assert_eq!(needs_rehash(Passwords::new(), hash).await, weak, "{memory} {passes}");
    }
    let hash = stored(19_456, 2).await;
    assert!(needs_rehash(Passwords::new().with_cost(24_000, 2), hash).await);
}

#[tokio::test]
async fn hashes_of_another_system_are_checked_by_its_rule_and_reported() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let passwords = Passwords::with_limits(1, 8)
        .with_legacy("plain:decoy", move |stored, password| {
            seen.lock().unwrap().push(stored.to_owned());
            Some(stored.strip_prefix("plain:")? == password.expose_secret())
        })
        .with_legacy("upper:DECOY", |stored, password| {
            Some(stored.strip_prefix("upper:")? == password.expose_secret().to_uppercase())
        });
    let check = async |password: &str, stored: Option<&str>| {
        let outcome = passwords.check(&Password::from(password), stored).await.unwrap();
        (outcome, std::mem::take(&mut *asked.lock().unwrap()))
    };
    let (outcome, _) = check("wonderland", Some("plain:wonderland")).await;
    assert!(outcome.needs_rehash());
    let (outcome, _) = check("wonderland", Some("upper:WONDERLAND")).await;
    assert!(outcome.needs_rehash());
    let (outcome, _) = check(DECOMPOSED, Some(&format!("plain:{COMPOSED}"))).await;
    assert!(outcome.is_correct());
    let (outcome, _) = check(DECOMPOSED, Some(&format!("plain:{DECOMPOSED}"))).await;
    assert!(outcome.is_correct());

    // One check of this kind for each failure, whatever is stored and if nothing is.
    let new = passwords.hash(&Password::from("wonderland")).await.unwrap();
    for stored in [
        None,
        Some("plain:builder"),
        Some("upper:BUILDER"),
        Some("$2b$12$abc"),
        Some(&*new),
    ] {
        let (outcome, asked) = check("guess", stored).await;
        assert_eq!(outcome, Verification::Wrong, "{stored:?}");
        let done = asked.iter().filter(|stored| stored.starts_with("plain:")).count();
        assert_eq!(done, 1, "{stored:?} {asked:?}");
    }
    // The decoy lets nobody in.
    assert_eq!(check("decoy", None).await.0, Verification::Wrong);
    assert_eq!(check("decoy", Some("!")).await.0, Verification::Wrong);
}

/// Checks that last until they are told to end.
struct Held {
    passwords: Passwords,
    begun: tokio::sync::mpsc::UnboundedReceiver<()>,
    release: std::sync::mpsc::Sender<()>,
}

impl Held {
    fn new(running: usize, waiting: usize) -> Self {
        let (tell, begun) = tokio::sync::mpsc::unbounded_channel();
        let (release, wait) = std::sync::mpsc::channel();
        let wait = Mutex::new(wait);
        let passwords = Passwords::with_limits(running, waiting).with_legacy("held", move |_, _| {
            tell.send(()).unwrap();
            wait.lock().unwrap().recv().ok().map(|()| true)
        });
        Self {
            passwords,
            begun,
            release,
        }
    }

    fn check(&self) -> tokio::task::JoinHandle<Result<Verification, AccountsError>> {
        let passwords = self.passwords.clone();
        tokio::spawn(async move { passwords.check(&Password::from("any"), Some("held")).await })
    }
}

#[tokio::test(start_paused = true)]
async fn b6_one_who_waited_too_long_is_told_to_come_again_before_it_is_an_outage() {
    let mut held = Held::new(1, 8);
    let running = held.check();
    held.begun.recv().await.unwrap();
    let waiting = held.check();
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_millis(4_900)).await;
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    tokio::time::advance(Duration::from_millis(200)).await;
    assert!(rate_limited(&waiting.await.unwrap()), "half of what the engine waits");
    held.release.send(()).unwrap();
    assert!(running.await.unwrap().unwrap().is_correct());
}

#[tokio::test(start_paused = true)]
async fn b6_one_whose_turn_would_come_too_late_is_told_when_at_once() {
    let mut held = Held::new(1, 100_000);
    // The first check shows that one takes four seconds.
    let first = held.check();
    held.begun.recv().await.unwrap();
    tokio::time::advance(Duration::from_secs(4)).await;
    held.release.send(()).unwrap();
    assert!(first.await.unwrap().unwrap().is_correct());

    let running = held.check();
    held.begun.recv().await.unwrap();
    let waiting = held.check();
    tokio::task::yield_now().await;
    // Two checks are before it, so that it would wait for eight seconds.
    let Err(AccountsError::RateLimited { retry_after }) = held.check().await.unwrap() else {
        panic!("it was not turned away");
    };
    assert!((8..=13).contains(&retry_after.as_secs()), "{retry_after:?}");
    assert!(!waiting.is_finished(), "the one before it has its place");
    for _ in 0..2 {
        held.release.send(()).unwrap();
    }
    assert!(running.await.unwrap().unwrap().is_correct());
    assert!(waiting.await.unwrap().unwrap().is_correct());
}

#[tokio::test]
async fn a_rule_of_another_system_that_panics_takes_no_place_for_good() {
    let passwords = Passwords::with_limits(1, 0).with_legacy("any", |_, _| panic!("as it may"));
    for _ in 0..3 {
        let outcome = passwords.verify(&Password::from("any"), Some("stored")).await;
        assert!(matches!(outcome, Err(AccountsError::Unavailable(_))), "{outcome:?}");
    }
    assert!(format!("{passwords:?}").contains("free: 1"));
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
