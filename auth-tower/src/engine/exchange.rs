//! The exchange: a refresh token in, a new pair out, in one store round trip for a whole burst.

use std::sync::Arc;
use std::time::Duration;

use super::authority::Authority;
use crate::accounts::erased::RawGrant;
use crate::clock::Timestamp;
use crate::config::defaults;
use crate::engine::outcome::{End, ExchangeError, Exchanged, Outcome, RefreshCookie};
use crate::events::Event;
use crate::id::{SessionId, Subject};
use crate::session::rotation::{Decision, Reuse, decide};
use crate::session::{EndReason, SessionRecord, Terminated};
use crate::store::StoreError;
use crate::store::session::{Advance, Advanced};
use crate::token::issuer::{Draft, Issued};
use crate::token::refresh::PresentedRefresh;
use crate::wire::denial::DenialCode;

impl Authority {
    /// Exchanges an authentic refresh token, sharing the work with every other request that presents the same one.
    pub(crate) async fn exchange(self: &Arc<Self>, presented: &PresentedRefresh) -> Outcome {
        // A second turn means that the session may have been ended while the answer was made, so the store decides.
        let mut last = None;
        let lost = self.unavailable();
        for _ in 0..3 {
            let begin = || {
                let (engine, presented) = (self.clone(), presented.clone());
                async move { engine.exchange_now(&presented).await }
            };
            let key = (presented.session_id, presented.generation);
            let outcome = self
                .exchanges
                .join(key, &self.clock, &self.revocations, &lost, begin)
                .await;
            match &outcome {
                Ok(exchanged) if !exchanged.is_known_live(&self.revocations) => last = Some(outcome),
                _ => return outcome,
            }
        }
        if self.revocations.has_ended(presented.session_id) {
            // The store has forgotten an ending that is remembered here: a backup was restored.
            return Err(self.end_over(presented.session_id, EndReason::Administrator).await);
        }
        last.unwrap_or(Err(ExchangeError::Unavailable(lost)))
    }

    /// The exchange itself, and for how long its outcome may answer requests that come a little later.
    async fn exchange_now(&self, presented: &PresentedRefresh) -> (Result<Exchanged, ExchangeError>, Duration) {
        match self.try_exchange(presented).await {
            Ok((exchanged, keep)) => (Ok(exchanged), keep),
            Err(error) => (Err(error), Duration::ZERO),
        }
    }

    async fn try_exchange(&self, presented: &PresentedRefresh) -> Result<(Exchanged, Duration), ExchangeError> {
        let policy = &self.sessions.policy;
        // A strict session does not forgive a rotation whose answer never left, so the one thing that may still fail comes
        // before it, for a second round trip.
        let early = match policy.reuse {
            Reuse::Strict => self.grant_early(presented).await?,
            Reuse::Recover => None,
        };
        let (before, decision, now) = self.step(presented).await?;
        let age = before.rotation.rotated_at.map_or(Duration::ZERO, |at| at.distance(now));
        let third = policy.grace / 3;
        // `keep`: as long as a fresh look would come to the same answer, and not longer than a burst lasts.
        let (generation, successor, keep) = match decision {
            Decision::Rotate { current, .. } | Decision::Recover { current, .. } | Decision::Repair { current, .. } => {
                (
                    current,
                    Some((
                        current,
                        (now + self.sessions.lifetime.idle).min(before.absolute_expires_at),
                    )),
                    third,
                )
            }
            Decision::Resend => {
                let current = before.rotation.current;
                (current, Some((current, before.expires_at())), third.saturating_sub(age))
            }
            Decision::Keep => {
                if !before.rotation.seen {
                    self.acknowledge(presented.session_id, before.rotation.current);
                }
                (before.rotation.current, None, policy.grace.saturating_sub(age))
            }
            Decision::Tolerate => (presented.generation, None, policy.grace.saturating_sub(age)),
            Decision::ReuseDetected => return Err(self.stolen(presented, &before).await),
        };
        self.tell(&decision, presented, &before, generation);

        let subject = &before.subject;
        let grant = match early {
            Some(grant) => Some(grant),
            None => self
                .accounted(self.accounts.claims(subject))
                .await
                .map_err(ExchangeError::Unavailable)?,
        };
        let Some(grant) = grant else {
            return Err(self.end_over(presented.session_id, EndReason::AccountGone).await);
        };
        let issued = self.issue(
            &before,
            subject,
            generation,
            &grant,
            before.absolute_expires_at.since(now),
        )?;
        let refresh = match successor {
            None => None,
            Some((generation, expires_at)) => Some(RefreshCookie {
                token: self
                    .keys
                    .mint_refresh(&presented.secret, generation)
                    .map_err(|_| self.broken("the ring has no refresh key"))?,
                max_age: expires_at.since(now),
            }),
        };
        let late = decision == Decision::Tolerate;
        Ok((Exchanged { issued, refresh, late }, keep.min(defaults::SETTLED_FOR)))
    }

    /// What the session's user may do now; `None` where only the step can tell what to answer.
    async fn grant_early(&self, presented: &PresentedRefresh) -> Result<Option<RawGrant>, ExchangeError> {
        let found = self.stored(self.store.find(presented.session_id)).await;
        match found.map_err(|error| self.without_session(presented.session_id, &error))? {
            Some(found) if found.record.status(found.now).is_none() => {
                let claims = self.accounts.claims(&found.record.subject);
                self.accounted(claims).await.map_err(ExchangeError::Unavailable)
            }
            _ => Ok(None),
        }
    }

    /// Asks the store for the step that is nearly always right, and judges what it saw. Only a heal or a recovery needs a
    /// second round trip.
    async fn step(&self, presented: &PresentedRefresh) -> Result<(SessionRecord, Decision, Timestamp), ExchangeError> {
        let policy = &self.sessions.policy;
        let idle = self.sessions.lifetime.idle;
        let generation = presented.generation;
        let mut step = Advance {
            expected: generation,
            expected_seen: None,
            unless_within: policy.grace,
            confirmed: generation,
            current: generation.saturating_add(1),
            idle,
        };
        // Each further turn means that another instance moved the counter in between, which it cannot do forever.
        for _ in 0..8 {
            let known = self.revocations.log_version();
            let advanced = self.stored(self.store.advance(presented.session_id, step)).await;
            let advanced = advanced.map_err(|error| self.without_session(presented.session_id, &error))?;
            let Some(Advanced { before, taken, now }) = advanced else {
                return Err(ExchangeError::Over(End::Forgotten));
            };
            if let Some(over) = before.status(now) {
                if before.ended.is_some() {
                    self.revocations.end(presented.session_id);
                }
                return Err(ExchangeError::Over(End::Known(over)));
            }
            self.revocations.reconcile(&before, known);
            let decision = decide(&before.rotation, generation, now, policy);
            let (confirmed, current, unless_within, expected_seen) = match decision {
                Decision::Keep | Decision::Resend | Decision::Tolerate | Decision::ReuseDetected if !taken => {
                    return Ok((before, decision, now));
                }
                Decision::Rotate { confirmed, current } => (confirmed, current, policy.grace, None),
                Decision::Recover { confirmed, current } => {
                    (confirmed, current, policy.grace, Some(before.rotation.seen))
                }
                Decision::Repair { confirmed, current } => {
                    (confirmed, current, Duration::ZERO, Some(before.rotation.seen))
                }
                _ => return Err(self.broken("the store took a step that the rules forbid")),
            };
            if taken {
                return Ok((before, decision, now));
            }
            step = Advance {
                expected: before.rotation.current,
                expected_seen,
                unless_within,
                confirmed,
                current,
                idle,
            };
        }
        Err(self.broken("the session's counter would not hold still"))
    }

    pub(crate) fn issue(
        &self,
        record: &SessionRecord,
        subject: &Subject,
        generation: u32,
        grant: &RawGrant,
        left: Duration,
    ) -> Result<Issued, ExchangeError> {
        let draft = Draft {
            subject,
            session_id: record.id,
            generation,
            client_id: &record.client_id,
            scope: grant.scope.as_deref(),
            auth_time: self.sessions.auth_time.then(|| record.created_at.as_secs()),
            app: &grant.claims,
            // No access token outlives its session's last day.
            lifetime: self.sessions.access_lifetime.min(left),
        };
        let issued = self.issuer.issue(&draft, self.now()).map_err(|error| {
            tracing::error!(target: "auth", %error, "an access token cannot be issued");
            ExchangeError::Unavailable(self.denial(DenialCode::Internal))
        })?;
        self.verifier.remember(&issued.token, issued.verified.clone());
        Ok(issued)
    }

    /// What an exchange comes to whose session the store did not hand out.
    fn without_session(&self, session: SessionId, error: &StoreError) -> ExchangeError {
        if let StoreError::Corrupt(_) = error {
            self.raise(&Event::SessionUnreadable { session });
            return ExchangeError::Over(End::Unreadable);
        }
        ExchangeError::Unavailable(self.unavailable())
    }

    async fn stolen(&self, presented: &PresentedRefresh, before: &SessionRecord) -> ExchangeError {
        self.raise(&Event::RefreshTokenReused {
            subject: before.subject.clone(),
            session: presented.session_id,
            presented: presented.generation,
            current: before.rotation.current,
        });
        self.end_over(presented.session_id, EndReason::Reused).await
    }

    async fn end_over(&self, session: SessionId, reason: EndReason) -> ExchangeError {
        match self.end_session(session, reason).await {
            Ok(_) => ExchangeError::Over(End::Known(Terminated::Ended(reason))),
            Err(denial) => ExchangeError::Unavailable(denial),
        }
    }

    fn tell(&self, decision: &Decision, presented: &PresentedRefresh, before: &SessionRecord, generation: u32) {
        let session = presented.session_id;
        let event = match decision {
            Decision::Rotate { .. } => Event::Rotated { session, generation },
            Decision::Recover { .. } => Event::Recovered { session, generation },
            Decision::Repair { .. } => Event::SessionRepaired {
                session,
                presented: presented.generation,
                stored: before.rotation.current,
            },
            Decision::Resend | Decision::Tolerate => Event::ReplayServed {
                session,
                generation: presented.generation,
            },
            Decision::Keep | Decision::ReuseDetected => return,
        };
        self.raise(&event);
    }

    fn broken(&self, problem: &'static str) -> ExchangeError {
        tracing::error!(target: "auth", problem, "an exchange failed");
        ExchangeError::Unavailable(self.denial(DenialCode::Internal))
    }
}
