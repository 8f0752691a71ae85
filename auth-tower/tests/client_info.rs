//! What a client may say of itself in the list of sessions.

use auth_tower::session::ClientInfo;

fn device(name: &str) -> Option<String> {
    ClientInfo::new(Some(name), None, None).device.map(String::from)
}

#[test]
fn s12_what_a_reader_does_not_see_stays_out_of_a_device_name() {
    let unseen = [
        "\u{0}\u{7}\u{1b}\u{7f}\u{85}\u{9b}",                              // controls
        "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}", // bidirectional
        "\u{2066}\u{2067}\u{2068}\u{2069}\u{206a}\u{206f}",
        "\u{200b}\u{200c}\u{200d}\u{2060}\u{2064}\u{feff}\u{180e}", // of no width
        "\u{ad}\u{34f}\u{115f}\u{1160}\u{3164}\u{ffa0}\u{2800}",    // fillers and blanks
        "\u{2028}\u{2029}\u{fff9}\u{fffb}\u{fe0f}\u{e0100}",        // separators, anchors, variation selectors
        "\u{e0001}\u{e0041}\u{e007f}\u{1d173}\u{1bca0}",            // tags and format controls
    ];
    for unseen in unseen {
        for c in unseen.chars() {
            let name = format!("{c}Ali{c}ce's{c} phone{c}");
            assert_eq!(
                device(&name).as_deref(),
                Some("Alice's phone"),
                "{:?}",
                c.escape_unicode()
            );
            let client = ClientInfo::new(None, None, Some(&name));
            assert_eq!(client.user_agent.as_deref(), Some("Alice's phone"));
        }
        assert_eq!(device(unseen), None, "a name of nothing else is none");
    }
    assert_eq!(device(" \u{200b} \u{a0}\u{3000} "), None);
}

#[test]
fn what_a_reader_sees_stays_in_a_device_name() {
    for name in [
        "Zoë's café",
        "アリスの電話",
        "טלפון",
        "هاتف أليس",
        "फ़ोन",
        "📱 1",
        "a\u{301}",
    ] {
        assert_eq!(device(name).as_deref(), Some(name));
    }
}

#[test]
fn a_name_is_cut_after_what_is_left_out() {
    let long = format!("   \u{202e}{}", "n\u{200b}".repeat(100));
    assert_eq!(device(&long), Some("n".repeat(64)));
    assert_eq!(device(&format!("{} more", "n".repeat(63))), Some("n".repeat(63)));
}
