#![no_main]

use fluxforge_core::fuzzing::line_any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| line_any(bytes));
