//! The claims that every access token carries (RFC 7519 §4.1, RFC 9068 §2.2), read in one pass.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::id::{SessionId, Subject};
use crate::jose::members::{Seen, Text};

/// The names that an app's own claims may not use.
pub(crate) const RESERVED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "client_id",
    "sid",
    "gen",
    "scope",
    "auth_time",
];

/// The registered claims of a verified access token; the app's own stand beside them.
///
/// Times are in seconds since the Unix epoch (`NumericDate`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredClaims {
    pub(crate) issuer: Box<str>,
    pub(crate) subject: Subject,
    pub(crate) audience: Audience,
    pub(crate) expires_at: i64,
    pub(crate) issued_at: i64,
    pub(crate) not_before: Option<i64>,
    pub(crate) jwt_id: Box<str>,
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) session_id: SessionId,
    pub(crate) generation: Option<u32>,
    pub(crate) scope: Option<Box<str>>,
    pub(crate) auth_time: Option<i64>,
}

impl RegisteredClaims {
    /// `iss`: who issued the token.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: whom it speaks about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// `aud`: the services that it is meant for.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter()
    }

    /// `exp`: from this second on it is no longer accepted.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// `iat`: when it was issued.
    pub fn issued_at(&self) -> i64 {
        self.issued_at
    }

    /// `nbf`: before this second it is not accepted.
    pub fn not_before(&self) -> Option<i64> {
        self.not_before
    }

    /// `jti`: the token's own name.
    pub fn jwt_id(&self) -> &str {
        &self.jwt_id
    }

    /// `client_id`: the client that asked for it.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `sid`: the session that it belongs to.
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// `gen`: the session's refresh generation when it was issued.
    pub fn generation(&self) -> Option<u32> {
        self.generation
    }

    /// `scope`: what it allows, separated by spaces (RFC 8693 §4.2).
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// `auth_time`: when the user last proved who they are.
    pub fn auth_time(&self) -> Option<i64> {
        self.auth_time
    }

    /// Reads a payload; the reason is for debugging and quotes nothing of it.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, &'static str> {
        // The parser skips what it ignores without looking whether it is UTF-8.
        let json = std::str::from_utf8(json).map_err(|_| "claims are not UTF-8")?;
        serde_json::from_str(json)
            .map(|Parsed(claims)| claims)
            .map_err(|_| "claims missing, twice, or of the wrong type")
    }
}

/// One audience, as nearly always, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Audience {
    One(Box<str>),
    Many(Box<[Box<str>]>),
}

impl Audience {
    pub(crate) fn new(names: &[Box<str>]) -> Self {
        match names {
            [one] => Self::One(one.clone()),
            many => Self::Many(many.into()),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
        .iter()
        .map(|name| &**name)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(one) => serializer.serialize_str(one),
            Self::Many(many) => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AudienceVisitor;
        impl<'de> Visitor<'de> for AudienceVisitor {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Audience::One(name.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
                let mut many = Vec::new();
                while let Some(Text(name)) = names.next_element::<Text<'de>>()? {
                    many.push(Box::from(&*name));
                }
                Ok(Audience::Many(many.into()))
            }
        }
        deserializer.deserialize_any(AudienceVisitor)
    }
}

/// A `NumericDate` (RFC 7519 §2): a number of seconds, of which fractions are cut off.
struct NumericDate(i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Beyond this a float has no longer a digit for every second.
        const EXACT: f64 = 9_007_199_254_740_992.0;

        struct DateVisitor;
        impl Visitor<'_> for DateVisitor {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds")
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Self::Value, E> {
                Ok(NumericDate(seconds))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
                i64::try_from(seconds)
                    .map(NumericDate)
                    .map_err(|_| E::custom("out of range"))
            }

            #[expect(clippy::cast_possible_truncation, reason = "within the range where it is exact")]
            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Self::Value, E> {
                if seconds.abs() <= EXACT {
                    Ok(NumericDate(seconds.floor() as i64))
                } else {
                    Err(E::custom("out of range"))
                }
            }
        }
        deserializer.deserialize_any(DateVisitor)
    }
}

#[derive(Default)]
struct Raw<'a> {
    issuer: Option<Text<'a>>,
    subject: Option<Text<'a>>,
    audience: Option<Audience>,
    expires_at: Option<NumericDate>,
    issued_at: Option<NumericDate>,
    not_before: Option<NumericDate>,
    jwt_id: Option<Text<'a>>,
    client_id: Option<Text<'a>>,
    session_id: Option<Text<'a>>,
    generation: Option<u32>,
    scope: Option<Text<'a>>,
    auth_time: Option<NumericDate>,
}

impl Raw<'_> {
    /// What is there in the right form; the name of a claim that is not.
    fn check(self) -> Result<RegisteredClaims, &'static str> {
        let boxed = |Text(text): Text<'_>| -> Box<str> { text.into() };
        Ok(RegisteredClaims {
            issuer: self.issuer.map(boxed).ok_or("iss")?,
            subject: self
                .subject
                .and_then(|Text(text)| Subject::new(text).ok())
                .ok_or("sub")?,
            audience: self.audience.ok_or("aud")?,
            expires_at: self.expires_at.ok_or("exp")?.0,
            issued_at: self.issued_at.ok_or("iat")?.0,
            not_before: self.not_before.map(|date| date.0),
            jwt_id: self.jwt_id.map(boxed).filter(|id| !id.is_empty()).ok_or("jti")?,
            client_id: self.client_id.map(boxed),
            session_id: self.session_id.and_then(|Text(text)| text.parse().ok()).ok_or("sid")?,
            generation: self.generation,
            scope: self.scope.map(boxed),
            auth_time: self.auth_time.map(|date| date.0),
        })
    }
}

/// Not an `impl` of [`RegisteredClaims`] itself: nobody outside shall be able to make one.
struct Parsed(RegisteredClaims);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ClaimsVisitor;
        impl<'de> Visitor<'de> for ClaimsVisitor {
            type Value = Parsed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            // A claim that is there as `null` is there with the wrong type: every value is asked for as what it must be.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut raw = Raw::default();
                let mut seen = Seen::new();
                while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                    match &*name {
                        "iss" => raw.issuer = Some(map.next_value()?),
                        "sub" => raw.subject = Some(map.next_value()?),
                        "aud" => raw.audience = Some(map.next_value()?),
                        "exp" => raw.expires_at = Some(map.next_value()?),
                        "iat" => raw.issued_at = Some(map.next_value()?),
                        "nbf" => raw.not_before = Some(map.next_value()?),
                        "jti" => raw.jwt_id = Some(map.next_value()?),
                        "client_id" => raw.client_id = Some(map.next_value()?),
                        "sid" => raw.session_id = Some(map.next_value()?),
                        "gen" => raw.generation = Some(map.next_value()?),
                        "scope" => raw.scope = Some(map.next_value()?),
                        "auth_time" => raw.auth_time = Some(map.next_value()?),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    if !seen.insert(name) {
                        return Err(Error::custom("a claim is given twice"));
                    }
                }
                raw.check().map(Parsed).map_err(Error::missing_field)
            }
        }
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

/// A payload: the registered claims, then the app's.
pub(crate) struct Payload<'a> {
    pub(crate) registered: &'a RegisteredClaims,
    pub(crate) app: &'a Map<String, Value>,
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let claims = self.registered;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &claims.issuer)?;
        map.serialize_entry("sub", &claims.subject)?;
        map.serialize_entry("aud", &claims.audience)?;
        map.serialize_entry("exp", &claims.expires_at)?;
        map.serialize_entry("iat", &claims.issued_at)?;
        map.serialize_entry("jti", &claims.jwt_id)?;
        map.serialize_entry("sid", &claims.session_id)?;
        if let Some(not_before) = claims.not_before {
            map.serialize_entry("nbf", &not_before)?;
        }
        if let Some(client_id) = &claims.client_id {
            map.serialize_entry("client_id", client_id)?;
        }
        if let Some(generation) = claims.generation {
            map.serialize_entry("gen", &generation)?;
        }
        if let Some(scope) = &claims.scope {
            map.serialize_entry("scope", scope)?;
        }
        if let Some(auth_time) = claims.auth_time {
            map.serialize_entry("auth_time", &auth_time)?;
        }
        for (name, value) in self.app {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
