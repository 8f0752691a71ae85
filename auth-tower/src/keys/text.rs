//! Traces that the way of a text into this process leaves on it.

/// `text` without the byte order mark that some editors put at a file's beginning.
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether `text` still has the quotation marks that some readers of env files keep.
pub(crate) fn is_quoted(text: &str) -> bool {
    ['"', '\'', '`']
        .iter()
        .any(|quote| text.len() > 1 && text.starts_with(*quote) && text.ends_with(*quote))
}

/// Whether `text` holds a variable or a command that a shell, or whatever stands in for one, should have replaced.
pub(crate) fn is_unexpanded(text: &str) -> bool {
    let name = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    // `${NAME}`, `${NAME:-default}`, and a pipeline's `${{ secrets.NAME }}`.
    let in_braces = |inner: &str| {
        let inner = inner.trim_start_matches('{').trim_start();
        let end = inner
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inner.len());
        inner.get(..end).is_some_and(name)
    };
    // `$(command …)`, and the `$(NAME)` of a Kubernetes manifest.
    let in_parentheses = |inner: &str| {
        let inner = inner.trim_start();
        let end = inner
            .find(|c: char| c.is_whitespace() || c == ')')
            .unwrap_or(inner.len());
        inner.get(..end).is_some_and(|command| {
            command.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/' | '<'))
                && command
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-./<".contains(&byte))
        })
    };
    let within = |open: &str, close: char, is_one: &dyn Fn(&str) -> bool| {
        text.match_indices(open).any(|(at, _)| {
            let inner = text.get(at + open.len()..).unwrap_or_default();
            inner.find(close).and_then(|end| inner.get(..end)).is_some_and(is_one)
        })
    };
    let whole = |open: &str, close: &str| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|inner| name(inner.trim()))
    };
    within("${", '}', &in_braces)
        || within("$(", ')', &in_parentheses)
        || text.strip_prefix('$').is_some_and(name)
        || [
            ("%", "%"),
            ("{{", "}}"),
            ("#{", "}#"),
            ("#{", "}"),
            ("__", "__"),
            ("@@", "@@"),
            ("<%=", "%>"),
        ]
        .iter()
        .any(|(open, close)| whole(open, close))
        || (text.starts_with("{{") && text.ends_with("}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_substitution_that_did_not_happen_is_known_by_its_form() {
        for text in [
            "${SECRET}",
            "prefix-${SECRET}-suffix",
            "${SECRET:-default}",
            "${SECRET:?is missing}",
            "${{ secrets.ACCESS }}",
            "$(ACCESS_SECRET)",
            "$(cat /run/secrets/access)",
            "$(openssl rand -hex 32)",
            "$(< access.txt)",
            "$ACCESS_SECRET",
            "%ACCESS_SECRET%",
            "{{ACCESS_SECRET}}",
            "{{ .Values.secret }}",
            "#{AccessSecret}#",
            "__ACCESS_SECRET__",
        ] {
            assert!(is_unexpanded(text), "{text}");
        }
        for text in [
            "",
            "$",
            "a$b",
            "${}",
            "${9",
            "$(",
            "$()",
            "$5 for {two}",
            "a${b",
            "100%",
            "%",
            "{{",
            "cost: $(5)",
        ] {
            assert!(!is_unexpanded(text), "{text}");
        }
    }

    #[test]
    fn quotation_marks_count_at_both_ends_only() {
        for text in ["\"a\"", "'a'", "`a`", "\"\""] {
            assert!(is_quoted(text), "{text}");
        }
        for text in ["", "\"", "'a", "a'", "\"a'", "a'b'c"] {
            assert!(!is_quoted(text), "{text}");
        }
    }
}
