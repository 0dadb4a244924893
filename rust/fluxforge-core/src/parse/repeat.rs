//! A value that is the same as in the row before is not read again: updates of one event share
//! their time.

use super::column::Cell;

/// Bytes of a value's text that are compared: a quoted time in UTC fits.
pub(crate) const TEXT: usize = 33;

/// The last value of a kind, by its text with both quotes.
#[derive(Debug, Default)]
pub(crate) struct Repeat {
    words: [u128; 2],
    masks: [u128; 2],
    /// 0: nothing is remembered.
    length: usize,
    cell: Cell,
}

fn words(text: &[u8; TEXT]) -> [u128; 2] {
    let word = |at: usize| {
        let chunk = text[at..].first_chunk();
        chunk.map_or(0, |chunk| u128::from_le_bytes(*chunk))
    };
    [word(0), word(16)]
}

impl Repeat {
    /// The value and its length, if the text begins with what was remembered.
    #[inline]
    pub(crate) fn recall(&self, text: &[u8; TEXT]) -> Option<(Cell, usize)> {
        let [first, second] = words(text);
        let differs =
            (first & self.masks[0] ^ self.words[0]) | (second & self.masks[1] ^ self.words[1]);
        (differs == 0 && self.length != 0).then_some((self.cell, self.length))
    }

    /// Remembers a value whose text is the first `length` bytes, if it is a string that they hold.
    #[inline]
    pub(crate) fn remember(&mut self, text: &[u8; TEXT], length: usize, cell: Cell) {
        if length > 32 || text[0] != b'"' {
            self.length = 0;
            return;
        }
        let mask = |bytes: usize| match bytes {
            0 => 0,
            1..16 => (1_u128 << (8 * bytes)) - 1,
            _ => u128::MAX,
        };
        self.masks = [mask(length), mask(length.saturating_sub(16))];
        let [first, second] = words(text);
        self.words = [first & self.masks[0], second & self.masks[1]];
        (self.length, self.cell) = (length, cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(of: &str) -> [u8; TEXT] {
        let mut text = [b' '; TEXT];
        text[..of.len()].copy_from_slice(of.as_bytes());
        text
    }

    proptest! {
        #[test]
        fn only_the_same_text_is_recalled(one in "\"[01Z]{0,30}\"", other in "\"[01Z]{0,30}\"") {
            let mut repeat = Repeat::default();
            prop_assert!(repeat.recall(&text(&one)).is_none());
            repeat.remember(&text(&one), one.len(), Cell::Int(7));
            prop_assert_eq!(repeat.recall(&text(&one)).map(|r| r.1), Some(one.len()));
            prop_assert_eq!(repeat.recall(&text(&other)).is_some(), one == other);
        }
    }

    #[test]
    fn what_is_no_short_string_is_not_recalled() {
        let mut repeat = Repeat::default();
        for (of, length) in [("null", 4), ("\"", 33)] {
            repeat.remember(&text(of), length, Cell::Null);
            assert!(repeat.recall(&text(of)).is_none());
        }
    }
}
