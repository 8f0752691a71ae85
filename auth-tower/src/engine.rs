//! One request: facts in, an identity out.

use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::accounts::{AccountsError, ErasedAccounts};
use crate::clock::Timestamp;
use crate::config::{AccessTransport, OnOutage, Settings, defaults};
use crate::csrf::CookieAuthority;
use crate::event::Event;
use crate::exchange::Flights;
use crate::id::{SessionId, Subject};
use crate::request::RequestFacts;
use crate::revocation::marks::Marks;
use crate::revocation::watchers::Word;
use crate::revocation::{Known, Revocations};
use crate::session::record::{EndReason, Over};
use crate::session::store::erased::ErasedStore;
use crate::session::store::{Ended, Ending, StoreError};
use crate::shared_clock::SharedClock;
use crate::store_calls::{Answer, StoreCalls};
use crate::token::{Issuer, KeyRing, PresentedRefresh, Verdict, VerifiedToken, Verifier};
use crate::wire::bearer::{Bearer, bearer, is_readable};
use crate::wire::cookies;
use crate::wire::problem::{Code, Denial};

/// Everything an authority needs, compiled once for every application.
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<SharedClock>,
    pub(crate) calls: Arc<StoreCalls>,
    pub(crate) keys: KeyRing,
    pub(crate) verifier: Verifier,
    pub(crate) issuer: Issuer,
    pub(crate) store: Arc<dyn ErasedStore>,
    pub(crate) accounts: Arc<dyn ErasedAccounts>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) flights: Flights,
    pub(crate) tasks: Vec<AbortHandle>,
}

impl Drop for Engine {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("issuer", &self.settings.issuer)
            .finish_non_exhaustive()
    }
}

/// What a request's access token came to.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    Absent,
    /// Unreadable, repeated, or sent in two ways.
    Malformed,
    Valid(Arc<VerifiedToken>),
    Expired(SessionId),
    UnknownKey,
    Invalid,
    /// An authentic one, in a cookie that another site's page made the browser send with an unsafe method.
    CrossSite,
}

impl Access {
    /// Which of several access cookies counts.
    fn rank(&self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Invalid | Self::Malformed => 1,
            Self::UnknownKey => 2,
            Self::Expired(_) => 3,
            Self::Valid(_) | Self::CrossSite => 4,
        }
    }
}

/// What a request's refresh cookies came to.
#[derive(Debug)]
pub(crate) struct RefreshCookies {
    pub(crate) authority: CookieAuthority,
    /// Whether any cookie of the name was sent.
    pub(crate) sent: bool,
    /// The authentic ones, one per session and of it the highest generation, in the order they were sent.
    pub(crate) authentic: Vec<PresentedRefresh>,
}

/// Who is asking. `Anonymous` carries what a route that needs a user answers.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    User(Arc<VerifiedToken>),
    Anonymous(Denial),
    Refused(Denial),
}

/// How many sessions' cookies one request may have tried against the store.
const MAX_SESSIONS_TRIED: usize = 4;

impl Engine {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn denial(&self, code: Code) -> Denial {
        Denial::new(code).with_renderer(self.settings.renderer.clone())
    }

    pub(crate) fn unavailable(&self) -> Denial {
        self.denial(Code::StoreUnavailable)
            .with_retry_after(defaults::RETRY_AFTER)
    }

    pub(crate) fn raise(&self, event: &Event) {
        event.log();
        if let Some(listener) = &self.settings.listener {
            listener(event);
        }
    }

    /// Asks the store, within the deadline and the bounds of [`StoreCalls`].
    pub(crate) async fn stored<T: Answer>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.calls.ask(call).await
    }

    /// The same for the application's accounts.
    pub(crate) async fn accounted<T>(
        &self,
        call: impl Future<Output = Result<Option<T>, AccountsError>> + Send,
    ) -> Result<Option<T>, Denial> {
        let late = || Err(AccountsError::unavailable("the accounts did not answer in time"));
        match tokio::time::timeout(defaults::ACCOUNTS_DEADLINE, call)
            .await
            .unwrap_or_else(|_| late())
        {
            Ok(answer) => Ok(answer),
            Err(AccountsError::RateLimited { retry_after }) => {
                Err(self.denial(Code::RateLimited).with_retry_after(retry_after))
            }
            Err(error) => {
                tracing::warn!(target: "auth", %error, source = error_source(&error), "the accounts failed");
                Err(self.unavailable())
            }
        }
    }

    /// Reads the access token off a request, and whether it came in a cookie. No I/O.
    pub(crate) fn access(&self, facts: &(impl RequestFacts + ?Sized), now: Timestamp) -> (Access, bool) {
        let verify = |token: &[u8]| match self.verifier.verify(token, now) {
            Verdict::Invalid(_) if !is_readable(token) => Access::Malformed,
            Verdict::Valid(token) => Access::Valid(token),
            Verdict::Expired { session_id } => Access::Expired(session_id),
            Verdict::UnknownKey => Access::UnknownKey,
            Verdict::Invalid(reason) => {
                tracing::debug!(target: "auth", reason, "access token refused");
                Access::Invalid
            }
        };
        match bearer(facts, verify) {
            Bearer::Malformed => return (Access::Malformed, false),
            Bearer::Token(access) => return (access, false),
            Bearer::Absent => {}
        }
        let mut found = Access::Absent;
        if let AccessTransport::Cookie(config) = &self.settings.transport {
            cookies::values(facts, &config.name, &mut |value| {
                let access = match verify(value) {
                    Access::Malformed => Access::Invalid,
                    access => access,
                };
                if access.rank() > found.rank() {
                    found = access;
                }
            });
            if !matches!(found, Access::Absent) && !self.settings.csrf.may_speak(facts) {
                let refused = self.settings.csrf.judge(facts) == CookieAuthority::Refused;
                found = match found {
                    Access::Valid(_) | Access::Expired(_) if refused => Access::CrossSite,
                    _ => Access::Absent,
                };
            }
        }
        (found, true)
    }

    /// Reads the refresh cookies off a request. No I/O: what is not authentic goes no further.
    pub(crate) fn refresh_cookies(&self, facts: &(impl RequestFacts + ?Sized)) -> RefreshCookies {
        let mut found = RefreshCookies {
            authority: self.settings.csrf.judge(facts),
            sent: false,
            authentic: Vec::new(),
        };
        cookies::values(facts, &self.settings.cookie.name, &mut |value| {
            found.sent = true;
            let Some(presented) = self.keys.authenticate_refresh(value) else {
                return;
            };
            let room = found.authentic.len() < MAX_SESSIONS_TRIED;
            match found
                .authentic
                .iter_mut()
                .find(|other| other.session_id == presented.session_id)
            {
                Some(other) if other.generation < presented.generation => *other = presented,
                None if room => found.authentic.push(presented),
                _ => {}
            }
        });
        found
    }

    /// The answer for a valid access token, if memory can give it.
    pub(crate) fn recall(&self, token: &Arc<VerifiedToken>, now: Timestamp) -> Option<Identity> {
        match self.revocations.check(token, now) {
            Known::Live => Some(self.admit(token)),
            Known::Ended => Some(Identity::Refused(self.denial(Code::TokenRevoked).presented(true))),
            Known::Stale | Known::Unclear => None,
        }
    }

    fn admit(&self, token: &Arc<VerifiedToken>) -> Identity {
        use std::sync::atomic::Ordering::Relaxed;
        if !token.marked.load(Relaxed)
            && !token.marked.swap(true, Relaxed)
            && let Some(generation) = token.registered.generation()
        {
            self.saw(token.registered.session_id(), generation);
        }
        Identity::User(token.clone())
    }

    /// A generation was proven to be in its client's hands.
    pub(crate) fn saw(&self, session: SessionId, generation: u32) {
        self.flights.saw(session, generation);
        self.marks.add(session, generation);
    }

    /// Asks the store about a valid token's session, because memory cannot tell.
    pub(crate) async fn look_up(&self, token: &Arc<VerifiedToken>, on_outage: OnOutage) -> Identity {
        let session = token.registered.session_id();
        let unclear = self.revocations.check(token, self.now()) == Known::Unclear;
        match self.revocations.ask(&self.calls, &*self.store, session).await {
            Word::Ended => Identity::Refused(self.denial(Code::TokenRevoked).presented(true)),
            // A token may outlive its session's lapse, but not its ending.
            Word::Live { .. } | Word::Lapsed => self.admit(token),
            // An ending is known that may well cover this session, so an outage does not open it again.
            Word::Unknown | Word::Unreachable if unclear => Identity::Refused(self.unavailable()),
            Word::Unknown | Word::Unreachable => match on_outage {
                OnOutage::Accept => self.admit(token),
                OnOutage::Refuse => Identity::Refused(self.unavailable()),
            },
        }
    }

    /// The whole table: who is asking, given what the access token and the cookies came to.
    ///
    /// `exchanged` receives what an exchange wants written onto the response, and `over` the end of a session whose cookie
    /// is to be cleared.
    pub(crate) async fn identify(
        self: &Arc<Self>,
        access: &Access,
        cookies: &RefreshCookies,
        on_outage: OnOutage,
        outcome: &mut (dyn FnMut(CookieOutcome) + Send),
    ) -> Identity {
        let wanted = match access {
            Access::Malformed => return Identity::Refused(self.denial(Code::InvalidRequest).presented(true)),
            Access::Invalid => return Identity::Refused(self.denial(Code::InvalidToken).presented(true)),
            Access::CrossSite => return Identity::Refused(self.denial(Code::CrossSiteRequest)),
            Access::Valid(token) => {
                return match self.recall(token, self.now()) {
                    Some(identity) => identity,
                    None => self.look_up(token, on_outage).await,
                };
            }
            Access::Expired(session) => Some(*session),
            Access::Absent | Access::UnknownKey => None,
        };
        let presented = !matches!(access, Access::Absent);
        let refuse_or_anonymous = |denial: Denial| match access {
            Access::Absent => Identity::Anonymous(denial),
            _ => Identity::Refused(denial.presented(true)),
        };
        let without_cookie = || match access {
            Access::Expired(_) => Identity::Refused(self.denial(Code::TokenExpired).presented(true)),
            Access::Absent => Identity::Anonymous(self.denial(Code::MissingToken)),
            _ => Identity::Refused(self.denial(Code::InvalidToken).presented(true)),
        };
        match cookies.authority {
            CookieAuthority::Absent => return without_cookie(),
            CookieAuthority::Refused if !cookies.authentic.is_empty() => {
                return Identity::Refused(self.denial(Code::CrossSiteRequest));
            }
            CookieAuthority::Refused | CookieAuthority::Full => {}
        }
        if cookies.authentic.is_empty() {
            return match access {
                Access::Absent if cookies.sent => Identity::Anonymous(self.denial(Code::InvalidRefreshToken)),
                _ => without_cookie(),
            };
        }
        let mut over = None;
        for refresh in &cookies.authentic {
            if wanted.is_some_and(|session| session != refresh.session_id) {
                continue;
            }
            match self.exchange(refresh).await {
                Ok(exchanged) => {
                    let token = exchanged.issued.verified.clone();
                    outcome(CookieOutcome::Exchanged(exchanged));
                    return Identity::User(token);
                }
                Err(ExchangeError::Over(end)) => over = over.or(Some(end)),
                Err(ExchangeError::Unavailable(denial)) => return Identity::Refused(denial.presented(presented)),
            }
        }
        // Either there was none of the wanted session, or each that there was came to an end.
        let Some(end) = over else {
            return Identity::Refused(self.denial(Code::InvalidToken).presented(true));
        };
        if end.clears_cookie() {
            outcome(CookieOutcome::Over);
        }
        refuse_or_anonymous(self.denial(end.code()))
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
            .is_some_and(|found| found.record.over(found.now).is_none());
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
        self.revocations.apply(&[Ending {
            what: Ended::AllOf {
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

/// What became of a refresh cookie, for the response.
#[derive(Debug)]
pub(crate) enum CookieOutcome {
    Exchanged(Arc<crate::exchange::Exchanged>),
    /// Its session is definitively over: the cookie is cleared.
    Over,
}

/// Why an exchange gave nothing.
#[derive(Debug, Clone)]
pub(crate) enum ExchangeError {
    /// The session is over.
    Over(End),
    /// It cannot be told now.
    Unavailable(Denial),
}

/// How a session came to be over, as far as the store can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Known(Over),
    /// The store no longer remembers it.
    Forgotten,
    /// The store holds it, and cannot read it.
    Unreadable,
}

impl End {
    /// The code by which a client learns of it.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Known(Over::Expired) => Code::RefreshTokenExpired,
            Self::Known(Over::Ended(EndReason::Reused)) => Code::RefreshTokenReused,
            Self::Known(Over::Ended(_)) | Self::Forgotten | Self::Unreadable => Code::SessionEnded,
        }
    }

    /// Whether it may clear its cookie.
    ///
    /// A session is replaced by a later sign-in of the same browser, whose jar then holds a newer cookie of the same name; a
    /// straggler's answer must not clear that one. What cannot be read here may be read by a newer instance, or once it was mended.
    pub(crate) fn clears_cookie(self) -> bool {
        !matches!(self, Self::Known(Over::Ended(EndReason::Replaced)) | Self::Unreadable)
    }
}

/// The cause of an error as the driver told it; our own errors carry no secret, and neither do the drivers'.
pub(crate) fn error_source(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    error.source().map(ToString::to_string)
}
