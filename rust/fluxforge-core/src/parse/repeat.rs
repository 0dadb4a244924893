//! A value that is the same as in the row before is not read again: updates of one event share
//! their time.

use super::column::Cell;
use super::wide::{Literal, STEP, Wide};

/// The last whole number, or null, by its text behind the opening quote, with the closing one.
#[derive(Debug, Default)]
pub(crate) struct Repeat(Option<(Literal, Option<i64>)>);

impl Repeat {
    /// The value and its length, if the text begins with what was remembered.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "part of a job: see `wide`")]
    pub(crate) fn recall(
        &self,
        wide: impl Wide,
        text: &[u8; STEP],
    ) -> Option<(Option<i64>, usize)> {
        let (literal, value) = self.0.as_ref()?;
        wide.begins_with(text, literal)
            .then(|| (*value, literal.length()))
    }

    /// Remembers a value by its text, if that is a string and short.
    pub(crate) fn remember(&mut self, text: &[u8], cell: Cell) {
        let value = match cell {
            Cell::Int(value) => Some(value),
            _ => None,
        };
        let text = text.strip_prefix(b"\"");
        let literal = text.and_then(Literal::new);
        self.0 = literal.map(|literal| (literal, value));
    }
}

#[cfg(test)]
mod tests {
    use super::super::wide::Scalar;
    use super::*;
    use proptest::prelude::*;

    fn text(of: &str) -> [u8; STEP] {
        let mut text = [b' '; STEP];
        text[..of.len() - 1].copy_from_slice(&of.as_bytes()[1..]);
        text
    }

    proptest! {
        #[test]
        fn only_the_same_text_is_recalled(one in "\"[01Z]{0,30}\"", other in "\"[01Z]{0,30}\"") {
            let mut repeat = Repeat::default();
            prop_assert!(repeat.recall(Scalar, &text(&one)).is_none());
            repeat.remember(one.as_bytes(), Cell::Int(7));
            let recalled = repeat.recall(Scalar, &text(&one));
            prop_assert_eq!(recalled.map(|r| r.1), Some(one.len() - 1));
            prop_assert_eq!(repeat.recall(Scalar, &text(&other)).is_some(), one == other);
        }
    }

    #[test]
    fn what_is_no_short_string_is_not_recalled() {
        let mut repeat = Repeat::default();
        for of in [&b"null"[..], &[b'"'; 34]] {
            repeat.remember(of, Cell::Null);
            assert!(repeat.recall(Scalar, &[b'"'; STEP]).is_none());
        }
    }
}
