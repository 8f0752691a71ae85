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

    /// The path below the prefix, with `{id}` where a session's id stands; [`Jwks`](Self::Jwks) has an absolute one
    /// (RFC 8615).
    pub const fn path(self) -> &'static str {
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

    /// Whether the path stands alone instead of below the prefix.
    pub const fn is_well_known(self) -> bool {
        matches!(self, Self::Jwks)
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
