//! The cookie policy, adjustable within what browsers accept.

use std::time::Duration;

use cookie::Cookie;

use super::error::ConfigError;

/// When a browser sends the cookie with requests that other sites cause (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::exhaustive_enums,
    reason = "`None` would need a CSRF token of its own, so it is not offered"
)]
pub enum SameSite {
    /// Never. The default.
    #[default]
    Strict,
    /// With top-level navigations: a link from elsewhere finds the user signed in.
    Lax,
}

impl SameSite {
    // Not a `From`: that would put the crate's type into the public API.
    fn to_attribute(self) -> cookie::SameSite {
        match self {
            Self::Strict => cookie::SameSite::Strict,
            Self::Lax => cookie::SameSite::Lax,
        }
    }
}

/// Name and attributes of a credential cookie. It is always `HttpOnly`.
///
/// ```
/// use auth_tower::CookieConfig;
/// use auth_tower::SameSite;
///
/// assert!(CookieConfig::new("__Host-refresh").same_site(SameSite::Lax).check().is_ok());
/// // Browsers silently drop a `__Host-` cookie with a domain, so this is refused when the app starts.
/// assert!(CookieConfig::new("__Host-refresh").domain("example.com").check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieConfig {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) domain: Option<String>,
    pub(crate) same_site: SameSite,
    pub(crate) secure: bool,
}

impl CookieConfig {
    /// A cookie of this name with `Secure; SameSite=Strict; Path=/`, for this host only.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".to_owned(),
            domain: None,
            same_site: SameSite::Strict,
            secure: true,
        }
    }

    /// The paths the cookie is sent to. Default: `/`, which the `__Host-` prefix needs and a silent exchange anywhere too.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Shares the cookie with every host below `domain`. Default: this host only. Every such host can then read and
    /// overwrite it, so the `__Host-` prefix forbids it.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Default: [`SameSite::Strict`].
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sends the cookie over plain HTTP too, where anybody on the way can take it. For closed networks without TLS only;
    /// `localhost` does not need it. The name must then have no prefix.
    #[must_use]
    pub fn with_insecure_plain_http(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Whether browsers would accept this cookie.
    ///
    /// # Errors
    /// [`ConfigError`] for a combination that browsers drop (RFC 6265bis §4.1.3, §5.7), or a character that would break out
    /// of the header.
    pub fn check(&self) -> Result<(), ConfigError> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(token) {
            return Err(ConfigError::invalid(
                "cookie name",
                "must be 1 to 64 characters of an RFC 9110 token",
            ));
        }
        if !self.path.starts_with('/') || !self.path.bytes().all(|b| b.is_ascii_graphic() && b != b';') {
            return Err(ConfigError::invalid(
                "cookie path",
                "must begin with `/` and hold no `;`, space or control character",
            ));
        }
        if let Some(domain) = &self.domain {
            let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !domain.split('.').all(label) {
                return Err(ConfigError::invalid(
                    "cookie domain",
                    "must be a host name such as `example.com`",
                ));
            }
        }
        let name = self.name.to_ascii_lowercase();
        if (name.starts_with("__secure-") || name.starts_with("__host-") || name.starts_with("__http-")) && !self.secure
        {
            return Err(ConfigError::invalid(
                "cookie name",
                "a `__Secure-` or `__Host-` cookie must be `Secure`; choose a plain name for plain HTTP",
            ));
        }
        if name.starts_with("__host-") && (self.path != "/" || self.domain.is_some()) {
            return Err(ConfigError::invalid(
                "cookie name",
                "a `__Host-` cookie must have `Path=/` and no `Domain`",
            ));
        }
        Ok(())
    }

    /// A `Set-Cookie` value that stores `value` for `max_age`.
    pub(crate) fn set(&self, value: &str, max_age: Duration) -> String {
        // Zero would remove the cookie (RFC 6265 §5.2.2), and with it the client's chance to hear why its session is over.
        let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX).max(1);
        self.build(value, seconds)
    }

    /// A `Set-Cookie` value that removes the cookie: same name, path and domain, as RFC 6265 §5.3 compares them.
    pub(crate) fn clear(&self) -> String {
        self.build("", 0)
    }

    fn build(&self, value: &str, max_age: i64) -> String {
        let mut cookie = Cookie::build((self.name.as_str(), value))
            .http_only(true)
            .secure(self.secure)
            .same_site(self.same_site.to_attribute())
            .path(self.path.as_str())
            .max_age(time::Duration::seconds(max_age));
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain.as_str());
        }
        cookie.build().to_string()
    }
}

/// How access tokens reach the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there are two ways to hand over a token that scripts and tools can use"
)]
pub enum AccessTransport {
    /// In bodies and the `x-access-token` response header; the client sends them back as `Authorization: Bearer`.
    #[default]
    Header,
    /// In an HttpOnly cookie that no script can read. Requests on its word then need the cross-site rule, like those on
    /// the refresh cookie's. A bearer header is still understood.
    Cookie(CookieConfig),
}
