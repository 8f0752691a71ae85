//! The accounts without their type, as the engine holds them.

use std::future::Future;
use std::pin::Pin;

use serde_json::{Map, Value};

use crate::accounts::{Accounts, AccountsError, PasswordCredentials};
use crate::id::Subject;

/// A grant whose claims have become a JSON object, ready for a token.
#[derive(Debug)]
pub(crate) struct RawGrant {
    pub(crate) claims: Map<String, Value>,
    pub(crate) scope: Option<String>,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<Option<T>, AccountsError>> + Send + 'a>>;

/// The boxed form of [`Accounts`], so that the engine is compiled once for every application.
pub(crate) trait ErasedAccounts: Send + Sync {
    fn verify<'a>(&'a self, login: &'a PasswordCredentials) -> Boxed<'a, Subject>;
    fn claims<'a>(&'a self, subject: &'a Subject) -> Boxed<'a, RawGrant>;
}

impl<A: Accounts> ErasedAccounts for A {
    fn verify<'a>(&'a self, login: &'a PasswordCredentials) -> Boxed<'a, Subject> {
        Box::pin(Accounts::verify(self, login))
    }

    fn claims<'a>(&'a self, subject: &'a Subject) -> Boxed<'a, RawGrant> {
        Box::pin(async move {
            let Some(grant) = Accounts::claims(self, subject).await? else {
                return Ok(None);
            };
            match serde_json::to_value(&grant.claims) {
                Ok(Value::Object(claims)) => Ok(Some(RawGrant {
                    claims,
                    scope: grant.scope,
                })),
                Ok(_) => Err(AccountsError::unavailable(
                    "the claims type does not serialise to a JSON object",
                )),
                // The serde error may quote a claim's value, so it is not passed on.
                Err(_) => Err(AccountsError::unavailable("the claims cannot be serialised")),
            }
        })
    }
}
