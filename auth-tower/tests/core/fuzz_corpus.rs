//! Every input that the fuzz targets began with, or that ever made one of them fail, on every run of the ordinary tests.
#![cfg(feature = "memory")]
#![expect(clippy::expect_used, reason = "what a test stands on")]

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, dead_code, reason = "it is the root of another crate's module too")]
mod targets;

#[test]
fn every_input_of_the_corpus_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in targets::ALL {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has a corpus");
    }
}

/// Each target is a binary with the name under which `tests/fuzz` runs it.
#[test]
fn every_target_has_its_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut binaries: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    binaries.sort();
    assert_eq!(binaries, targets::ALL.map(|(name, _)| name));
}
