#![no_main]

use fluxforge_core::fuzzing::time_any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| time_any(bytes));
