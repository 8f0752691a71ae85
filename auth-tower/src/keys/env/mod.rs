//! Keys out of environment variables, and of the files that they name.

mod name;
mod secret_file;
mod sound;

use std::collections::BTreeMap;
use std::ffi::OsString;

use zeroize::Zeroizing;

use self::name::{Half, Name, VERSION, Version};
use super::error::{KeyError, VariableProblem};
use super::refresh_key::RefreshKey;
use super::ring::KeyRing;
use super::signing::SigningKey;
use super::verifying::VerifyingKey;
use crate::jose::algorithm::Algorithm;

/// The `kid` of the pair without a version.
const PLAIN_KID: &str = "default";

/// The two halves of a pair, as far as they are set.
#[derive(Default)]
struct Pair {
    access: Option<Secret>,
    refresh: Option<Secret>,
}

impl Pair {
    fn half(&mut self, half: Half) -> &mut Option<Secret> {
        match half {
            Half::Access => &mut self.access,
            Half::Refresh => &mut self.refresh,
        }
    }
}

/// A secret, and the variable that it came from.
struct Secret {
    variable: String,
    text: Zeroizing<String>,
}

impl Secret {
    fn refused(&self, why: KeyError) -> KeyError {
        refuse(&self.variable, VariableProblem::Refused(Box::new(why)))
    }
}

/// `None` is the pair without a version.
type Pairs = BTreeMap<Option<Version>, Pair>;

/// The ring that `variables` describe; `None` if none of ours is among them.
pub(crate) fn from_variables(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Option<KeyRing>, KeyError> {
    let mut pairs = Pairs::new();
    let mut named = None;
    // In an order of their own, so that of several mistakes every start tells the same one.
    let variables: BTreeMap<_, _> = variables.into_iter().collect();
    for (variable, value) in variables {
        let Some(name) = name::read(&variable)? else { continue };
        // Ours are text: `name::read` saw to it.
        let variable = variable.to_string_lossy().into_owned();
        if value.is_empty() {
            return Err(refuse(&variable, VariableProblem::Empty));
        }
        match name {
            Name::Version => {
                let version = value
                    .to_str()
                    .ok_or_else(|| refuse(VERSION, VariableProblem::NotUnicode))?;
                named = Some(Version::parse(version).ok_or_else(|| refuse(VERSION, VariableProblem::NotAVersion))?);
            }
            Name::Secret { half, version, in_file } => {
                let place = pairs.entry(version).or_default().half(half);
                if let Some(other) = place {
                    let other = other.variable.clone();
                    return Err(refuse(&variable, VariableProblem::Both { other }));
                }
                *place = Some(secret(variable, value, in_file)?);
            }
        }
    }
    if pairs.is_empty() && named.is_none() {
        return Ok(None);
    }
    let active = active(named, &pairs)?;
    nothing_is_both(&pairs)?;

    let mut ring = KeyRing::builder();
    for (version, pair) in &pairs {
        let (access, refresh) = complete(version.as_ref(), pair)?;
        let kid = kid(version.as_ref());
        let refresh_key = RefreshKey::new(&*refresh.text).map_err(|why| refresh.refused(why))?;
        let refused = |why| access.refused(why);
        ring = if *version == active {
            ring.signing(SigningKey::hmac(kid, Algorithm::HS256, &*access.text).map_err(refused)?)
                .refresh(refresh_key)
        } else {
            ring.verifying(VerifyingKey::hmac(kid, Algorithm::HS256, &*access.text).map_err(refused)?)
                .previous_refresh(refresh_key)
        };
    }
    let ring = ring.build()?;
    let verify: Vec<_> = pairs.keys().map(|version| kid(version.as_ref())).collect();
    tracing::info!(
        signs = kid(active.as_ref()),
        verify = verify.join(", "),
        "the keys are those of the environment"
    );
    Ok(Some(ring))
}

fn kid(version: Option<&Version>) -> &str {
    version.map_or(PLAIN_KID, Version::as_str)
}

/// The secret that `variable` holds, or whose file it names.
fn secret(variable: String, value: OsString, in_file: bool) -> Result<Secret, KeyError> {
    let text = if in_file {
        secret_file::read(value.as_ref())
    } else {
        value
            .into_string()
            .map(Zeroizing::new)
            .map_err(|_| VariableProblem::NotUnicode)
    };
    let sound = text.and_then(|text| match sound::check(&text) {
        Ok(()) => Ok(text),
        Err(why) if in_file => Err(VariableProblem::UnsoundFile(why)),
        Err(why) => Err(VariableProblem::Unsound(why)),
    });
    match sound {
        Ok(text) => Ok(Secret { variable, text }),
        Err(problem) => Err(refuse(&variable, problem)),
    }
}

/// The pair that signs: the one that `KEY_VERSION` names, else the plain one.
fn active(named: Option<Version>, pairs: &Pairs) -> Result<Option<Version>, KeyError> {
    match named {
        Some(_) if pairs.contains_key(&named) => Ok(named),
        Some(_) => Err(refuse(VERSION, VariableProblem::UnknownVersion)),
        None if pairs.contains_key(&None) => Ok(None),
        None => Err(refuse(VERSION, VariableProblem::Needed)),
    }
}

/// Whoever may verify access tokens has their secret, and must not be able to make refresh tokens with it.
fn nothing_is_both(pairs: &Pairs) -> Result<(), KeyError> {
    for access in pairs.values().filter_map(|pair| pair.access.as_ref()) {
        for refresh in pairs.values().filter_map(|pair| pair.refresh.as_ref()) {
            if access.text == refresh.text {
                let other = access.variable.clone();
                return Err(refuse(&refresh.variable, VariableProblem::SameAs { other }));
            }
        }
    }
    Ok(())
}

fn complete<'a>(version: Option<&Version>, pair: &'a Pair) -> Result<(&'a Secret, &'a Secret), KeyError> {
    let missing = |half: Half, other: Option<&Secret>| {
        let other = other.map(|secret| secret.variable.clone()).unwrap_or_default();
        Err(refuse(&half.name(version), VariableProblem::Missing { other }))
    };
    match (&pair.access, &pair.refresh) {
        (Some(access), Some(refresh)) => Ok((access, refresh)),
        (None, other) => missing(Half::Access, other.as_ref()),
        (other, None) => missing(Half::Refresh, other.as_ref()),
    }
}

fn refuse(variable: &str, problem: VariableProblem) -> KeyError {
    KeyError::Variable {
        name: variable.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests;
