//! `surface LIST JSON…`: fails, and says where, if a foreign item in a public signature is not on the list, or the list names
//! one that no signature has any more.
#![expect(clippy::print_stderr, reason = "what a program is for")]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("surface: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let list = arguments.next().ok_or("which list?")?;
    let allowed = surface::allowed(&fs::read_to_string(&list)?).map_err(|line| format!("{list}: no reason: {line}"))?;
    let mut seen = BTreeSet::new();
    let mut is_good = true;
    for docs in arguments {
        let docs = serde_json::from_str(&fs::read_to_string(docs)?)?;
        for (mention, place) in surface::mentions(&docs)? {
            if !allowed.contains(&mention) {
                eprintln!("surface: {mention} is not in {list}; it stands in {place}");
                is_good = false;
            }
            seen.insert(mention);
        }
    }
    for stale in allowed.difference(&seen) {
        eprintln!("surface: {stale} is in {list}, and in no signature any more");
        is_good = false;
    }
    Ok(is_good)
}
