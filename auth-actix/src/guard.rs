//! Guards for whole scopes and resources: `.wrap(auth_actix::require_scope::<User>("notes:write"))`.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::EitherBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, ResponseError as _};
use auth_tower::{AppClaims, Claims, Denial, adapter};
use pin_project_lite::pin_project;

use crate::facts::{Facts, with_handle};
use crate::rejection::Rejection;

type Check<C> = Arc<dyn Fn(&Claims<C>) -> Result<(), Denial> + Send + Sync>;

/// Lets only users through whose claims satisfy `allowed`: 401 without a user, 403 for any other.
///
/// ```
/// # use actix_web::web;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct User { roles: Vec<String> }
///
/// let admin = web::scope("/admin")
///     .wrap(auth_actix::require(|user: &User| user.roles.iter().any(|role| role == "admin")))
///     .route("", web::get().to(|| async { "hello, admin" }));
/// # let _ = actix_web::App::new().service(admin);
/// ```
pub fn require<C: AppClaims>(allowed: impl Fn(&C) -> bool + Send + Sync + 'static) -> Guard<C> {
    Guard::new(move |claims: &Claims<C>| claims.require(&allowed))
}

/// Lets only users through whose token has every one of these space-separated scope values: 401 without a user, 403 for any
/// other, naming the scope in the challenge (RFC 6750 §3.1).
///
/// The claims type is the application's: `require_scope::<User>("notes:write")`.
pub fn require_scope<C: AppClaims>(scope: impl Into<String>) -> Guard<C> {
    let scope = scope.into();
    Guard::new(move |claims: &Claims<C>| claims.require_scope(&scope))
}

/// The middleware behind [`require`] and [`require_scope`]; not one of actix's [routing guards](actix_web::guard), which
/// cannot wait and answer 404.
///
/// A refusal is a response and no error, so that CORS and loggers further outside see it. Of several `wrap`s on one app or scope
/// the last is the outermost: the [`middleware`](crate::middleware()) comes after the guards.
#[must_use = "wrap a scope or a resource in it"]
pub struct Guard<C> {
    check: Check<C>,
}

impl<C: AppClaims> Guard<C> {
    fn new(check: impl Fn(&Claims<C>) -> Result<(), Denial> + Send + Sync + 'static) -> Self {
        Self { check: Arc::new(check) }
    }
}

impl<C> Clone for Guard<C> {
    fn clone(&self) -> Self {
        Self {
            check: self.check.clone(),
        }
    }
}

impl<C> fmt::Debug for Guard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl<S, B, C> Transform<S, ServiceRequest> for Guard<C>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    C: AppClaims,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = GuardService<S, C>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(GuardService {
            inner: Rc::new(inner),
            check: self.check.clone(),
        }))
    }
}

/// A service behind a [`Guard`].
pub struct GuardService<S, C> {
    inner: Rc<S>,
    check: Check<C>,
}

impl<S, B, C> Service<ServiceRequest> for GuardService<S, C>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    C: AppClaims,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = GuardFuture<S, S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let observed = with_handle(&request, |handle| {
            adapter::observe(handle, &Facts(request.head()));
            adapter::claims_now::<C>(handle).ok_or_else(|| handle.clone())
        });
        let admitted = match observed {
            Err(rejection) => Err(rejection),
            Ok(Ok(known)) => admit(&self.check, known),
            Ok(Err(handle)) => {
                let check = self.check.clone();
                return GuardFuture::new(State::Asking {
                    asking: Box::pin(async move { admit(&check, handle.claims().await) }),
                    inner: self.inner.clone(),
                    request: Some(request),
                });
            }
        };
        GuardFuture::new(match admitted {
            Ok(()) => State::Running {
                running: self.inner.call(request),
            },
            Err(rejection) => State::Refused {
                refused: Some((request, rejection)),
            },
        })
    }
}

fn admit<C>(check: &Check<C>, claims: Result<Claims<C>, Denial>) -> Result<(), Rejection> {
    Ok(check(&claims?)?)
}

impl<S: fmt::Debug, C> fmt::Debug for GuardService<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The answer of a [`GuardService`]: the inner one, or a denial.
    pub struct GuardFuture<S, F> {
        #[pin]
        state: State<S, F>,
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>;

pin_project! {
    #[project = StateProjection]
    enum State<S, F> {
        /// Memory knew that this user may not pass.
        Refused { refused: Option<(ServiceRequest, Rejection)> },
        /// It takes a look at the store.
        Asking { asking: Asking, inner: Rc<S>, request: Option<ServiceRequest> },
        Running { #[pin] running: F },
    }
}

impl<S, F> GuardFuture<S, F> {
    fn new(state: State<S, F>) -> Self {
        Self { state }
    }
}

impl<S, F, B> Future for GuardFuture<S, F>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error, Future = F>,
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let running = match state.as_mut().project() {
                StateProjection::Running { running } => {
                    return running.poll(cx).map_ok(ServiceResponse::map_into_left_body);
                }
                StateProjection::Refused { refused } => match refused.take() {
                    Some((request, rejection)) => return Poll::Ready(Ok(refusal(request, &rejection))),
                    // Polled again after it was done; a future may answer that as it likes.
                    None => return Poll::Pending,
                },
                StateProjection::Asking { asking, inner, request } => {
                    let admitted = ready!(asking.as_mut().poll(cx));
                    match (admitted, request.take()) {
                        (Ok(()), Some(request)) => inner.call(request),
                        (Err(rejection), Some(request)) => return Poll::Ready(Ok(refusal(request, &rejection))),
                        (_, None) => return Poll::Pending,
                    }
                }
            };
            state.set(State::Running { running });
        }
    }
}

fn refusal<B>(request: ServiceRequest, rejection: &Rejection) -> ServiceResponse<EitherBody<B>> {
    request.into_response(rejection.error_response()).map_into_right_body()
}

impl<S, F> fmt::Debug for GuardFuture<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFuture").finish_non_exhaustive()
    }
}
