//! Sessions begin, are found, and end for good.

use std::net::IpAddr;
use std::time::Duration;

use super::Harness;
use super::scene::{
    ABSOLUTE, GRACE, IDLE, MINUTE, acknowledge, advance, assert_apart, begin, create, end, end_all, found, list, look,
    prompt_step, session, step, subject, terminated,
};
use crate::id::{SessionId, Subject};
use crate::session::{ClientInfo, EndReason, Terminated};
use crate::store::StoreError;
use crate::store::session::{NewSession, SessionStore};

/// What `create` returned is what `find` reads.
pub async fn a_new_session_is_found_as_it_was_created<H: Harness>(harness: H) {
    let wanted = session("alice");
    let created = create(&harness, wanted.clone()).await;
    assert_eq!(
        (&created.id, &created.subject, &created.client_id, &created.client),
        (&wanted.id, &wanted.subject, &wanted.client_id, &wanted.client)
    );
    let found = found(&harness, wanted.id).await;
    assert_eq!(found.record, created);
    assert_apart(&harness, created.created_at, found.now, Duration::ZERO);
    assert_eq!(created.last_seen_at, created.created_at);
    assert_eq!(created.idle_expires_at, created.created_at + IDLE);
    assert_eq!(created.absolute_expires_at, created.created_at + ABSOLUTE);
}

/// The counter starts where the rules expect it.
pub async fn a_new_session_is_of_generation_one_and_never_rotated<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    let rotation = found(&harness, id).await.record.rotation;
    assert_eq!(rotation, crate::session::rotation::Rotation::first());
    assert_eq!(terminated(&harness, id).await, None);
}

/// Subjects, clients and their descriptions come back as they went in, at their longest and at their emptiest.
pub async fn what_signed_in_is_kept_letter_by_letter<H: Harness>(harness: H) {
    let names = [
        "a".to_owned(),
        "x".repeat(Subject::MAX_LEN),
        "o'hara; DROP TABLE \"users\" -- %_*:{}".to_owned(),
        "Zoë \u{1f600} \u{202e}abc".to_owned(),
        "\u{e9}".to_owned(),
        "e\u{301}".to_owned(),
    ];
    let clients = [
        ClientInfo::default(),
        ClientInfo::new(Some(&"\u{10ffff}".repeat(64)), None, Some(&"\u{4e16}".repeat(256))),
        ClientInfo::new(None, "203.0.113.7".parse::<IpAddr>().ok(), Some("'\"\\`;")),
        ClientInfo::new(Some("phone"), "2001:db8::ffff:1".parse::<IpAddr>().ok(), None),
        ClientInfo::new(Some("phone"), "::ffff:10.0.0.1".parse::<IpAddr>().ok(), None),
    ];
    for name in &names {
        for client in &clients {
            let wanted = NewSession {
                client: client.clone(),
                client_id: "app/\u{fc}'1".into(),
                ..session(name)
            };
            create(&harness, wanted.clone()).await;
            let record = found(&harness, wanted.id).await.record;
            assert_eq!(record.subject, wanted.subject);
            assert_eq!(record.client_id, wanted.client_id);
            assert_eq!(record.client, wanted.client);
        }
        assert_eq!(list(&harness, name, 100).await.len(), clients.len(), "of {name:?}");
    }
}

/// A session that never was is `None`, not an error.
pub async fn an_unknown_session_is_none_everywhere<H: Harness>(harness: H) {
    let id = session("nobody").id;
    let store = harness.store();
    assert!(look(&harness, id).await.is_none());
    assert!(store.advance(id, step(1)).await.expect("advance").is_none());
    assert!(end(&harness, id, EndReason::SignedOut).await.is_none());
    acknowledge(&harness, id, 1).await;
    assert_eq!(end_all(&harness, "nobody", None).await, 0);
    assert_eq!(end_all(&harness, "nobody", Some(id)).await, 0);
    assert!(list(&harness, "nobody", 10).await.is_empty());
    assert!(look(&harness, id).await.is_none(), "none of that made one");
    store.acknowledge(Vec::new()).await.expect("no acknowledgements");
}

/// A session is never overwritten, neither live nor over.
pub async fn an_id_in_use_is_refused_and_changes_nothing<H: Harness>(harness: H) {
    let first = begin(&harness, "alice").await;
    let again = NewSession {
        id: first.id,
        client_id: "other".into(),
        ..session("alice")
    };
    assert!(harness.store().create(again.clone()).await.is_err());
    assert_eq!(found(&harness, first.id).await.record, first);
    end(&harness, first.id, EndReason::SignedOut).await;
    assert!(harness.store().create(again).await.is_err());
    assert_eq!(
        terminated(&harness, first.id).await,
        Some(Terminated::Ended(EndReason::SignedOut))
    );
    assert!(list(&harness, "alice", 10).await.is_empty());
}

/// Otherwise `end_all` would look for the session in the wrong place.
pub async fn an_id_that_does_not_route_to_its_subject_is_refused<H: Harness>(harness: H) {
    let mut stray = session("alice");
    let mut id = *stray.id.as_bytes();
    id[0] ^= 0xff;
    stray.id = SessionId::from_bytes(id);
    let refused = harness.store().create(stray.clone()).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    assert!(look(&harness, stray.id).await.is_none());
}

/// `end` tells what it ended, and is in force when it returns.
pub async fn revocation_returns_the_record_before_and_is_seen_at_once<H: Harness>(harness: H) {
    let created = begin(&harness, "alice").await;
    let before = end(&harness, created.id, EndReason::Reused).await.expect("known");
    assert_eq!(before.record, created);
    assert_eq!(before.record.status(before.now), None);
    assert_eq!(
        terminated(&harness, created.id).await,
        Some(Terminated::Ended(EndReason::Reused))
    );
}

/// Each reason is told apart.
pub async fn every_reason_is_kept<H: Harness>(harness: H) {
    for code in 1..=u8::MAX {
        let Some(reason) = EndReason::from_code(code) else {
            continue;
        };
        let id = begin(&harness, "alice").await.id;
        end(&harness, id, reason).await;
        assert_eq!(terminated(&harness, id).await, Some(Terminated::Ended(reason)));
    }
}

/// Ending a session is idempotent.
pub async fn revoking_again_keeps_the_first_reason<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    end(&harness, id, EndReason::Reused).await;
    let again = end(&harness, id, EndReason::SignedOut).await.expect("known");
    assert_eq!(again.record.ended, Some(EndReason::Reused));
    assert_eq!(
        terminated(&harness, id).await,
        Some(Terminated::Ended(EndReason::Reused))
    );
}

/// Nothing moves a session that has ended.
pub async fn an_ended_session_is_neither_advanced_nor_acknowledged<H: Harness>(harness: H) {
    let one = begin(&harness, "alice").await.id;
    let two = begin(&harness, "alice").await.id;
    end(&harness, one, EndReason::SignedOut).await;
    end_all(&harness, "alice", None).await;
    for id in [one, two] {
        let before = found(&harness, id).await.record;
        let tried = advance(&harness, id, prompt_step(1)).await;
        assert!(!tried.taken);
        assert_eq!(tried.before, before);
        acknowledge(&harness, id, 1).await;
        assert_eq!(found(&harness, id).await.record, before);
    }
}

/// What happens to one session happens to no other.
pub async fn sessions_are_independent<H: Harness>(harness: H) {
    let one = begin(&harness, "alice").await;
    let two = begin(&harness, "alice").await;
    let other = begin(&harness, "bob").await;
    assert!(advance(&harness, one.id, step(1)).await.taken);
    acknowledge(&harness, one.id, 2).await;
    end(&harness, one.id, EndReason::SignedOut).await;
    assert_eq!(found(&harness, two.id).await.record, two);
    assert_eq!(found(&harness, other.id).await.record, other);
}

/// A list is one subject's, and only what lives.
pub async fn list_holds_only_live_sessions_of_the_subject<H: Harness>(harness: H) {
    let one = begin(&harness, "alice").await.id;
    let two = begin(&harness, "alice").await.id;
    let other = begin(&harness, "bob").await.id;
    end(&harness, one, EndReason::SignedOut).await;
    assert_eq!(list(&harness, "alice", 10).await, [two]);
    assert_eq!(list(&harness, "bob", 10).await, [other]);
    let record = found(&harness, two).await.record;
    let listed = harness.store().list(&subject("alice"), 10).await.expect("list");
    assert_eq!(listed, [record]);
    end_all(&harness, "alice", None).await;
    assert!(list(&harness, "alice", 10).await.is_empty());
}

/// The limit drops the oldest.
pub async fn list_is_oldest_first_and_keeps_the_newest<H: Harness>(harness: H) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(begin(&harness, "alice").await.id);
        harness.travel(Duration::from_secs(1)).await;
    }
    assert_eq!(list(&harness, "alice", usize::MAX).await, ids);
    assert_eq!(list(&harness, "alice", 5).await, ids);
    assert_eq!(list(&harness, "alice", 2).await, ids[3..]);
    assert!(list(&harness, "alice", 0).await.is_empty());
    // A rotation is no new sign-in.
    advance(&harness, ids[0], step(1)).await;
    assert_eq!(list(&harness, "alice", 10).await, ids);
}

/// All sessions of one subject end, and none of another.
pub async fn end_all_ends_every_session_of_the_subject_only<H: Harness>(harness: H) {
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(begin(&harness, "alice").await.id);
    }
    let other = begin(&harness, "bob").await.id;
    assert_eq!(end_all(&harness, "alice", None).await, 12);
    for id in ids {
        assert_eq!(
            terminated(&harness, id).await,
            Some(Terminated::Ended(EndReason::AllEnded))
        );
    }
    assert_eq!(terminated(&harness, other).await, None);
    assert_eq!(end_all(&harness, "alice", None).await, 0);
}

/// The kept session goes on as if nothing had happened.
pub async fn end_all_spares_the_kept_session<H: Harness>(harness: H) {
    let kept = begin(&harness, "alice").await;
    let lost = begin(&harness, "alice").await.id;
    assert_eq!(end_all(&harness, "alice", Some(kept.id)).await, 1);
    assert_eq!(found(&harness, kept.id).await.record, kept);
    assert_eq!(terminated(&harness, kept.id).await, None);
    assert!(terminated(&harness, lost).await.is_some());
    assert_eq!(list(&harness, "alice", 10).await, [kept.id]);
    assert!(advance(&harness, kept.id, step(1)).await.taken);
}

/// Naming another subject's session spares nothing, and does nothing to that one.
pub async fn end_all_never_keeps_a_session_of_another_subject<H: Harness>(harness: H) {
    let own = begin(&harness, "alice").await.id;
    let other = begin(&harness, "bob").await;
    assert_eq!(end_all(&harness, "alice", Some(other.id)).await, 1);
    assert!(terminated(&harness, own).await.is_some());
    assert_eq!(found(&harness, other.id).await.record, other);
    assert_eq!(end_all(&harness, "bob", None).await, 1);
    assert!(terminated(&harness, other.id).await.is_some());
}

/// Keeping a session that is over leaves it over.
pub async fn end_all_never_brings_an_ended_session_back<H: Harness>(harness: H) {
    let signed_out = begin(&harness, "alice").await.id;
    let left = begin(&harness, "alice").await.id;
    end(&harness, signed_out, EndReason::SignedOut).await;
    end_all(&harness, "alice", None).await;
    for id in [signed_out, left] {
        let was = terminated(&harness, id).await;
        assert_eq!(end_all(&harness, "alice", Some(id)).await, 0);
        assert_eq!(terminated(&harness, id).await, was);
        assert!(!advance(&harness, id, prompt_step(1)).await.taken);
    }
}

/// The number is that of the sessions this call ended.
pub async fn end_all_counts_only_live_sessions<H: Harness>(harness: H) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(begin(&harness, "alice").await.id);
    }
    end(&harness, ids[0], EndReason::SignedOut).await;
    end(&harness, ids[1], EndReason::SignedOut).await;
    assert_eq!(end_all(&harness, "alice", Some(ids[1])).await, 3);
}

/// A session that had ended before keeps its own reason.
pub async fn end_all_leaves_earlier_reasons_alone<H: Harness>(harness: H) {
    let id = begin(&harness, "alice").await.id;
    let live = begin(&harness, "alice").await.id;
    end(&harness, id, EndReason::Reused).await;
    end_all(&harness, "alice", None).await;
    assert_eq!(
        terminated(&harness, id).await,
        Some(Terminated::Ended(EndReason::Reused))
    );
    end(&harness, live, EndReason::SignedOut).await;
    assert_eq!(
        terminated(&harness, live).await,
        Some(Terminated::Ended(EndReason::AllEnded))
    );
}

/// Signing in again works at once, within the same millisecond.
pub async fn sessions_created_after_end_all_live<H: Harness>(harness: H) {
    begin(&harness, "alice").await;
    end_all(&harness, "alice", None).await;
    let id = begin(&harness, "alice").await.id;
    assert_eq!(terminated(&harness, id).await, None);
    assert!(advance(&harness, id, step(1)).await.taken);
    assert_eq!(list(&harness, "alice", 10).await, [id]);
}

/// Epochs add up: whatever is live goes, however it came through the earlier ones.
pub async fn end_all_again_ends_kept_and_new_sessions<H: Harness>(harness: H) {
    let kept = begin(&harness, "alice").await.id;
    begin(&harness, "alice").await;
    assert_eq!(end_all(&harness, "alice", Some(kept)).await, 1);
    let new = begin(&harness, "alice").await.id;
    harness.travel(GRACE + MINUTE).await;
    assert_eq!(end_all(&harness, "alice", Some(kept)).await, 1);
    assert!(terminated(&harness, new).await.is_some());
    assert_eq!(terminated(&harness, kept).await, None);
    begin(&harness, "alice").await;
    assert_eq!(end_all(&harness, "alice", None).await, 2);
    assert_eq!(
        terminated(&harness, kept).await,
        Some(Terminated::Ended(EndReason::AllEnded))
    );
}
