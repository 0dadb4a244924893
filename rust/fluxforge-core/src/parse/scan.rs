//! A cursor over JSON that validates all it passes, also what it skips.
//!
//! The bytes are valid UTF-8 already (whole groups are checked at once). Objects and arrays nest
//! at most [`MAX_DEPTH`] deep. Nothing here recurses or allocates.

use super::fault::Fault;
use super::number::{Grammar, Number};
use super::wide::plain_run;

/// Levels of objects and arrays inside each other: one bit each in [`Scanner::skip_value`].
pub(crate) const MAX_DEPTH: u32 = 128;

/// A string as it stands on the wire, without its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) escaped: bool,
}

/// A position in a JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    pos: usize,
    /// Where the text ends; bytes beyond are there for steps wider than what is left of it.
    end: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self::within(bytes, bytes.len())
    }

    /// Over the first `end` bytes. The one that follows must be a line break.
    pub(crate) fn within(bytes: &'a [u8], end: usize) -> Self {
        Self { bytes, pos: 0, end }
    }

    /// The same text from another place.
    pub(crate) fn at(&self, pos: usize) -> Self {
        Self { pos, ..*self }
    }

    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    pub(crate) fn advance(&mut self, by: usize) {
        self.pos += by;
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.pos..self.end]
    }

    /// All bytes, those beyond the end too, and the place in them.
    pub(crate) fn whole(&self) -> (&'a [u8], usize) {
        (self.bytes, self.pos)
    }

    /// The next bytes, some of which may lie beyond the end. `None` near the end of all bytes.
    #[inline]
    pub(crate) fn ahead<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.bytes.get(self.pos..)?.first_chunk()
    }

    /// The next byte; 0, which no JSON text can hold, at the end.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        if self.pos < self.end {
            self.bytes[self.pos]
        } else {
            0
        }
    }

    #[inline]
    pub(crate) fn whitespace(&mut self) {
        // One comparison where there is none, which is nearly everywhere.
        if self.peek() <= b' ' {
            self.pass_whitespace();
        }
    }

    #[cold]
    fn pass_whitespace(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.pos += 1;
        }
    }

    /// Takes the literal if it stands right here.
    #[inline]
    pub(crate) fn take(&mut self, literal: &[u8]) -> bool {
        let found = self.rest().starts_with(literal);
        if found {
            self.pos += literal.len();
        }
        found
    }

    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, what: &str) -> Result<(), Fault> {
        self.whitespace();
        if self.peek() == byte {
            self.pos += 1;
            return Ok(());
        }
        Err(self.fault(what))
    }

    #[cold]
    pub(crate) fn fault(&self, expected: &str) -> Fault {
        Fault::syntax(expected, self.pos)
    }

    /// Opens an object or array; false if it is empty and closed again.
    #[inline]
    pub(crate) fn open(&mut self, open: u8, close: u8, what: &str) -> Result<bool, Fault> {
        if self.peek() != open {
            self.whitespace();
            if self.peek() != open {
                return Err(self.fault(what));
            }
        }
        self.pos += 1;
        self.whitespace();
        if self.peek() == close {
            self.pos += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// After an element: true if another follows, false if this closed the object or array.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, Fault> {
        if self.peek() == b',' {
            self.pos += 1;
            return Ok(true);
        }
        self.whitespace();
        let byte = self.peek();
        if byte == b',' || byte == close {
            self.pos += 1;
            return Ok(byte == b',');
        }
        Err(self.fault("a comma or the end"))
    }

    /// After white space: `null` is taken and true.
    #[inline]
    pub(crate) fn null(&mut self) -> bool {
        self.whitespace();
        self.peek() == b'n' && self.take(b"null")
    }

    /// Reads a string. White space before it is fine.
    #[inline]
    pub(crate) fn string(&mut self, what: &str) -> Result<Text<'a>, Fault> {
        if self.peek() != b'"' {
            self.expect(b'"', what)?;
            self.pos -= 1;
        }
        let start = self.pos + 1;
        // Beyond the end stands a line break, if anything: there it stops.
        let run = plain_run(self.bytes.get(start..).unwrap_or_default());
        self.pos = start + run;
        if self.peek() == b'"' {
            self.pos += 1;
            let raw = &self.bytes[start..start + run];
            return Ok(Text {
                raw,
                escaped: false,
            });
        }
        self.rest_of_string(start)
    }

    fn rest_of_string(&mut self, start: usize) -> Result<Text<'a>, Fault> {
        let mut escaped = false;
        loop {
            self.pos += plain_run(self.rest());
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.fault("the string's end, not a control character,")),
            }
        }
        let raw = &self.bytes[start..self.pos];
        self.pos += 1;
        Ok(Text { raw, escaped })
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let length = match self.rest().get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let hex = self.rest().get(2..6);
                if !hex.is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.fault("an escape of four hex digits"));
                }
                6
            }
            _ => return Err(self.fault("a known escape")),
        };
        self.pos += length;
        Ok(())
    }

    /// Reads a key and its colon.
    pub(crate) fn key(&mut self) -> Result<Text<'a>, Fault> {
        let key = self.string("a key")?;
        self.expect(b':', "a colon")?;
        Ok(key)
    }

    /// Reads a JSON number.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>, Fault> {
        match Number::prefix(self.rest(), Grammar::Json) {
            Some((number, length)) => {
                self.pos += length;
                Ok(number)
            }
            None => Err(self.fault("a number")),
        }
    }

    /// Passes any value and returns its text.
    #[inline]
    pub(crate) fn skip_value(&mut self) -> Result<&'a [u8], Fault> {
        self.whitespace();
        let start = self.pos;
        match self.peek() {
            b'{' | b'[' => self.skip_nested()?,
            _ => self.skip_scalar()?,
        }
        Ok(&self.bytes[start..self.pos])
    }

    fn skip_nested(&mut self) -> Result<(), Fault> {
        // One bit per open level, the innermost lowest: 1 for an object, 0 for an array.
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            self.whitespace();
            let opened = match self.peek() {
                b'{' => Some((b'}', 1)),
                b'[' => Some((b']', 0)),
                _ => None,
            };
            if let Some((close, bit)) = opened {
                if depth == MAX_DEPTH {
                    return Err(Fault::new("nested more than 128 levels deep"));
                }
                if self.open(self.peek(), close, "")? {
                    objects = objects << 1 | bit;
                    depth += 1;
                    if bit == 1 {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.skip_scalar()?;
            }
            // A value has ended: so may have those around it.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let in_object = objects & 1 == 1;
                if self.more(if in_object { b'}' } else { b']' })? {
                    if in_object {
                        self.key()?;
                    }
                    break;
                }
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    fn skip_scalar(&mut self) -> Result<(), Fault> {
        let known = match self.peek() {
            b'"' => return self.string("").map(|_| ()),
            b't' => self.take(b"true"),
            b'f' => self.take(b"false"),
            b'n' => self.take(b"null"),
            _ => return self.number().map(|_| ()),
        };
        if known {
            Ok(())
        } else {
            Err(self.fault("a value"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn valid(text: &str) -> bool {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.skip_value().is_ok() && {
            scanner.whitespace();
            scanner.pos() == text.len()
        }
    }

    #[test]
    fn what_is_json_passes() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "{\"a\":1}",
            "[1,-0,0.5,1e9,1E-9,1.25e+3]",
            "null",
            "true",
            "\"\\u00e9\\n\\/\"",
            "[[[{\"a\":[{}]}]]]",
            "\t{\"a\" : [ 1 , 2 ] }\r",
            "\"é💡\"",
            "\"\\ud800\"",
        ] {
            assert!(valid(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_does_not() {
        for text in [
            "",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "tru",
            "nulll",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u123",
            "\"a\nb\"",
            "\"a",
            "[\"\\\"]",
            "{\"a\":}",
            "[,1]",
            "{,}",
            "NaN",
            "'a'",
            "[1]]",
            "\"\0\"",
            "\"\\",
        ] {
            assert!(!valid(text), "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(valid(&nested(128)));
        assert!(!valid(&nested(129)));
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json(text in "[\\[\\]{},:\"\\\\0-9a-e.+ ntrufalse-]{0,24}") {
            // serde_json refuses what overflows a float, which is no question of grammar.
            let oracle = match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                Ok(_) => true,
                Err(e) => e.to_string().contains("out of range"),
            };
            prop_assert_eq!(valid(&text), oracle, "{}", text);
        }
    }
}
