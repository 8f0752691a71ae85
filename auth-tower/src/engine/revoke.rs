//! Ending sessions: here at once, and everywhere by the feed.

use super::authority::Authority;
use crate::events::Event;
use crate::id::{SessionId, Subject};
use crate::revocation::watchers::SessionStatus;
use crate::session::EndReason;
use crate::store::StoreError;
use crate::store::feed::{RevocationEvent, Revoked};
use crate::wire::denial::Denial;

impl Authority {
    /// Asks the store whether a session lives, and takes in what it says.
    pub(crate) async fn ask(&self, session: SessionId) -> SessionStatus {
        self.revocations.ask(&self.guard, &*self.store, session).await
    }

    /// Ends one session, here at once and everywhere by the feed. Returns whether it was live.
    pub(crate) async fn end_session(&self, session: SessionId, reason: EndReason) -> Result<bool, Denial> {
        let before = match self.stored(self.store.end(session, reason)).await {
            Ok(before) => before,
            // Whoever signs out of it is rid of it: it is refused from now on as it was before.
            Err(StoreError::Corrupt(_)) => {
                self.raise(&Event::SessionUnreadable { session });
                None
            }
            Err(_) => return Err(self.unavailable()),
        };
        let live = before
            .as_ref()
            .is_some_and(|found| found.record.status(found.now).is_none());
        // Whatever the store knows of it: a lapsed or forgotten session may have left access tokens behind.
        self.revocations.end(session);
        if live {
            self.raise(&Event::SessionEnded { session, reason });
        }
        Ok(live)
    }

    /// Ends a subject's sessions, here at once and everywhere by the feed. Returns how many were live.
    pub(crate) async fn end_all(
        &self,
        subject: &Subject,
        keep: Option<SessionId>,
        reason: EndReason,
    ) -> Result<u64, Denial> {
        let all = self
            .stored(self.store.end_all(subject, keep, reason))
            .await
            .map_err(|_| self.unavailable())?;
        self.revocations.apply(&[RevocationEvent {
            what: Revoked::Subject {
                subject: subject.key(),
                keep,
            },
            at: all.at,
        }]);
        self.raise(&Event::AllSessionsEnded {
            subject: subject.clone(),
            ended: all.ended,
        });
        Ok(all.ended)
    }
}
