//! What counts as a foreign type in a signature, on documents of the form that rustdoc makes.

#![expect(clippy::unwrap_used, reason = "what a test stands on")]

use serde_json::{Value, json};
use surface::{allowed, mentions};

/// A crate `own` with one function that takes a `http::Request` of a foreign crate and returns an item of the language.
fn docs() -> Value {
    json!({
        "root": 0,
        "index": {
            "0": { "id": 0, "crate_id": 0, "name": "own", "inner": { "module": { "items": [1] } } },
            "1": { "id": 1, "crate_id": 0, "name": "serve", "inner": { "function": { "sig": {
                "inputs": [["request", { "resolved_path": { "path": "Request", "id": 10, "args": null } }]],
                "output": { "resolved_path": { "path": "Vec", "id": 11, "args": null } }
            } } } }
        },
        "paths": {
            "1": { "crate_id": 0, "path": ["own", "serve"], "kind": "function" },
            "10": { "crate_id": 7, "path": ["http", "request", "Request"], "kind": "struct" },
            "11": { "crate_id": 2, "path": ["alloc", "vec", "Vec"], "kind": "struct" },
            "12": { "crate_id": 8, "path": ["bytes", "Bytes"], "kind": "struct" }
        },
        "external_crates": { "2": { "name": "alloc" }, "7": { "name": "http" }, "8": { "name": "bytes" } }
    })
}

fn names(docs: &Value) -> Vec<String> {
    let found = mentions(docs).unwrap();
    found
        .iter()
        .map(|(mention, place)| format!("{mention} in {place}"))
        .collect()
}

#[test]
fn a_foreign_type_is_named_with_its_place_and_the_languages_own_is_not() {
    assert_eq!(names(&docs()), ["own http::request::Request in own::serve"]);
}

#[test]
fn a_type_deep_in_a_generic_argument_counts() {
    let mut docs = docs();
    let bytes = json!({ "resolved_path": { "path": "Bytes", "id": 12, "args": null } });
    docs["index"]["1"]["inner"]["function"]["sig"]["output"]["resolved_path"]["args"] =
        json!({ "angle_bracketed": { "args": [{ "type": bytes }], "constraints": [] } });
    assert_eq!(
        names(&docs),
        [
            "own bytes::Bytes in own::serve",
            "own http::request::Request in own::serve"
        ]
    );
}

#[test]
fn a_trait_of_a_foreign_crate_counts_where_it_is_implemented_by_hand_only() {
    let mut docs = docs();
    let block = |blanket: Value| {
        json!({ "id": 2, "crate_id": 0, "name": null, "inner": { "impl": {
            "trait": { "path": "Buf", "id": 12, "args": null }, "blanket_impl": blanket, "is_synthetic": false,
            "for": { "resolved_path": { "path": "Own", "id": 1, "args": null } }
        } } })
    };
    docs["index"]["2"] = block(Value::Null);
    assert_eq!(names(&docs).len(), 2);
    docs["index"]["2"] = block(json!({ "generic": "T" }));
    assert_eq!(names(&docs).len(), 1);
}

#[test]
fn what_rustdoc_no_longer_writes_in_this_form_is_an_error_and_not_an_empty_surface() {
    for part in ["root", "index", "paths", "external_crates"] {
        let mut docs = docs();
        docs.as_object_mut().unwrap().remove(part);
        assert!(mentions(&docs).is_err(), "{part}");
    }
    let mut silent = docs();
    silent["index"]["1"]["inner"] = json!({});
    assert!(mentions(&silent).is_err());
}

#[test]
fn a_line_without_its_reason_is_refused() {
    let list = "# comment\n\nown http::Request what a layer is given\n";
    assert_eq!(allowed(list).unwrap().len(), 1);
    assert_eq!(allowed("own http::Request").unwrap_err(), "own http::Request");
}
