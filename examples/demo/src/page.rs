//! The page: three files, embedded, with the headers that belong to them.

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Where it is served.
    pub path: &'static str,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its text.
    pub body: &'static str,
}

/// What every file of the page is served with, beside its content type.
///
/// The policy allows this origin's own files and calls, and nothing inline. The page holds an access token in memory, so a
/// script that somebody smuggles in would be worth more than the cookie, which it cannot read.
pub const SECURITY_HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    // An app that was upgraded must not be met by yesterday's script.
    ("cache-control", "no-cache"),
];

/// The page's files.
pub fn assets() -> &'static [Asset] {
    &ASSETS
}

static ASSETS: [Asset; 3] = [
    Asset {
        path: "/",
        content_type: "text/html; charset=utf-8",
        body: include_str!("../page/index.html"),
    },
    Asset {
        path: "/app.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("../page/app.css"),
    },
    Asset {
        path: "/app.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../page/app.js"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(path: &str) -> &'static str {
        assets().iter().find(|asset| asset.path == path).unwrap().body
    }

    /// The values of an attribute, wherever it stands in the page.
    fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
        let opening = format!(" {name}=\"");
        html.split(&opening)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect()
    }

    #[test]
    fn the_policy_allows_nothing_inline_and_nothing_foreign() {
        let policy = SECURITY_HEADERS
            .iter()
            .find(|(name, _)| *name == "content-security-policy")
            .unwrap()
            .1;
        for bad in ["unsafe", "http:", "https:", "*", "  "] {
            assert!(!policy.contains(bad), "{bad} in {policy}");
        }
        for needed in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(needed), "{needed} not in {policy}");
        }
    }

    #[test]
    fn the_page_works_under_its_own_policy() {
        let html = asset("/");
        assert!(!html.contains("<style"));
        assert!(!html.contains(" style="));
        for handler in [" onclick", " onload", " onsubmit", " onerror", "javascript:"] {
            assert!(!html.contains(handler), "{handler}");
        }
        let scripts: Vec<_> = html.split("<script").skip(1).collect();
        assert_eq!(scripts.len(), 1);
        assert!(scripts[0].contains("></script>"), "a script with text in it");
    }

    #[test]
    fn the_page_refers_to_this_origin_only() {
        let html = asset("/");
        let mut references = attributes(html, "src");
        references.extend(attributes(html, "href"));
        references.extend(attributes(html, "action"));
        assert!(references.contains(&"/app.js") && references.contains(&"/app.css"));
        for reference in references {
            let own = reference.starts_with('/') && !reference.starts_with("//");
            assert!(
                own || reference.starts_with('#') || reference.starts_with("data:"),
                "{reference}"
            );
        }
        assert!(!asset("/app.css").contains("url(") && !asset("/app.css").contains("@import"));
        assert!(!asset("/app.js").contains("//cdn") && !asset("/app.js").contains("import "));
    }

    #[test]
    fn the_script_keeps_no_token_and_writes_no_markup() {
        let script = asset("/app.js");
        for bad in [
            "localStorage",
            "sessionStorage",
            "indexedDB",
            "document.cookie",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "console.",
        ] {
            assert!(!script.contains(bad), "{bad}");
        }
    }

    #[test]
    fn the_page_has_what_browser_tests_drive() {
        let ids = attributes(asset("/"), "id");
        for id in [
            "login-form",
            "username",
            "password",
            "device",
            "sign-in",
            "sign-out",
            "sign-out-everywhere",
            "who",
            "token-countdown",
            "call-me",
            "call-public",
            "call-admin",
            "call-notes",
            "call-refresh",
            "forget-token",
            "use-expired",
            "race",
            "race-result",
            "sessions",
            "log",
        ] {
            assert_eq!(ids.iter().filter(|found| **found == id).count(), 1, "{id}");
        }
    }

    #[test]
    fn the_script_asks_only_for_elements_that_the_page_has() {
        let ids = attributes(asset("/"), "id");
        for opening in ["byId(\"", "onClick(\""] {
            for rest in asset("/app.js").split(opening).skip(1) {
                let id = rest.split('"').next().unwrap();
                assert!(ids.contains(&id), "{id}");
            }
        }
    }

    #[test]
    fn every_field_has_a_label() {
        let html = asset("/");
        let labels = attributes(html, "for");
        for input in html.split("<input").skip(1) {
            let id = attributes(input.split('>').next().unwrap(), "id")[0];
            assert!(labels.contains(&id), "{id}");
        }
    }

    #[test]
    fn header_names_and_values_are_ones_that_http_can_carry() {
        for (name, value) in SECURITY_HEADERS {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert!(value.bytes().all(|b| (0x20..0x7f).contains(&b)), "{value}");
        }
    }
}
