//! The auth endpoints as plain request → response functions, the same for every framework.

pub(crate) mod endpoint;

/// A ready route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `POST {prefix}/login`
    Login,
    /// `POST {prefix}/refresh`
    Refresh,
    /// `POST {prefix}/logout`
    Logout,
    /// `POST {prefix}/logout-all`
    LogoutAll,
    /// `GET {prefix}/sessions`
    Sessions,
    /// `DELETE {prefix}/sessions/{id}`
    Session,
    /// `GET /.well-known/jwks.json`
    Jwks,
}

impl Route {
    /// Every ready route.
    pub const ALL: [Self; 7] = [
        Self::Login,
        Self::Refresh,
        Self::Logout,
        Self::LogoutAll,
        Self::Sessions,
        Self::Session,
        Self::Jwks,
    ];

    /// The path in an application whose routes stand below `prefix`, in the grammar of axum and actix-web: `{id}` stands where a
    /// session's id does.
    pub fn path_below(self, prefix: &Prefix) -> String {
        match self {
            Self::Jwks => self.path().to_owned(),
            _ => format!("{}{}", prefix.0, self.path()),
        }
    }

    /// The route at `path`, a path as it was sent, for a shell without a router of its own.
    pub fn at(path: &str, prefix: &Prefix) -> Option<Self> {
        Self::ALL.into_iter().find(|route| {
            let own = route.path_below(prefix);
            match own.strip_suffix("{id}") {
                Some(parent) => path
                    .strip_prefix(parent)
                    .is_some_and(|id| !id.is_empty() && !id.contains('/')),
                None => path == own,
            }
        })
    }

    /// Whether `sent`, a path as it was sent, ends with this route's. A router that decodes paths first would let `/auth/log%69n`
    /// slip past a rule that a proxy has for `/auth/login`.
    pub fn is_path_as_sent(self, prefix: &Prefix, sent: &str) -> bool {
        let path = self.path_below(prefix);
        match (path.strip_suffix("/{id}"), sent.rsplit_once('/')) {
            (Some(parent), Some((above, _))) => above.ends_with(parent),
            _ => sent.ends_with(&path),
        }
    }

    /// Below the prefix, but for [`Jwks`](Self::Jwks), which has an absolute one (RFC 8615).
    const fn path(self) -> &'static str {
        match self {
            Self::Login => "/login",
            Self::Refresh => "/refresh",
            Self::Logout => "/logout",
            Self::LogoutAll => "/logout-all",
            Self::Sessions => "/sessions",
            Self::Session => "/sessions/{id}",
            Self::Jwks => "/.well-known/jwks.json",
        }
    }

    /// The methods it answers, for `Allow`.
    const fn allow(self) -> &'static str {
        match self {
            Self::Login | Self::Refresh | Self::Logout | Self::LogoutAll => "POST",
            Self::Sessions | Self::Jwks => "GET, HEAD",
            Self::Session => "DELETE",
        }
    }
}

/// Where an application's ready routes stand: `/auth` unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// Accepts a plain path such as `/account`.
    ///
    /// # Errors
    /// [`InvalidPrefix`] for anything else.
    pub fn new(prefix: &str) -> Result<Self, InvalidPrefix> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        if !prefix.starts_with('/') || prefix.ends_with('/') || prefix.contains("//") || !prefix.chars().all(plain) {
            return Err(InvalidPrefix);
        }
        Ok(Self(prefix.into()))
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("/auth".into())
    }
}

/// A prefix of the ready routes that is not a plain path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix must be a plain path such as `/account`, without a slash at its end")]
#[non_exhaustive]
pub struct InvalidPrefix;
