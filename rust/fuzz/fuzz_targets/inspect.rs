#![no_main]

use fluxforge_core::fuzzing::{inspect_any, segment_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| inspect_any(&segment_from(script)));
