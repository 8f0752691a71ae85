//! Keys out of environment variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use zeroize::Zeroizing;

use super::error::{KeyError, VariableProblem};
use super::refresh_key::RefreshKey;
use super::ring::KeyRing;
use super::signing::SigningKey;
use super::verifying::VerifyingKey;
use crate::jose::algorithm::Algorithm;

const ACCESS: &str = "ACCESS_TOKEN_SECRET";
const REFRESH: &str = "REFRESH_TOKEN_SECRET";
const VERSION: &str = "KEY_VERSION";

/// The `kid` of the pair without a version.
const PLAIN_KID: &str = "default";

/// The two halves of a pair, as far as they are set.
#[derive(Default)]
struct Pair {
    access: Option<Zeroizing<String>>,
    refresh: Option<Zeroizing<String>>,
}

/// Which half of a pair a variable is.
#[derive(Clone, Copy)]
enum Half {
    Access,
    Refresh,
}

impl Half {
    const fn plain_name(self) -> &'static str {
        match self {
            Self::Access => ACCESS,
            Self::Refresh => REFRESH,
        }
    }

    fn name(self, version: Option<&str>) -> String {
        match version {
            None => self.plain_name().to_owned(),
            Some(version) => format!("{}_{version}", self.plain_name()),
        }
    }
}

/// The ring that `variables` describe; `None` if none of ours is among them.
pub(crate) fn from_variables(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Option<KeyRing>, KeyError> {
    // `None` is the pair without a version.
    let mut pairs: BTreeMap<Option<String>, Pair> = BTreeMap::new();
    let mut named = None;
    for (name, value) in variables {
        let Some(name) = our_name(&name)? else { continue };
        let value = text(&name, value)?;
        if name == VERSION {
            named = Some(value.to_string());
        } else if let Some((half, version)) = half_of(&name) {
            let pair = pairs.entry(version.map(str::to_owned)).or_default();
            match half {
                Half::Access => pair.access = Some(value),
                Half::Refresh => pair.refresh = Some(value),
            }
        }
    }
    if pairs.is_empty() && named.is_none() {
        return Ok(None);
    }
    let active = active(named, &pairs)?;

    let mut ring = KeyRing::builder();
    for (version, pair) in &pairs {
        let (access, refresh) = complete(version.as_deref(), pair)?;
        let kid = version.as_deref().unwrap_or(PLAIN_KID);
        let refused = |half: Half| {
            let name = half.name(version.as_deref());
            move |why| variable(name, VariableProblem::Refused(Box::new(why)))
        };
        let refresh = RefreshKey::new(refresh).map_err(refused(Half::Refresh))?;
        ring = if *version == active {
            ring.signing(SigningKey::hmac(kid, Algorithm::HS256, access).map_err(refused(Half::Access))?)
                .refresh(refresh)
        } else {
            ring.verifying(VerifyingKey::hmac(kid, Algorithm::HS256, access).map_err(refused(Half::Access))?)
                .previous_refresh(refresh)
        };
    }
    ring.build().map(Some)
}

/// The pair that signs: the one that `KEY_VERSION` names, else the plain one.
fn active(named: Option<String>, pairs: &BTreeMap<Option<String>, Pair>) -> Result<Option<String>, KeyError> {
    match named {
        Some(_) if pairs.contains_key(&named) => Ok(named),
        Some(_) => Err(variable(VERSION.to_owned(), VariableProblem::UnknownVersion)),
        None if pairs.contains_key(&None) => Ok(None),
        None => Err(variable(VERSION.to_owned(), VariableProblem::Needed)),
    }
}

fn complete<'a>(version: Option<&str>, pair: &'a Pair) -> Result<(&'a str, &'a str), KeyError> {
    let missing = |half: Half, other: Half| {
        let other = other.name(version);
        Err(variable(half.name(version), VariableProblem::Missing { other }))
    };
    match (&pair.access, &pair.refresh) {
        (Some(access), Some(refresh)) => Ok((access, refresh)),
        (None, _) => missing(Half::Access, Half::Refresh),
        (_, None) => missing(Half::Refresh, Half::Access),
    }
}

/// `name` if it is one of ours.
fn our_name(name: &OsStr) -> Result<Option<String>, KeyError> {
    let Some(text) = name.to_str() else {
        // A version that is not UTF-8 was meant for us all the same.
        let lossy = name.to_string_lossy();
        return match half_of(&lossy) {
            Some(_) => Err(variable(lossy.into_owned(), VariableProblem::NotUnicode)),
            None => Ok(None),
        };
    };
    Ok((text == VERSION || half_of(text).is_some()).then(|| text.to_owned()))
}

fn half_of(name: &str) -> Option<(Half, Option<&str>)> {
    [Half::Access, Half::Refresh].into_iter().find_map(|half| {
        let rest = name.strip_prefix(half.plain_name())?;
        if rest.is_empty() {
            Some((half, None))
        } else {
            Some((half, Some(rest.strip_prefix('_')?)))
        }
    })
}

fn text(name: &str, value: OsString) -> Result<Zeroizing<String>, KeyError> {
    match value.into_string() {
        Ok(value) if value.is_empty() => Err(variable(name.to_owned(), VariableProblem::Empty)),
        Ok(value) => Ok(Zeroizing::new(value)),
        Err(_) => Err(variable(name.to_owned(), VariableProblem::NotUnicode)),
    }
}

fn variable(name: String, problem: VariableProblem) -> KeyError {
    KeyError::Variable { name, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const R: &str = "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr";

    fn ring(variables: &[(&str, &str)]) -> Result<Option<KeyRing>, KeyError> {
        let unrelated = [
            ("PATH", "/bin"),
            ("MY_ACCESS_TOKEN_SECRET", ""),
            ("ACCESS_TOKEN_SECRETS", "x"),
        ];
        from_variables(
            unrelated
                .iter()
                .chain(variables)
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    fn refusal(variables: &[(&str, &str)]) -> (String, String) {
        match ring(variables) {
            Err(KeyError::Variable { name, problem }) => (name, problem.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn none_of_the_variables_is_no_ring() {
        assert!(ring(&[]).unwrap().is_none());
    }

    #[test]
    fn the_plain_pair_signs_as_default() {
        let ring = ring(&[(ACCESS, A), (REFRESH, R)]).unwrap().unwrap();
        assert!(ring.has_signing_key() && ring.has_refresh_key());
        assert_eq!(ring.keys().signing.as_ref().unwrap().kid(), "default");
        assert_eq!(ring.keys().signing.as_ref().unwrap().algorithm(), Algorithm::HS256);
    }

    #[test]
    fn key_version_signs_and_every_pair_verifies() {
        let ring = ring(&[
            (VERSION, "v2"),
            ("ACCESS_TOKEN_SECRET_v1", A),
            ("REFRESH_TOKEN_SECRET_v1", R),
            ("ACCESS_TOKEN_SECRET_v2", "2222222222222222222222222222222222"),
            ("REFRESH_TOKEN_SECRET_v2", "3333333333333333333333333333333333"),
            (ACCESS, "4444444444444444444444444444444444"),
            (REFRESH, "5555555555555555555555555555555555"),
        ])
        .unwrap()
        .unwrap();
        let keys = ring.keys();
        assert_eq!(keys.signing.as_ref().unwrap().kid(), "v2");
        for kid in ["v1", "v2", "default"] {
            assert!(keys.verifying(kid).is_some(), "{kid}");
        }
        assert_eq!(keys.older_refresh.len(), 2);
        assert_eq!(ring.jwks(), r#"{"keys":[]}"#);
    }

    #[test]
    fn versions_may_share_a_secret() {
        let ring = ring(&[
            (VERSION, "v2"),
            ("ACCESS_TOKEN_SECRET_v1", A),
            ("REFRESH_TOKEN_SECRET_v1", R),
            ("ACCESS_TOKEN_SECRET_v2", "2222222222222222222222222222222222"),
            ("REFRESH_TOKEN_SECRET_v2", R),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(ring.keys().older_refresh.len(), 0);
    }

    #[test]
    fn the_plain_pair_signs_beside_versions_without_key_version() {
        let ring = ring(&[
            ("ACCESS_TOKEN_SECRET_v1", A),
            ("REFRESH_TOKEN_SECRET_v1", R),
            (ACCESS, "4444444444444444444444444444444444"),
            (REFRESH, "5555555555555555555555555555555555"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(ring.keys().signing.as_ref().unwrap().kid(), "default");
    }

    #[test]
    fn half_a_pair_is_an_error_that_names_the_missing_half() {
        assert_eq!(refusal(&[(ACCESS, A)]).0, REFRESH);
        assert_eq!(refusal(&[(REFRESH, R)]).0, ACCESS);
        let versioned = [(ACCESS, A), (REFRESH, R), ("ACCESS_TOKEN_SECRET_v1", A)];
        assert_eq!(refusal(&versioned).0, "REFRESH_TOKEN_SECRET_v1");
    }

    #[test]
    fn key_version_must_name_secrets_that_are_set() {
        for named in ["v9", "V1", "default"] {
            let variables = [
                (VERSION, named),
                (ACCESS, A),
                (REFRESH, R),
                ("ACCESS_TOKEN_SECRET_v1", A),
                ("REFRESH_TOKEN_SECRET_v1", R),
            ];
            assert_eq!(refusal(&variables).0, VERSION);
        }
        assert_eq!(refusal(&[(VERSION, "v1")]).0, VERSION);
        assert_eq!(refusal(&[(VERSION, ""), (ACCESS, A), (REFRESH, R)]).0, VERSION);
    }

    #[test]
    fn versions_alone_need_key_version() {
        let variables = [("ACCESS_TOKEN_SECRET_v1", A), ("REFRESH_TOKEN_SECRET_v1", R)];
        assert_eq!(refusal(&variables).0, VERSION);
    }

    #[test]
    fn empty_short_and_unnameable_are_errors_that_name_the_variable() {
        assert_eq!(refusal(&[(ACCESS, ""), (REFRESH, R)]).0, ACCESS);
        assert_eq!(refusal(&[(ACCESS, A), (REFRESH, &R[1..])]).0, REFRESH);
        assert_eq!(refusal(&[(ACCESS, &A[1..]), (REFRESH, R)]).0, ACCESS);
        let unnamed = [
            (ACCESS, A),
            (REFRESH, R),
            ("ACCESS_TOKEN_SECRET_", A),
            ("REFRESH_TOKEN_SECRET_", R),
        ];
        assert_eq!(refusal(&unnamed).0, "ACCESS_TOKEN_SECRET_");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_utf_8_is_an_error_that_names_the_variable() {
        use std::os::unix::ffi::OsStringExt;
        let broken = OsString::from_vec(vec![0xff; 40]);
        let refused = from_variables([(ACCESS.into(), broken), (REFRESH.into(), R.into())]).unwrap_err();
        assert_eq!(refused.to_string(), "ACCESS_TOKEN_SECRET is not UTF-8");
        let name = OsString::from_vec(b"ACCESS_TOKEN_SECRET_\xff".to_vec());
        assert!(from_variables([(name, A.into())]).is_err());
    }

    #[test]
    fn no_error_shows_a_value() {
        let canary = "canary-canary-canary";
        for variables in [
            vec![(ACCESS, canary), (REFRESH, R)],
            vec![(ACCESS, A), (REFRESH, canary)],
            vec![(VERSION, canary)],
        ] {
            let error = ring(&variables).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }
}
