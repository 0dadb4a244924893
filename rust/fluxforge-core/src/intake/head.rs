//! The envelope's own number and channel, and no others.
//!
//! Venues write both before anything long, so a frame is left after its first hundred bytes. Where
//! an array comes before the number, the frame's end is looked at next; only if the number is not
//! the last member either, the array is passed over, value by value. A key inside a string or in a
//! nested object is never taken for the envelope's.

use crate::parse::number::{Grammar, Number};
use crate::parse::scan::{Scanner, Text};

/// The key whose number counts a connection's frames.
const SEQUENCE: &[u8] = b"sequence_num";
const CHANNEL: &[u8] = b"channel";

/// What of a frame's head matters here. Of a key that occurs twice, either may be taken.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) channel: Option<Text<'a>>,
    pub(super) sequence: Option<i64>,
}

impl<'a> Head<'a> {
    /// Reads as much of a frame as it takes. What is no JSON object has neither.
    #[inline]
    pub(super) fn read(frame: &'a [u8]) -> Self {
        let mut head = Self::default();
        // The parser too takes the number of a frame that turns out to be broken behind it.
        let _ = head.fill(frame);
        head
    }

    #[inline]
    fn fill(&mut self, frame: &'a [u8]) -> Option<()> {
        let mut scanner = Scanner::new(frame);
        let mut more = scanner.open(b'{', b'}', "").ok()?;
        while more {
            let key = scanner.key().ok()?;
            scanner.whitespace();
            let next = scanner.peek();
            if is(key, CHANNEL) && next == b'"' {
                self.channel = Some(scanner.string("").ok()?);
            } else if is(key, SEQUENCE) {
                self.sequence = whole(scanner.skip_value().ok()?);
            } else if self.sequence.is_none() && matches!(next, b'[' | b'{') {
                self.sequence = last_member(frame);
                if self.is_whole() {
                    return None;
                }
                scanner.skip_value().ok()?;
            } else {
                scanner.skip_value().ok()?;
            }
            if self.is_whole() {
                return None;
            }
            more = scanner.more(b'}').ok()?;
        }
        None
    }

    fn is_whole(&self) -> bool {
        self.channel.is_some() && self.sequence.is_some()
    }
}

/// Says whether a key is this one, also when it is written with escapes.
#[inline]
fn is(key: Text<'_>, name: &[u8]) -> bool {
    if key.escaped {
        return key.decode(&mut Vec::new()).is_ok_and(|key| key == name);
    }
    key.raw == name
}

/// A number, or a string that holds one, as the parser reads it.
#[inline]
fn whole(value: &[u8]) -> Option<i64> {
    let number = match value {
        [b'"', text @ .., b'"'] => Number::parse(text, Grammar::Text),
        _ => Number::parse(value, Grammar::Json),
    };
    number?.to_i64()
}

/// The number, if it is the last member of an object that ends with the frame.
///
/// Right for every frame that is JSON: what ends in digits and a brace ends in a number and the
/// outermost object, and a quote without a backslash before it begins a key or ends one.
#[cold]
fn last_member(frame: &[u8]) -> Option<i64> {
    let body = frame.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let digits = body
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (before, number) = body.split_at(body.len() - digits);
    let (before, minus) = match before.strip_suffix(b"-") {
        Some(before) => (before, 1),
        None => (before, 0),
    };
    let key = before.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let before = key
        .strip_suffix(b"\"")?
        .strip_suffix(SEQUENCE)?
        .strip_suffix(b"\"")?;
    if before.ends_with(b"\\") {
        return None;
    }
    whole(&body[body.len() - number.len() - minus..])
}
