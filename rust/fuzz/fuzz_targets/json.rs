#![no_main]

use fluxforge_core::fuzzing::json_any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    json_any(bytes);
});
