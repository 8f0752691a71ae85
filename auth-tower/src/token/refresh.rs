//! The refresh token: 72 characters that only a holder of a session's secret and the refresh key together can make.
//!
//! `version(1) key(1) generation(4, big-endian) secret(32) mac(16)`, base64url without padding. The MAC covers all that
//! comes before it, so a forged or altered token is refused before any store is asked (RFC 9700 §4.14.2).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::id::{SessionId, SubjectKey};
use crate::keys::refresh_key::RefreshKey;
use crate::keys::ring::KeyRing;

const VERSION: u8 = 1;
const SECRET_LEN: usize = 32;
const MAC_LEN: usize = 16;
/// What the MAC covers.
const SIGNED_LEN: usize = 1 + 1 + 4 + SECRET_LEN;
const LEN: usize = SIGNED_LEN + MAC_LEN;
/// The length as text.
const TEXT_LEN: usize = LEN / 3 * 4;

/// A ring without a refresh key was asked for a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key ring has no refresh key")]
pub(crate) struct NoRefreshKey;

/// A session's secret: the same for the session's life, and never stored.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct SessionSecret([u8; SECRET_LEN]);

impl SessionSecret {
    /// A new one: 240 random bits behind the subject's two routing bytes.
    pub(crate) fn generate(subject: &SubjectKey) -> Self {
        let mut secret = Self([0; SECRET_LEN]);
        rand::fill(&mut secret.0);
        for (to, from) in secret.0.iter_mut().zip(subject.routing()) {
            *to = from;
        }
        secret
    }

    /// The session that it belongs to.
    pub(crate) fn session_id(&self) -> SessionId {
        SessionId::of(&self.0)
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret([redacted])")
    }
}

/// A refresh token on its way to a client.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// The token's text, for the cookie and nothing else.
    pub(crate) fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken([redacted])")
    }
}

/// What an authentic refresh token says.
#[derive(Clone)]
pub(crate) struct PresentedRefresh {
    pub(crate) session_id: SessionId,
    pub(crate) generation: u32,
    /// From which the session's later tokens are made.
    pub(crate) secret: SessionSecret,
}

impl fmt::Debug for PresentedRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedRefresh")
            .field("session_id", &self.session_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// The refresh token of `generation`: the same text however often, and on whichever instance, it is asked for.
    pub(crate) fn mint_refresh(&self, secret: &SessionSecret, generation: u32) -> Result<RefreshToken, NoRefreshKey> {
        let keys = self.keys();
        let key = keys.refresh.as_ref().ok_or(NoRefreshKey)?;
        let mut token = Zeroizing::new([0; LEN]);
        let mut mac = [0; MAC_LEN];
        write(&mut token, [VERSION, key.hint()], generation, &secret.0, &mac);
        if let Some(signed) = token.get(..SIGNED_LEN) {
            mac = key.mac(signed);
        }
        write(&mut token, [VERSION, key.hint()], generation, &secret.0, &mac);
        Ok(RefreshToken(Zeroizing::new(URL_SAFE_NO_PAD.encode(token.as_slice()))))
    }

    /// What `token` says if one of this ring's refresh keys made it; `None` for anything else.
    pub(crate) fn authenticate_refresh(&self, token: &[u8]) -> Option<PresentedRefresh> {
        if token.len() != TEXT_LEN {
            return None;
        }
        let mut bytes = Zeroizing::new([0; LEN]);
        // Strict: no padding and no stray bits, so that a token has one spelling only.
        if URL_SAFE_NO_PAD.decode_slice(token, bytes.as_mut_slice()) != Ok(LEN) {
            return None;
        }
        let (signed, mac) = bytes.split_first_chunk::<SIGNED_LEN>()?;
        let ([version, hint], rest) = signed.split_first_chunk::<2>()?;
        let (generation, secret) = rest.split_first_chunk::<4>()?;
        if *version != VERSION {
            return None;
        }
        let keys = self.keys();
        let made_by = |key: &&RefreshKey| key.hint() == *hint && bool::from(key.mac(signed).ct_eq(mac));
        keys.refresh.iter().chain(&keys.older_refresh).find(made_by)?;
        let secret = SessionSecret(secret.try_into().ok()?);
        Some(PresentedRefresh {
            session_id: secret.session_id(),
            generation: u32::from_be_bytes(*generation),
            secret,
        })
    }
}

fn write(token: &mut [u8; LEN], lead: [u8; 2], generation: u32, secret: &[u8; SECRET_LEN], mac: &[u8; MAC_LEN]) {
    let generation = generation.to_be_bytes();
    let parts = lead.iter().chain(&generation).chain(secret).chain(mac);
    for (to, from) in token.iter_mut().zip(parts) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Subject;
    use crate::jose::algorithm::Algorithm;
    use crate::keys::signing::SigningKey;

    fn ring(active: u8, older: &[u8]) -> KeyRing {
        let mut ring = KeyRing::builder()
            .signing(SigningKey::hmac("k", Algorithm::HS256, [1; 32]).unwrap())
            .refresh(RefreshKey::new([active; 32]).unwrap());
        for key in older {
            ring = ring.previous_refresh(RefreshKey::new([*key; 32]).unwrap());
        }
        ring.build().unwrap()
    }

    fn secret() -> SessionSecret {
        SessionSecret::generate(&Subject::new("alice").unwrap().key())
    }

    fn mint(ring: &KeyRing, secret: &SessionSecret, generation: u32) -> String {
        ring.mint_refresh(secret, generation)
            .unwrap()
            .expose_secret()
            .to_owned()
    }

    #[test]
    fn rt_11_the_format_is_the_documented_one() {
        let (ring, secret) = (ring(1, &[]), SessionSecret([9; 32]));
        let text = mint(&ring, &secret, 0x0102_0304);
        assert_eq!(text.len(), 72);
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        assert_eq!(bytes.len(), 54);
        assert_eq!(bytes[0], 1);
        assert_eq!(bytes[2..6], [1, 2, 3, 4]);
        assert_eq!(bytes[6..38], [9; 32]);
        use hmac::{KeyInit as _, Mac as _};
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&[1; 32]).unwrap();
        mac.update(&bytes[..38]);
        assert_eq!(bytes[38..], mac.finalize().into_bytes()[..16]);
    }

    #[test]
    fn the_successor_is_the_same_wherever_it_is_computed() {
        let secret = secret();
        assert_eq!(mint(&ring(1, &[]), &secret, 7), mint(&ring(1, &[2]), &secret, 7));
        assert_ne!(mint(&ring(1, &[]), &secret, 7), mint(&ring(1, &[]), &secret, 8));
    }

    #[test]
    fn a_secret_leads_with_its_subjects_routing_bytes_and_is_otherwise_new() {
        let subject = Subject::new("alice").unwrap().key();
        let (one, two) = (SessionSecret::generate(&subject), SessionSecret::generate(&subject));
        assert_eq!(one.session_id().routing(), subject.routing());
        assert_eq!(one.0[..2], two.0[..2]);
        assert_ne!(one.0[2..], two.0[2..]);
        assert_ne!(one.session_id(), two.session_id());
    }

    #[test]
    fn rt_12_flipping_any_bit_of_any_character_is_refused() {
        let ring = ring(1, &[2, 3]);
        let text = mint(&ring, &secret(), 5).into_bytes();
        assert!(ring.authenticate_refresh(&text).is_some());
        for index in 0..text.len() {
            for bit in 0..8 {
                let mut forged = text.clone();
                forged[index] ^= 1 << bit;
                assert!(
                    ring.authenticate_refresh(&forged).is_none(),
                    "character {index}, bit {bit}"
                );
            }
        }
    }

    #[test]
    fn rt_12_flipping_any_bit_of_any_byte_is_refused() {
        let ring = ring(1, &[2, 3]);
        let bytes = URL_SAFE_NO_PAD.decode(mint(&ring, &secret(), 5)).unwrap();
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut forged = bytes.clone();
                forged[index] ^= 1 << bit;
                assert!(
                    ring.authenticate_refresh(URL_SAFE_NO_PAD.encode(forged).as_bytes())
                        .is_none()
                );
            }
        }
    }

    #[test]
    fn another_version_with_a_right_mac_is_refused() {
        let ring = ring(1, &[]);
        let mut bytes = URL_SAFE_NO_PAD.decode(mint(&ring, &secret(), 5)).unwrap();
        bytes[0] = 2;
        let mac = RefreshKey::new([1; 32]).unwrap().mac(&bytes[..SIGNED_LEN]);
        bytes[SIGNED_LEN..].copy_from_slice(&mac);
        assert!(
            ring.authenticate_refresh(URL_SAFE_NO_PAD.encode(bytes).as_bytes())
                .is_none()
        );
    }

    #[test]
    fn anything_but_72_url_safe_characters_is_refused() {
        let ring = ring(1, &[]);
        let text = mint(&ring, &secret(), 5);
        for bad in [
            String::new(),
            text[1..].to_owned(),
            format!("{text}A"),
            format!("{text}="),
            format!(" {}", &text[1..]),
            format!("{}+", &text[..71]),
            format!("{}/", &text[..71]),
            format!("{}=", &text[..71]),
            format!("{}\n", &text[..71]),
            format!("{}.", &text[..71]),
            text.repeat(100),
        ] {
            assert!(ring.authenticate_refresh(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(ring.authenticate_refresh(&[0xff; 72]).is_none());
    }

    #[test]
    fn ky_10_an_older_key_still_counts_until_it_is_removed() {
        let secret = secret();
        let old = mint(&ring(1, &[]), &secret, 5);
        let both = ring(2, &[1]);
        assert!(both.authenticate_refresh(old.as_bytes()).is_some());
        let new = mint(&both, &secret, 6);
        assert!(ring(2, &[]).authenticate_refresh(new.as_bytes()).is_some());
        assert!(ring(2, &[]).authenticate_refresh(old.as_bytes()).is_none());
        both.replace(ring(2, &[])).unwrap();
        assert!(both.authenticate_refresh(old.as_bytes()).is_none());
    }

    #[test]
    fn keys_that_share_their_hint_are_each_tried() {
        // 257 keys cannot all have different hints.
        let mut by_hint = std::collections::HashMap::new();
        let (one, two) = (0u32..257)
            .find_map(|n| {
                let key = n.to_be_bytes().repeat(8);
                by_hint
                    .insert(RefreshKey::new(&key).unwrap().hint(), key.clone())
                    .map(|other| (other, key))
            })
            .unwrap();
        let ring_of = |keys: [&[u8]; 2]| {
            KeyRing::builder()
                .signing(SigningKey::hmac("k", Algorithm::HS256, [1; 32]).unwrap())
                .refresh(RefreshKey::new(keys[0]).unwrap())
                .previous_refresh(RefreshKey::new(keys[1]).unwrap())
                .build()
                .unwrap()
        };
        let (ring, other) = (ring_of([&one, &two]), ring_of([&two, &one]));
        let secret = secret();
        assert!(ring.authenticate_refresh(mint(&other, &secret, 1).as_bytes()).is_some());
        assert!(other.authenticate_refresh(mint(&ring, &secret, 1).as_bytes()).is_some());
    }

    #[test]
    fn nothing_of_it_shows_in_debug() {
        let ring = ring(1, &[]);
        let secret = SessionSecret(*b"canarycanarycanarycanarycanary!!");
        let token = ring.mint_refresh(&secret, 1).unwrap();
        let presented = ring.authenticate_refresh(token.expose_secret().as_bytes()).unwrap();
        let shown = format!("{secret:?} {token:?} {presented:?} {ring:?}");
        assert!(
            !shown.contains("canary") && !shown.contains(token.expose_secret()),
            "{shown}"
        );
        assert!(!shown.contains("99, 97, 110"), "{shown}");
    }

    proptest! {
        #[test]
        fn every_token_reads_back_as_what_it_was_made_from(bytes: [u8; 32], generation: u32, key: [u8; 32]) {
            let ring = KeyRing::builder()
                .signing(SigningKey::hmac("k", Algorithm::HS256, [1; 32]).unwrap())
                .refresh(RefreshKey::new(key).unwrap())
                .build()
                .unwrap();
            let secret = SessionSecret(bytes);
            let text = mint(&ring, &secret, generation);
            let presented = ring.authenticate_refresh(text.as_bytes()).unwrap();
            prop_assert_eq!(presented.generation, generation);
            prop_assert_eq!(presented.session_id, secret.session_id());
            prop_assert_eq!(presented.secret.0, bytes);
        }

        #[test]
        fn rt_11_made_up_tokens_are_refused(text in "[A-Za-z0-9_-]{72}") {
            prop_assert!(ring(1, &[2]).authenticate_refresh(text.as_bytes()).is_none());
        }
    }
}
