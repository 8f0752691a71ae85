//! Where a framework leaves no choice. Each entry is written down for users on the crate page of `auth-actix`, under "What
//! actix-web does otherwise"; here it is held to: the answers differ in this way and in no other.

use crate::answer::Answer;

/// A difference that a framework forces.
#[derive(Debug)]
pub(crate) struct Forced {
    /// Which rows: the first words of their names.
    rows: &'static [&'static str],
    /// What actix-web makes of it, given axum's answer.
    actix: fn(Answer) -> Answer,
    /// Axum's status.
    axum: u16,
    /// The reason.
    pub(crate) why: &'static str,
}

impl Forced {
    /// Whether the answers differ as they are said to.
    pub(crate) fn holds(&self, axum: &Answer, actix: &Answer) -> bool {
        axum.status == self.axum && axum != actix && (self.actix)(axum.clone()) == *actix
    }
}

const FORCED: &[Forced] = &[
    Forced {
        rows: &["no host", "two hosts", "two other hosts"],
        axum: 401,
        actix: |_| bare(400),
        why: "actix-web refuses a request without one `Host` (RFC 9112 §3.2); hyper leaves it to the application",
    },
    Forced {
        rows: &["HTTP/1.0 POST", "the same length twice", "a length and chunks"],
        axum: 401,
        actix: |_| bare(400),
        why: "actix-web refuses a body whose length is told in no way or in two; hyper takes the stronger word",
    },
    Forced {
        rows: &["a target in UTF-8"],
        axum: 404,
        actix: |_| bare(400),
        why: "a target that is no ASCII is none to actix-web",
    },
    Forced {
        rows: &["97 headers", "99 headers"],
        axum: 401,
        actix: |_| bare(431),
        why: "actix-web takes 96 header lines, hyper 100",
    },
    Forced {
        rows: &["a header of 140 KiB", "a header of 300 KiB"],
        axum: 401,
        actix: |_| bare(431),
        why: "actix-web takes a head of 128 KiB, hyper one of about 400 KiB",
    },
    Forced {
        rows: &["a target of 65 KiB", "a target of 120 KiB"],
        axum: 414,
        actix: |_| bare(400),
        why: "a target of more than 64 KiB has a status of its own with hyper",
    },
    Forced {
        rows: &["a target of 140 KiB", "a target of 500 KiB"],
        axum: 414,
        actix: |_| bare(431),
        why: "actix-web takes a head of 128 KiB",
    },
    Forced {
        rows: &["HTTP/2 a header of 20 KiB"],
        axum: 431,
        actix: |_| Answer::missing_token(),
        why: "hyper takes 16 KiB of headers over HTTP/2, actix-web 16 MiB",
    },
    Forced {
        rows: &["HTTP/2 a header of 100 KiB"],
        axum: 0,
        actix: |_| Answer::missing_token(),
        why: "far beyond its limit, hyper closes the connection",
    },
    Forced {
        rows: &["GET /api/%6de Nothing", "GET /api/m%65?a Nothing"],
        axum: 404,
        actix: |_| Answer::missing_token(),
        why: "actix-web's router decodes a path before it looks for a route, axum's takes it as it was sent",
    },
    Forced {
        rows: &["HEAD /api/events "],
        axum: 200,
        actix: |axum| axum.with("transfer-encoding", "chunked"),
        why: "actix-web says in answer to HEAD how it would send the body, hyper does not",
    },
];

/// What actix-web's HTTP/1.1 answers by itself.
fn bare(status: u16) -> Answer {
    Answer::bare(status)
        .with("connection", "close")
        .with("content-length", "0")
        .with("date", "<date>")
}

/// The difference that is expected in this row, if axum's answer is the one it is about.
pub(crate) fn difference(what: &str, axum: &Answer) -> Option<&'static Forced> {
    FORCED
        .iter()
        .find(|forced| axum.status == forced.axum && forced.rows.iter().any(|row| what.starts_with(row)))
}
