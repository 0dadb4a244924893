//! Says whether a frame's bytes are one JSON value that may stand inside a line as they are.
//!
//! Two passes: UTF-8 by the standard library, then the grammar by one loop without recursion. A
//! string's ordinary bytes are skipped eight at a time; that is where a frame's bytes are.

/// How many arrays and objects may lie in one another: readers with a stack survive that.
pub const MAX_DEPTH: u32 = 100;

/// Says whether the bytes are exactly one JSON value (RFC 8259), in UTF-8, on one line.
///
/// Stricter than the grammar in three places: no line break, not even between tokens; a
/// surrogate escape must be half of a pair, since no reader could make a string of it; and at
/// most [`MAX_DEPTH`] levels.
pub fn is_one_line_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && Grammar { bytes, at: 0 }.document().is_some()
}

struct Grammar<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The innermost open thing, kept as one bit per level.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Array,
    Object,
}

/// Which of the open levels are objects. `MAX_DEPTH` bits and a count, no allocation.
#[derive(Default)]
struct Levels {
    objects: u128,
    depth: u32,
}

impl Levels {
    fn push(&mut self, inside: Inside) -> Option<()> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.objects = self.objects << 1 | u128::from(inside == Inside::Object);
        self.depth += 1;
        Some(())
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    fn innermost(&self) -> Option<Inside> {
        match (self.depth, self.objects & 1) {
            (0, _) => None,
            (_, 1) => Some(Inside::Object),
            _ => Some(Inside::Array),
        }
    }

    /// An empty array or object is a level too.
    fn has_one_left(&self) -> Option<()> {
        (self.depth < MAX_DEPTH).then_some(())
    }
}

impl Grammar<'_> {
    /// `None` anywhere means: not such a value.
    fn document(&mut self) -> Option<()> {
        let mut levels = Levels::default();
        loop {
            self.blanks();
            match self.next()? {
                b'{' => {
                    self.blanks();
                    if self.peek()? != b'}' {
                        levels.push(Inside::Object)?;
                        self.key()?;
                        continue;
                    }
                    self.at += 1;
                    levels.has_one_left()?;
                }
                b'[' => {
                    self.blanks();
                    if self.peek()? != b']' {
                        levels.push(Inside::Array)?;
                        continue;
                    }
                    self.at += 1;
                    levels.has_one_left()?;
                }
                b'"' => self.string()?,
                b't' => self.literal(b"rue")?,
                b'f' => self.literal(b"alse")?,
                b'n' => self.literal(b"ull")?,
                b'-' => {
                    let digit = self.next()?;
                    self.number(digit)?;
                }
                digit => self.number(digit)?,
            }
            // A value has ended: close what it closes, and find out what must come next.
            loop {
                self.blanks();
                let Some(inside) = levels.innermost() else {
                    return (self.at == self.bytes.len()).then_some(());
                };
                match (self.next()?, inside) {
                    (b',', Inside::Array) => break,
                    (b',', Inside::Object) => {
                        self.blanks();
                        self.key()?;
                        break;
                    }
                    (b']', Inside::Array) | (b'}', Inside::Object) => levels.pop(),
                    _ => return None,
                }
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        if self.next()? != b'"' {
            return None;
        }
        self.string()?;
        self.blanks();
        (self.next()? == b':').then_some(())
    }

    /// The rest of a string whose opening quote has been read.
    fn string(&mut self) -> Option<()> {
        loop {
            self.skip_ordinary();
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                0x00..=0x1f => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.hex4()? {
                0xd800..=0xdbff => {
                    self.literal(b"\\u")?;
                    matches!(self.hex4()?, 0xdc00..=0xdfff).then_some(())
                }
                0xdc00..=0xdfff => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = value << 4 | char::from(self.next()?).to_digit(16)?;
        }
        Some(value)
    }

    /// The rest of a number whose first digit has been read.
    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let before = self.at;
        self.digits();
        (self.at > before).then_some(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        self.bytes[self.at..]
            .starts_with(rest)
            .then(|| self.at += rest.len())
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Moves over whole words that hold no quote, no backslash and no control character.
    fn skip_ordinary(&mut self) {
        while let Some(word) = self.bytes[self.at..].first_chunk::<8>() {
            let stop = stops(u64::from_le_bytes(*word));
            if stop != 0 {
                self.at += (stop.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }
}

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Marks the high bit of the first byte that is a quote, a backslash or below 0x20, and maybe of
/// bytes after it (a borrow runs upwards only, so the lowest mark is always true).
fn stops(word: u64) -> u64 {
    let is_zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let quote = is_zero(word ^ (ONES * u64::from(b'"')));
    let backslash = is_zero(word ^ (ONES * u64::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_every_kind_of_value() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-12.5e+10",
            "1E5",
            "\"\"",
            "[]",
            "{}",
            " [ ] ",
            "\t{ } ",
            "[1,2 , 3]",
            r#"{"a":{"b":[{}]},"c":"\u00e9\n\ud83d\ude00"}"#,
            "\"é😀\u{2028}\"",
        ] {
            assert!(is_one_line_json(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_value_or_breaks_the_line() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "tru",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "1e",
            "1e+",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "[}",
            "{]",
            "[",
            "{",
            "]",
            "1 2",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "[1,\n2]",
            "{}\n",
            "\r{}",
            "\"a\nb\"",
            "\"\u{1}\"",
            "\u{feff}{}",
            "NaN",
            "'a'",
            "[1]]",
        ] {
            assert!(!is_one_line_json(text.as_bytes()), "{text:?}");
        }
        assert!(!is_one_line_json(b"\"\xff\""));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_one_line_json(nested(MAX_DEPTH as usize).as_bytes()));
        assert!(!is_one_line_json(nested(MAX_DEPTH as usize + 1).as_bytes()));
        let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        assert!(is_one_line_json(objects(MAX_DEPTH as usize).as_bytes()));
        assert!(!is_one_line_json(
            objects(MAX_DEPTH as usize + 1).as_bytes()
        ));
    }

    fn serde_agrees(bytes: &[u8]) -> bool {
        let one_line = !bytes.iter().any(|b| matches!(b, b'\n' | b'\r'));
        one_line && serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
    }

    proptest! {
        #[test]
        fn agrees_with_serde_on_near_json(text in r#"[\[\]{}:,"\\0-9a-cetrufalsn. \-+\x00\n]{0,24}"#) {
            // serde refuses numbers out of range, which the grammar allows.
            if serde_agrees(text.as_bytes()) {
                prop_assert!(is_one_line_json(text.as_bytes()));
            } else if is_one_line_json(text.as_bytes()) {
                prop_assert!(text.contains(['e', 'E']), "{text:?}");
            }
        }

        #[test]
        fn agrees_with_serde_on_strings_of_any_length(text in r#"[ -~é\x00-\x1f"\\]{0,40}"#) {
            let quoted = format!("\"{text}\"");
            prop_assert_eq!(is_one_line_json(quoted.as_bytes()), serde_agrees(quoted.as_bytes()));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            is_one_line_json(&bytes);
        }
    }
}
