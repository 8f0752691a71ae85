//! Accounts that answer as they are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_tower::{AccountsError, Grant, PasswordCredentials, Subject};
use serde::{Deserialize, Serialize};

/// The app's own claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
}

/// What the accounts answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Everybody whose password is `wonderland` may sign in.
    Usual,
    /// The account is gone or disabled.
    Gone,
    Unavailable,
    RateLimited,
    Hang,
    Panic,
}

#[derive(Clone)]
pub(crate) struct Accounts(Arc<Shared>);

struct Shared {
    answer: Mutex<Answer>,
    roles: Mutex<Vec<String>>,
}

impl Accounts {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            answer: Mutex::new(Answer::Usual),
            roles: Mutex::new(vec!["reader".to_owned()]),
        }))
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.0.answer.lock().unwrap() = answer;
    }

    pub(crate) fn roles(&self, roles: &[&str]) {
        *self.0.roles.lock().unwrap() = roles.iter().map(|&role| role.to_owned()).collect();
    }

    async fn answered<T>(&self, usual: impl FnOnce() -> Option<T> + Send) -> Result<Option<T>, AccountsError> {
        let answer = *self.0.answer.lock().unwrap();
        match answer {
            Answer::Usual => Ok(usual()),
            Answer::Gone => Ok(None),
            Answer::Unavailable => Err(AccountsError::unavailable("the test says so")),
            Answer::RateLimited => Err(AccountsError::RateLimited {
                retry_after: Duration::from_secs(17),
            }),
            Answer::Hang => std::future::pending().await,
            Answer::Panic => panic!("the accounts panic because the test says so"),
        }
    }
}

impl auth_tower::Accounts for Accounts {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        self.answered(|| {
            let known = login.password().expose_secret() == "wonderland";
            known.then(|| Subject::new(login.username()).ok()).flatten()
        })
        .await
    }

    async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        self.answered(|| {
            let user = User {
                name: subject.to_string(),
                roles: self.0.roles.lock().unwrap().clone(),
            };
            Some(Grant::new(user).with_scope("notes:read notes:list"))
        })
        .await
    }
}
