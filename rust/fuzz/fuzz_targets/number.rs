#![no_main]

use fluxforge_core::fuzzing::number_any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| number_any(bytes));
