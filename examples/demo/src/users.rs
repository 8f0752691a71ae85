//! The two users.

use auth_tower::{Accounts, AccountsError, Grant, PasswordCredentials, Passwords, Subject};
use serde::{Deserialize, Serialize};

use crate::api::ADMIN;

/// The claims that these apps put into an access token, beside the registered ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// What the user may do.
    pub roles: Vec<String>,
}

impl User {
    /// Whether the user may do what administrators do.
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role == ADMIN)
    }
}

/// `alice` with the password `wonderland`, an administrator, and `bob` with the password `builder`.
///
/// An app of your own asks its database here. The passwords are known to everybody who reads this, so these accounts must
/// not outlive a trial.
#[derive(Debug, Clone, Default)]
pub struct DemoAccounts {
    passwords: Passwords,
}

impl DemoAccounts {
    /// The accounts.
    pub fn new() -> Self {
        Self::default()
    }
}

struct Account {
    name: &'static str,
    /// A PHC string, as a database would keep it: argon2id with the default parameters and a random salt.
    password: &'static str,
    roles: &'static [&'static str],
}

const ACCOUNTS: [Account; 2] = [
    Account {
        name: "alice",
        password: "$argon2id$v=19$m=19456,t=2,p=1$SPLoOAdm0NYZx10M4Y+QZg$vV7dogumZG3D7uEdsVzBO0yuNdFYTNi9cVewGYzQ2h8",
        roles: &[ADMIN],
    },
    Account {
        name: "bob",
        password: "$argon2id$v=19$m=19456,t=2,p=1$2ZAISVLHv9d0ofRU7sZKZQ$3SiDszGSRtviGk2Xrh1iv7Z8YwX82MBdN/y7XMNKx/k",
        roles: &[],
    },
];

fn account(name: &str) -> Option<&'static Account> {
    ACCOUNTS.iter().find(|account| account.name == name)
}

impl Accounts for DemoAccounts {
    type Claims = User;

    async fn verify(&self, login: &PasswordCredentials) -> Result<Option<Subject>, AccountsError> {
        let account = account(login.username());
        // Asked for an unknown user too, so that the time of the answer does not tell who has an account.
        let matches = self
            .passwords
            .verify(login.password(), account.map(|account| account.password))
            .await?;
        Ok(account
            .filter(|_| matches)
            .and_then(|account| Subject::new(account.name).ok()))
    }

    async fn claims(&self, subject: &Subject) -> Result<Option<Grant<User>>, AccountsError> {
        Ok(account(subject.as_str()).map(|account| {
            Grant::new(User {
                name: account.name.to_owned(),
                roles: account.roles.iter().map(ToString::to_string).collect(),
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use auth_tower::session::ClientInfo;

    use super::*;

    async fn who(username: &str, password: &str) -> Option<String> {
        let login = PasswordCredentials::new(username, password, ClientInfo::default());
        let subject = DemoAccounts::new().verify(&login).await.unwrap();
        subject.map(|subject| subject.to_string())
    }

    #[tokio::test]
    async fn the_two_users_sign_in_with_their_own_password_and_nobody_else_does() {
        assert_eq!(who("alice", "wonderland").await.as_deref(), Some("alice"));
        assert_eq!(who("bob", "builder").await.as_deref(), Some("bob"));
        for (username, password) in [
            ("alice", "builder"),
            ("bob", "wonderland"),
            ("alice", ""),
            ("alice", "wonderland "),
            ("Alice", "wonderland"),
            ("alice ", "wonderland"),
            ("", ""),
            ("carol", "wonderland"),
        ] {
            assert_eq!(who(username, password).await, None, "{username:?} {password:?}");
        }
    }

    #[tokio::test]
    async fn only_alice_is_an_administrator_and_a_stranger_is_nobody() {
        let claims = async |name| DemoAccounts::new().claims(&Subject::new(name).unwrap()).await.unwrap();
        let user = |name: &str, roles: &[&str]| {
            let roles = roles.iter().map(ToString::to_string).collect();
            Some(Grant::new(User {
                name: name.into(),
                roles,
            }))
        };
        assert_eq!(claims("alice").await, user("alice", &["admin"]));
        assert_eq!(claims("bob").await, user("bob", &[]));
        assert_eq!(claims("carol").await, None);
    }
}
