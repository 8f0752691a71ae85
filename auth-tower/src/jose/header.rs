//! The first segment of an access token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::algorithm::Algorithm;
use super::members::{Seen, Text};

/// The longest header that is looked at, in bytes of JSON: it is parsed before any signature is checked.
pub(crate) const MAX_LEN: usize = 1024;

/// The most members of a header.
const MAX_MEMBERS: usize = 32;

/// What a believable header says.
pub(crate) struct Header<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Text<'a>,
}

/// The first segment of the tokens that the key `kid` signs.
pub(crate) fn encode(algorithm: Algorithm, kid: &str) -> String {
    let json = serde_json::json!({"typ": "at+jwt", "alg": algorithm.name(), "kid": kid}).to_string();
    URL_SAFE_NO_PAD.encode(json)
}

/// Reads a header; the reason is for debugging and quotes nothing of it.
pub(crate) fn parse(json: &[u8]) -> Result<Header<'_>, &'static str> {
    if json.len() > MAX_LEN {
        return Err("header too long");
    }
    // The parser skips what it ignores without looking whether it is UTF-8.
    let json = std::str::from_utf8(json).map_err(|_| "header is not UTF-8")?;
    let raw: Raw<'_> = serde_json::from_str(json).map_err(|_| "header is not a JSON object of the right shape")?;
    if raw.forbidden {
        return Err("header with a member that nobody may choose a key or an extension by");
    }
    // RFC 9068 §4; media types are case-insensitive (RFC 7515 §4.1.9).
    match raw.typ {
        Some(Text(typ)) if typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt") => {}
        _ => return Err("not an access token by its typ"),
    }
    let algorithm = raw
        .alg
        .and_then(|Text(name)| Algorithm::from_name(&name))
        .ok_or("no algorithm that we know")?;
    let kid = raw.kid.ok_or("no kid")?;
    Ok(Header { algorithm, kid })
}

#[derive(Default)]
struct Raw<'a> {
    typ: Option<Text<'a>>,
    alg: Option<Text<'a>>,
    kid: Option<Text<'a>>,
    /// A key or a place to fetch one (RFC 8725 §3.10), or a demand to understand something (RFC 7515 §4.1.11).
    forbidden: bool,
}

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawVisitor;
        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut raw = Raw::default();
                let mut seen = Seen::new();
                while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                    match &*name {
                        "typ" => raw.typ = Some(map.next_value()?),
                        "alg" => raw.alg = Some(map.next_value()?),
                        "kid" => raw.kid = Some(map.next_value()?),
                        other => {
                            raw.forbidden |= matches!(other, "jku" | "x5u" | "jwk" | "x5c" | "crit" | "b64");
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    if !seen.insert(name) || seen.len() > MAX_MEMBERS {
                        return Err(Error::custom("too many members, or one twice"));
                    }
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(RawVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> bool {
        parse(json.as_bytes()).is_err()
    }

    #[test]
    fn what_we_write_we_read() {
        for kid in ["k1", r#"a"b\c"#, "~!@#"] {
            let segment = encode(Algorithm::ES384, kid);
            let json = URL_SAFE_NO_PAD.decode(segment).unwrap();
            let header = parse(&json).unwrap();
            assert_eq!((header.algorithm, &*header.kid.0), (Algorithm::ES384, kid));
        }
    }

    #[test]
    fn at_02_only_the_two_names_of_the_type_count_in_any_case() {
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert!(
                !refused(&format!(r#"{{"typ":"{typ}","alg":"HS256","kid":"k"}}"#)),
                "{typ}"
            );
        }
        for typ in ["JWT", "jwt", "", "at+jwt ", "text/at+jwt", "dpop+jwt", "logout+jwt"] {
            assert!(
                refused(&format!(r#"{{"typ":"{typ}","alg":"HS256","kid":"k"}}"#)),
                "{typ}"
            );
        }
        for header in [
            r#"{"alg":"HS256","kid":"k"}"#,
            r#"{"typ":null,"alg":"HS256","kid":"k"}"#,
            r#"{"typ":["at+jwt"],"alg":"HS256","kid":"k"}"#,
        ] {
            assert!(refused(header), "{header}");
        }
    }

    #[test]
    fn at_03_none_is_no_algorithm_in_any_case() {
        for alg in [
            "none", "None", "NONE", "nOnE", "hs256", "RS384", "ES512", "PS512", "dir", "",
        ] {
            assert!(
                refused(&format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"k"}}"#)),
                "{alg}"
            );
        }
        assert!(refused(r#"{"typ":"at+jwt","kid":"k"}"#));
        assert!(refused(r#"{"typ":"at+jwt","alg":5,"kid":"k"}"#));
    }

    #[test]
    fn at_05_at_06_members_that_would_choose_a_key_or_an_extension_are_refused() {
        for member in [
            r#""jku":"https://evil.example/keys""#,
            r#""x5u":"https://evil.example/cert""#,
            r#""jwk":{"kty":"oct","k":"AA"}"#,
            r#""x5c":["AA"]"#,
            r#""crit":["x"]"#,
            r#""crit":[]"#,
            r#""crit":null"#,
            r#""b64":false"#,
            r#""\u006aku":"escaped""#,
        ] {
            assert!(
                refused(&format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"k",{member}}}"#)),
                "{member}"
            );
        }
        assert!(!refused(
            r#"{"typ":"at+jwt","alg":"HS256","kid":"k","x5t":"harmless","cty":"x"}"#
        ));
    }

    #[test]
    fn at_15_a_member_given_twice_is_refused() {
        for header in [
            r#"{"typ":"at+jwt","alg":"HS256","kid":"k","kid":"k"}"#,
            r#"{"typ":"at+jwt","alg":"HS256","alg":"none","kid":"k"}"#,
            r#"{"typ":"at+jwt","alg":"HS256","kid":"k","x":1,"x":1}"#,
            r#"{"typ":"at+jwt","alg":"HS256","kid":"k","x":1,"\u0078":1}"#,
        ] {
            assert!(refused(header), "{header}");
        }
    }

    #[test]
    fn what_is_not_one_small_object_is_refused() {
        let many: String = (0..40).map(|n| format!(r#","m{n}":0"#)).collect();
        for header in [
            "",
            "{}",
            "[]",
            "null",
            "5",
            r#""at+jwt""#,
            r#"{"typ":"at+jwt","alg":"HS256","kid":"k"} x"#,
            r#"{"typ":"at+jwt","alg":"HS256","kid":5}"#,
            r#"{"typ":"at+jwt","alg":"HS256","kid":null}"#,
            r#"{"typ":"at+jwt","alg":"HS256"}"#,
            &format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"k"{many}}}"#),
            &format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{}"}}"#, "k".repeat(MAX_LEN)),
            &format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"k","x":{}}}"#, "[".repeat(500)),
        ] {
            assert!(refused(header), "{header}");
        }
        assert!(parse(b"{\"typ\":\"at+jwt\",\"alg\":\"HS256\",\"kid\":\"k\",\"x\":\"\xff\"}").is_err());
    }
}
