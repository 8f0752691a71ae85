//! Tokens made or altered by the test, from the format the design writes down. Nothing here calls the crates under test.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a forged claim must be placed around the apps' own clock, which is this one"
)]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("a clock after 1970").as_secs()).expect("a clock before the year 292 277 026 596")
}

/// Base64url without padding.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes behind base64url without padding.
pub fn from_base64url(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD
        .decode(text)
        .unwrap_or_else(|e| panic!("not base64url: {e}"))
}

/// HMAC-SHA256 under the bytes of a secret.
pub fn hmac_sha256(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes any key");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// A JWT taken apart, to be altered and signed anew.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// The header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
}

impl Jwt {
    /// Takes a token apart, whatever its signature.
    pub fn decode(token: &str) -> Self {
        let mut parts = token.split('.');
        let mut json =
            || serde_json::from_slice(&from_base64url(parts.next().unwrap_or_default())).expect("a JWT part");
        Self {
            header: json(),
            claims: json(),
        }
    }

    /// With one header member set; `Null` stays a member.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    /// With one claim set; `Null` stays a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Without a header member.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().expect("an object").remove(name);
        self
    }

    /// Without a claim.
    #[must_use]
    pub fn without_claim(mut self, name: &str) -> Self {
        self.claims.as_object_mut().expect("an object").remove(name);
        self
    }

    /// With its lifetime over since `seconds`.
    #[must_use]
    pub fn expired_since(self, seconds: i64) -> Self {
        self.claim("iat", now() - seconds - 900).claim("exp", now() - seconds)
    }

    /// Signed with HS256 under `secret`.
    pub fn sign(&self, secret: &str) -> String {
        sign_text(&self.header.to_string(), &self.claims.to_string(), secret.as_bytes())
    }

    /// With `signature` in the place of one.
    pub fn with_signature(&self, signature: &[u8]) -> String {
        format!(
            "{}.{}.{}",
            base64url(self.header.to_string()),
            base64url(self.claims.to_string()),
            base64url(signature)
        )
    }

    /// A string claim.
    pub fn text(&self, name: &str) -> &str {
        self.claims[name].as_str().unwrap_or_else(|| panic!("no claim {name}"))
    }

    /// The generation that the token was issued with.
    pub fn generation(&self) -> u64 {
        self.claims["gen"].as_u64().expect("a claim gen")
    }
}

/// Signs header and claims given as text, so that they may be JSON that no serialiser would write.
pub fn sign_text(header: &str, claims: &str, key: &[u8]) -> String {
    let input = format!("{}.{}", base64url(header), base64url(claims));
    let signature = base64url(hmac_sha256(key, input.as_bytes()));
    format!("{input}.{signature}")
}

/// A refresh token taken apart: `version(1) key(1) generation(4) secret(32) mac(16)`.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken([u8; 54]);

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefreshToken")
            .field("key", &self.key())
            .field("generation", &self.generation())
            .finish()
    }
}

impl RefreshToken {
    /// Takes a token apart; fails on anything that is not 72 URL-safe characters.
    pub fn decode(text: &str) -> Self {
        assert_eq!(text.len(), 72, "a refresh token has 72 characters");
        Self(from_base64url(text).try_into().expect("72 characters are 54 bytes"))
    }

    /// Its text form.
    pub fn encode(&self) -> String {
        base64url(self.0)
    }

    /// The number of the key that authenticates it.
    pub fn key(&self) -> u8 {
        self.0[1]
    }

    /// Its generation.
    pub fn generation(&self) -> u32 {
        u32::from_be_bytes([self.0[2], self.0[3], self.0[4], self.0[5]])
    }

    /// The session's secret.
    pub fn secret(&self) -> &[u8] {
        &self.0[6..38]
    }

    /// With another generation, and a MAC that no longer fits.
    #[must_use]
    pub fn with_generation(mut self, generation: u32) -> Self {
        self.0[2..6].copy_from_slice(&generation.to_be_bytes());
        self
    }

    /// With another secret, and a MAC that no longer fits.
    #[must_use]
    pub fn with_secret(mut self, secret: &[u8; 32]) -> Self {
        self.0[6..38].copy_from_slice(secret);
        self
    }

    /// With the MAC that fits under `key`.
    #[must_use]
    pub fn authenticated(mut self, key: &str) -> Self {
        let mac = hmac_sha256(key.as_bytes(), &self.0[..38]);
        self.0[38..].copy_from_slice(&mac[..16]);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hs256_matches_the_example_of_rfc_7515() {
        let key =
            from_base64url("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
        let token = sign_text(
            "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}",
            "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}",
            &key,
        );
        assert!(
            token.ends_with(".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "{token}"
        );
    }

    #[test]
    fn a_refresh_token_survives_its_text_form() {
        let token = RefreshToken([1; 54]).with_generation(7).authenticated("key");
        assert_eq!(RefreshToken::decode(&token.encode()), token);
        assert_eq!((token.generation(), token.key(), token.secret().len()), (7, 1, 32));
        assert_ne!(token.clone().authenticated("other"), token);
    }
}
