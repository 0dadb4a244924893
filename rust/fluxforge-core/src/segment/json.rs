//! Says whether a frame's bytes are one JSON value that may stand inside a line as they are.
//!
//! Two ways to one verdict: [`blocks`] looks at 64 bytes at once, and [`walk`] takes what that
//! leaves, token by token.

mod blocks;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
mod walk;

use crate::simd;
use blocks::{Blocks, Verdict};

/// How many arrays and objects may lie in one another: readers with a stack survive that.
pub const MAX_DEPTH: u32 = 100;

/// Says whether the bytes are exactly one JSON value (RFC 8259), in UTF-8, on one line.
///
/// Stricter than the grammar in three places: no line break, not even between tokens; a
/// surrogate escape must be half of a pair, since no reader could make a string of it; and at
/// most [`MAX_DEPTH`] levels.
pub fn is_one_line_json(bytes: &[u8]) -> bool {
    if simd::PAYS {
        decide(bytes, simd::look(Blocks(bytes)))
    } else {
        walk::is_one_line_json(bytes)
    }
}

fn decide(bytes: &[u8], verdict: Verdict) -> bool {
    match verdict {
        Verdict::Yes => true,
        Verdict::YesIfUtf8 => std::str::from_utf8(bytes).is_ok(),
        Verdict::No => false,
        Verdict::Unclear | Verdict::Blank => walk::is_one_line_json(bytes),
    }
}
