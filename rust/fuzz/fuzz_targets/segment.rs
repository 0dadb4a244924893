#![no_main]

use fluxforge_core::fuzzing::{parse_any, segment_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| parse_any(&segment_from(script)));
