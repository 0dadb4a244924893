//! The grammar token by token: the twin of [`super::blocks`], and the way for what that leaves.
//!
//! Two passes: UTF-8 by the standard library, then the grammar by one loop without recursion. A
//! string's ordinary bytes are skipped eight at a time.

use super::MAX_DEPTH;

/// Says what [`super::is_one_line_json`] says.
pub(super) fn is_one_line_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && Walk::at(bytes, 0).document().is_some()
}

/// A place in the bytes. What it passes is checked; `None` means that something is wrong.
pub(super) struct Walk<'a> {
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

impl<'a> Walk<'a> {
    pub(super) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where it has come to.
    pub(super) fn place(&self) -> usize {
        self.at
    }

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
                first => self.scalar(first)?,
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

    /// The rest of a number or literal whose first byte has been read.
    fn scalar(&mut self, first: u8) -> Option<()> {
        match first {
            b't' => self.literal(b"rue"),
            b'f' => self.literal(b"alse"),
            b'n' => self.literal(b"ull"),
            b'-' => {
                let digit = self.next()?;
                self.number(digit)
            }
            digit => self.number(digit),
        }
    }

    /// A number or literal with nothing of the kind behind it.
    pub(super) fn whole_scalar(&mut self) -> Option<()> {
        let first = self.next()?;
        self.scalar(first)?;
        matches!(self.peek()?, b',' | b']' | b'}' | b' ' | b'\t').then_some(())
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

    /// The rest of an escape whose backslash has been read.
    pub(super) fn escape(&mut self) -> Option<()> {
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
