//! Texts that are no secret, although they stand where one belongs.
//!
//! Each is what a slip in a deployment leaves behind: an example that was copied, a substitution that did not happen, a reference
//! that nobody looked up. They are often long enough, work, and are known to everybody who knows the product.

/// Fewer different bytes than this are no random text: 32 random hexadecimal digits have so few once in some 10 million draws.
const FEWEST_DIFFERENT: usize = 6;

/// A text that is a shorter one over and over is as easy to guess as that one.
const LONGEST_REPEATED: usize = 16;

/// Parts of examples, in lower case and without anything but letters and digits; each is long enough not to turn up in a random text.
const PLACEHOLDERS: [&str; 18] = [
    "changeme",
    "changethis",
    "changeit",
    "replaceme",
    "replacethis",
    "replacewith",
    "placeholder",
    "yoursecret",
    "youraccesstoken",
    "yourrefreshtoken",
    "yoursupersecret",
    "your256bit",
    "your512bit",
    "insertyour",
    "insertsecret",
    "enteryour",
    "putyour",
    "supersecret",
];

/// Where secrets and keys lie on the machines that run services, and how the tools that keep them write a reference to one.
const REFERENCES: [&str; 19] = [
    "/run/",
    "/var/",
    "/etc/",
    "/home/",
    "/root/",
    "/opt/",
    "/mnt/",
    "/tmp/",
    "/app/",
    "/secrets/",
    "./",
    "../",
    "~/",
    "file:",
    "op://",
    "vault:",
    "arn:aws",
    "@Microsoft.KeyVault(",
    "ref+",
];

/// Why `text` cannot be meant as a secret; the reason quotes nothing of it.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let reason = if text.trim().is_empty() {
        "is blank"
    } else if crate::keys::text::is_quoted(text) {
        "is in quotation marks, which whoever read the env file has kept: write it without them"
    } else if text.trim() != text {
        "begins or ends with a blank or a line break, which not everybody who reads it would keep"
    } else if text.contains("-----BEGIN ") || text.starts_with("LS0tLS1CRUdJTi") {
        "is a PEM text: the key of another algorithm is no shared secret, and its public half is known; give it to \
         KeyRing::builder()"
    } else if text.starts_with('{') && text.contains("\"kty\"") {
        "is a JWK: give it to KeyRing::builder()"
    } else if text.starts_with('\u{feff}') || text.chars().any(char::is_control) {
        "holds control characters, line breaks or a byte order mark: it was not written as one line of UTF-8 text"
    } else if crate::keys::text::is_unexpanded(text) {
        "is a substitution that did not happen"
    } else if REFERENCES.iter().any(|prefix| text.starts_with(prefix)) {
        "says where a secret is, instead of being one: a file is named by the variable with _FILE at its end"
    } else if text.starts_with("ACCESS_TOKEN_SECRET") || text.starts_with("REFRESH_TOKEN_SECRET") {
        "begins with a variable's name: only its value belongs there"
    } else if is_placeholder(text) {
        "is an example's placeholder: make a secret of your own, such as with `openssl rand -base64 48`"
    } else if text.len() >= 8 && is_monotonous(text.as_bytes()) {
        "is a few characters over and over: make a secret, such as with `openssl rand -base64 48`"
    } else {
        return Ok(());
    };
    Err(reason)
}

fn is_placeholder(text: &str) -> bool {
    let letters: zeroize::Zeroizing<String> = zeroize::Zeroizing::new(
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect(),
    );
    let in_brackets = [('<', '>'), ('[', ']')]
        .iter()
        .any(|(open, close)| text.starts_with(*open) && text.ends_with(*close));
    in_brackets || PLACEHOLDERS.iter().any(|part| letters.contains(part))
}

fn is_monotonous(text: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in text {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    let different = seen.iter().filter(|seen| **seen).count();
    let repeats = |len: usize| text.iter().zip(text.iter().skip(len)).all(|(one, other)| one == other);
    different < FEWEST_DIFFERENT || (1..=LONGEST_REPEATED.min(text.len() / 2)).any(repeats)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::keys::generate::random_bytes;

    #[test]
    fn what_a_generator_makes_is_taken() {
        for _ in 0..2_000 {
            let bytes = random_bytes(48).unwrap();
            let hex: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            for secret in [STANDARD.encode(&*bytes), hex] {
                check(&secret).unwrap_or_else(|why| panic!("{secret} {why}"));
            }
        }
        for phrase in [
            "acceptance access secret: 48 bytes, known to all",
            "correct horse battery staple, and a stable door",
            "p@ss/with$signs{and}(brackets)<of>[all]%kinds%!",
            "schlüssel für die kleine straße am großen fluss",
            "it's \"quoted\" within, which is nobody's mistake",
        ] {
            assert_eq!(check(phrase), Ok(()), "{phrase}");
        }
    }
}
