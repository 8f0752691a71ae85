//! Both frameworks, side by side: whatever a client sends, the two apps answer alike.
//!
//! Each test starts both apps with the same secrets, sends the same requests to both, and compares everything that leaves
//! them: status, code, challenge, headers, each attribute of each cookie, and the body. What must differ (tokens, ids, times)
//! is replaced by what it is. What a framework forces to differ is written down in `forced.rs`, with its reason; such a difference
//! is then expected, and a test fails when it goes.

mod answer;
mod bad_input;
mod credentials;
mod forced;
mod http2;
mod pair;
mod requests;
