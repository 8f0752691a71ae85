//! The key file: made once, complete before it has its name, never replaced.

#[cfg(unix)]
use std::fs::File;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::{FileProblem, KeyError};
use super::generate;
use super::guarded::{self, Access, Unreadable};
use super::jwk::Jwk;
use super::material::{Private, Public};
use super::refresh_key::RefreshKey;
use super::ring::KeyRing;
use super::signing::SigningKey;
use super::text::without_bom;
use super::verifying::VerifyingKey;
use crate::jose::algorithm::Algorithm;

/// Far more than any set of keys needs; a path that leads to something endless is found out early.
const MAX_LEN: u64 = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    keys: Vec<Jwk>,
    refresh_keys: Vec<Jwk>,
}

/// Loads the ring at `path`, making it first if nothing is there.
pub(crate) fn load_or_generate(path: &Path) -> Result<KeyRing, KeyError> {
    let problem = |problem| KeyError::File {
        path: path.to_owned(),
        problem,
    };
    if let Some(ring) = load(path).map_err(problem)? {
        return Ok(ring);
    }
    make(path).map_err(problem)?;
    // Also after having made it: whoever came first, the file is what counts.
    match load(path).map_err(problem)? {
        Some(ring) => Ok(ring),
        None => Err(problem(FileProblem::Io(ErrorKind::NotFound.into()))),
    }
}

fn load(path: &Path) -> Result<Option<KeyRing>, FileProblem> {
    let file = match guarded::open(path, MAX_LEN) {
        Ok(file) => file,
        Err(Unreadable::Io(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why.into()),
    };
    check(path, file.access)?;
    let ring = parse(&file.read()?)?;
    let keys = ring.keys();
    let verify: Vec<_> = keys.kids().collect();
    tracing::info!(
        path = %path.display(),
        signs = keys.signing.as_ref().map(|key| key.kid()),
        verify = verify.join(", "),
        "the keys are those of the key file"
    );
    Ok(Some(ring))
}

/// Whoever may change the file can sign in as anybody, so that is refused. That others can read it is as bad, but the platforms that
/// mount files into containers leave no choice there, so that is only said.
fn check(path: &Path, access: Access) -> Result<(), FileProblem> {
    let mode = access.mode;
    if access.foreign {
        return Err(FileProblem::ForeignOwner);
    }
    if mode & 0o022 != 0 {
        return Err(FileProblem::Writable { mode });
    }
    if mode & 0o044 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format_args!("{mode:04o}"),
            "the key file can be read by other users of this machine: `chmod 600` it"
        );
    }
    Ok(())
}

impl From<Unreadable> for FileProblem {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Io(error) => Self::Io(error),
            Unreadable::NotAFile => Self::Damaged("not a regular file"),
            Unreadable::TooLarge => Self::Damaged("larger than 1 MiB"),
        }
    }
}

fn parse(json: &[u8]) -> Result<KeyRing, FileProblem> {
    // The parser's own message may quote a value, which here may be a secret.
    let contents: Contents =
        serde_json::from_slice(without_bom(json)).map_err(|_| FileProblem::Damaged("not the JSON of a key file"))?;
    let ring = || -> Result<KeyRing, KeyError> {
        if let Some(both) = contents
            .keys
            .iter()
            .find(|key| contents.refresh_keys.iter().any(|other| key.has_secret_of(other)))
        {
            return Err(KeyError::SharedSecret(both.kid()?.to_owned()));
        }
        let (signing, verifying) = contents.keys.split_first().ok_or(KeyError::NoKeys)?;
        let (refresh, older_refresh) = contents
            .refresh_keys
            .split_first()
            .ok_or(KeyError::NoActiveRefreshKey)?;
        let mut ring = KeyRing::builder()
            .signing(SigningKey::from_parsed_jwk(signing)?)
            .refresh(refresh_key(refresh)?);
        for jwk in verifying {
            ring = ring.verifying(retired(jwk)?);
        }
        for jwk in older_refresh {
            ring = ring.previous_refresh(refresh_key(jwk)?);
        }
        ring.build()
    };
    ring().map_err(|why| FileProblem::Refused(Box::new(why)))
}

/// A key that no longer signs may have been left in the file with its private half, or without.
fn retired(jwk: &Jwk) -> Result<VerifyingKey, KeyError> {
    if jwk.is_private() {
        SigningKey::from_parsed_jwk(jwk).map(|key| key.verifying_key())
    } else {
        VerifyingKey::from_parsed_jwk(jwk)
    }
}

fn refresh_key(jwk: &Jwk) -> Result<RefreshKey, KeyError> {
    match jwk.private()? {
        Private::Secret(secret) => RefreshKey::new(&secret),
        Private::Ed25519(_) | Private::Ec(..) | Private::Rsa(_) => Err(KeyError::JwkContradiction("kty")),
    }
}

/// A new file's contents.
fn fresh() -> Result<Zeroizing<String>, KeyError> {
    let text = |bytes: &[u8]| Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
    let seed = generate::seed()?;
    let seed_text = text(seed.as_slice());
    let Some(Public::Ed25519(public)) = Private::Ed25519(seed).public()? else {
        return Err(KeyError::CannotGenerate(Algorithm::EdDSA));
    };
    let refresh = text(&generate::random_bytes(RefreshKey::MIN_LEN)?);
    let (kid, x) = (generate::random_kid()?, URL_SAFE_NO_PAD.encode(public));
    // Written out rather than built as a JSON tree, whose copies of the secrets nobody would wipe.
    Ok(Zeroizing::new(format!(
        r#"{{
  "keys": [
    {{"kty": "OKP", "crv": "Ed25519", "kid": "{kid}", "use": "sig", "alg": "EdDSA", "x": "{x}", "d": "{}"}}
  ],
  "refresh_keys": [
    {{"kty": "oct", "k": "{}"}}
  ]
}}
"#,
        *seed_text, *refresh
    )))
}

/// Makes the file, unless another process has made it meanwhile.
fn make(path: &Path) -> Result<(), FileProblem> {
    let contents = fresh().map_err(|why| FileProblem::Refused(Box::new(why)))?;
    let draft = Draft::write(path, contents.as_bytes()).map_err(FileProblem::Io)?;
    // Unlike a rename, a link never replaces what is there.
    match fs::hard_link(&draft.0, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(not_linked(error)),
    }
    // Without this the name may be gone after a power cut, and with it the keys of sessions already handed out.
    #[cfg(unix)]
    File::open(directory_of(path))
        .and_then(|directory| directory.sync_all())
        .map_err(FileProblem::Io)?;
    tracing::warn!(
        path = %path.display(),
        "made a new key file, because none was there: whoever was signed in under other keys has to sign in again. If this is not the \
         first start, the file was lost, or the path leads elsewhere than before"
    );
    Ok(())
}

/// The draft could be made beside it, so a permission that is missing now is none: it is what file systems without hard links say.
fn not_linked(error: io::Error) -> FileProblem {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::Unsupported => FileProblem::NoHardLinks(error),
        _ => FileProblem::Io(error),
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The file under a name of its own; that name goes away with this value.
struct Draft(PathBuf);

impl Draft {
    fn write(path: &Path, contents: &[u8]) -> io::Result<Self> {
        let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        let random = generate::random_kid().map_err(|_| ErrorKind::Other)?;
        name.push(format!(".{random}.tmp"));
        let draft = directory_of(path).join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&draft)?;
        let draft = Self(draft);
        file.write_all(contents)?;
        file.sync_all()?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if fs::remove_file(&self.0).is_err() {
            tracing::warn!(path = %self.0.display(), "could not remove the key file's draft");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Subject;
    use crate::token::refresh::SessionSecret;

    fn secret() -> SessionSecret {
        SessionSecret::generate(&Subject::new("alice").map(|subject| subject.key()).unwrap())
    }

    #[test]
    fn ky_05_refresh_tokens_outlive_a_restart_and_a_rotation_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, second) = (folder.path().join("keys.json"), folder.path().join("second.json"));
        let token = load_or_generate(&path).unwrap().mint_refresh(&secret(), 4).unwrap();
        let again = load_or_generate(&path).unwrap();
        assert!(again.authenticate_refresh(token.expose_secret().as_bytes()).is_some());
        let kid = again.keys().signing.as_ref().unwrap().kid().to_owned();

        // A rotation by hand: the keys of another file in front.
        load_or_generate(&second).unwrap();
        let read = |path| serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap();
        let (mut old, mut new) = (read(&path), read(&second));
        for list in ["keys", "refresh_keys"] {
            new[list]
                .as_array_mut()
                .unwrap()
                .append(old[list].as_array_mut().unwrap());
        }
        fs::write(&path, new.to_string()).unwrap();
        let rotated = load_or_generate(&path).unwrap();
        assert_ne!(rotated.keys().signing.as_ref().unwrap().kid(), kid);
        assert!(rotated.keys().verifying(&kid).is_some());
        assert!(rotated.authenticate_refresh(token.expose_secret().as_bytes()).is_some());
        assert_ne!(rotated.mint_refresh(&secret(), 4).unwrap(), token);
    }

    #[test]
    fn b10_a_file_system_without_hard_links_is_not_called_a_matter_of_permissions() {
        // EPERM is what FAT says, EOPNOTSUPP and ENOSYS what others do.
        #[cfg(target_os = "linux")]
        for code in [1, 95, 38] {
            let problem = not_linked(io::Error::from_raw_os_error(code));
            assert!(matches!(problem, FileProblem::NoHardLinks(_)), "{problem:?}");
            assert!(problem.to_string().contains("hard links"), "{problem}");
        }
        assert!(matches!(not_linked(ErrorKind::StorageFull.into()), FileProblem::Io(_)));
    }

    #[test]
    fn s12_one_secret_for_both_purposes_is_refused_in_the_file_too() {
        let mut file = serde_json::from_str::<serde_json::Value>(&fresh().unwrap()).unwrap();
        let mut shared = file["refresh_keys"][0].clone();
        shared["kid"] = "shared".into();
        shared["alg"] = "HS256".into();
        assert!(parse(file.to_string().as_bytes()).is_ok());
        file["keys"].as_array_mut().unwrap().push(shared);
        let refused = parse(file.to_string().as_bytes()).err().unwrap().to_string();
        assert!(refused.contains("shared"), "{refused}");
    }

    #[test]
    fn a_retired_key_may_be_left_in_the_file_as_its_public_half() {
        let made = || serde_json::from_str::<serde_json::Value>(&fresh().unwrap()).unwrap();
        let (mut file, mut retired) = (made(), made()["keys"][0].clone());
        retired.as_object_mut().unwrap().remove("d");
        let kid = retired["kid"].as_str().unwrap().to_owned();
        file["keys"].as_array_mut().unwrap().push(retired.clone());
        assert!(
            parse(file.to_string().as_bytes())
                .unwrap()
                .keys()
                .verifying(&kid)
                .is_some()
        );
        // But it cannot be the one that signs.
        file["keys"].as_array_mut().unwrap().swap(0, 1);
        assert!(parse(file.to_string().as_bytes()).is_err());
    }
}
