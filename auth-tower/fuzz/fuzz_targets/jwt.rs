#![no_main]

use auth_tower_fuzz::targets::named;

libfuzzer_sys::fuzz_target!(|data: &[u8]| named("jwt")(data));
