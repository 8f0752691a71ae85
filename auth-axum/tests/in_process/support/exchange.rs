//! A request and what came back.

use auth_tower::Denial;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde_json::Value;

/// A request in the making.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

pub(crate) fn ask(method: &str, path: &str) -> Ask {
    Ask {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: String::new(),
    }
}

impl Ask {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// A `Cookie` line of its own.
    pub(crate) fn refresh(self, token: &str) -> Self {
        self.header("cookie", format!("__Host-refresh={token}"))
    }

    pub(crate) fn json(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type", "application/json")
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) denial: Option<Denial>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next().map(|value| value.to_str().unwrap());
        assert!(all.next().is_none(), "{name} came twice");
        first
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The problem's code; empty if this is no problem.
    pub(crate) fn code(&self) -> String {
        let problem = self.header("content-type") == Some("application/problem+json");
        if !problem {
            return String::new();
        }
        let code = self.json()["code"].as_str().unwrap().to_owned();
        let denial = self.denial.as_ref().map(|denial| denial.code().as_str());
        assert_eq!(denial, Some(&*code), "a denial goes with its response, for logs");
        code
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let lines = self.headers.get_all("set-cookie").iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }

    /// The `Set-Cookie` line of this name.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}=");
        let mut lines = self.set_cookies().into_iter().filter(|line| line.starts_with(&prefix));
        let first = lines.next();
        assert!(lines.next().is_none(), "{name} is set twice");
        first
    }

    /// The new refresh token, if there is one.
    pub(crate) fn refresh(&self) -> Option<String> {
        let line = self.set_cookie("__Host-refresh")?;
        let value = line.split(';').next().unwrap().split_once('=').unwrap().1;
        if value.is_empty() {
            return None;
        }
        // RT-19, CK-12, CK-02: whatever hands out a credential.
        assert_eq!(self.header("cache-control"), Some("no-store"));
        for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
            assert!(line.contains(&format!("; {attribute}")), "{attribute} is missing");
        }
        assert!(!line.contains("Domain"));
        Some(value.to_owned())
    }

    pub(crate) fn max_age(&self) -> Option<u64> {
        let line = self.set_cookie("__Host-refresh")?;
        let age = line.split("; ").find_map(|part| part.strip_prefix("Max-Age="))?;
        Some(age.parse().unwrap())
    }

    /// Whether the refresh cookie is removed.
    pub(crate) fn clears(&self) -> bool {
        let cleared = self.max_age() == Some(0);
        assert!(
            !cleared
                || self
                    .set_cookie("__Host-refresh")
                    .unwrap()
                    .starts_with("__Host-refresh=;")
        );
        cleared
    }

    /// The new access token, if there is one.
    pub(crate) fn access(&self) -> Option<String> {
        let in_header = self.header("x-access-token").map(str::to_owned);
        if in_header.is_some() {
            assert_eq!(self.header("cache-control"), Some("no-store"));
        }
        in_header.or_else(|| {
            Some(
                serde_json::from_str::<Value>(&self.body).ok()?["access_token"]
                    .as_str()?
                    .to_owned(),
            )
        })
    }

    /// Nothing is written: no cookie set or cleared, no token.
    #[track_caller]
    pub(crate) fn writes_nothing(&self) {
        assert_eq!(self.set_cookies(), Vec::<&str>::new());
        assert_eq!(self.access(), None);
    }

    /// An outage: 503 with a time to come again, and no cookie touched (BR-06, CK-08).
    #[track_caller]
    pub(crate) fn is_outage(&self) {
        assert_eq!((self.status, &*self.code()), (503, "store_unavailable"), "{self:?}");
        assert!(self.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
        self.writes_nothing();
    }
}

/// The generation that a refresh token says it has.
pub(crate) fn generation_of(refresh: &str) -> u32 {
    let bytes = URL_SAFE_NO_PAD.decode(refresh).unwrap();
    u32::from_be_bytes(bytes[2..6].try_into().unwrap())
}

/// The claims of an access token, unverified.
pub(crate) fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
