//! Texts that repeat, numbered in the order of their first appearance.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::StringArray;

/// Texts compared one by one before a hash is worth it.
const FEW: usize = 4;

/// A column's or the connections' distinct texts.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    values: Vec<Box<str>>,
    codes: HashMap<Box<str>, i32>,
    last: i32,
    recent: Recent,
}

/// Short texts as words, each in one place that it shares with others: bid and offer, buy and sell
/// are found without a comparison that the processor would have to guess.
#[derive(Debug)]
struct Recent([(u64, i32); 16]);

/// No text: it would not be UTF-8.
const NO_TEXT: u64 = u64::MAX;

impl Default for Recent {
    fn default() -> Self {
        Self([(NO_TEXT, 0); 16])
    }
}

impl Recent {
    #[inline]
    fn place(word: u64) -> usize {
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as usize
    }
}

impl Dictionary {
    /// The number of a short text that came lately, by its word of [`super::swar::short_text`].
    #[inline]
    pub(crate) fn recall(&self, word: u64) -> Option<i32> {
        let (known, code) = self.recent.0[Recent::place(word)];
        (known == word).then_some(code)
    }

    /// Lets [`Self::recall`] find a text that has just been interned.
    pub(crate) fn remember(&mut self, word: u64, code: i32) {
        self.recent.0[Recent::place(word)] = (word, code);
    }

    /// The text's number; the second value says whether it is new.
    #[inline]
    pub(crate) fn intern(&mut self, text: &[u8]) -> Option<(i32, bool)> {
        // Neighbouring rows mostly repeat: one comparison instead of a hash.
        let last = usize::try_from(self.last).ok()?;
        if self.values.get(last).is_some_and(|v| v.as_bytes() == text) {
            return Some((self.last, false));
        }
        // Else it is mostly one of few: bid and offer, buy and sell.
        for (code, value) in (0..).zip(self.values.iter().take(FEW)) {
            if value.as_bytes() == text {
                self.last = code;
                return Some((code, false));
            }
        }
        self.look_up(text)
    }

    fn look_up(&mut self, text: &[u8]) -> Option<(i32, bool)> {
        let text = std::str::from_utf8(text).ok()?;
        let known = self.codes.get(text).copied();
        let code = match known {
            Some(code) => code,
            None => i32::try_from(self.values.len()).ok()?,
        };
        if known.is_none() {
            self.values.push(text.into());
            self.codes.insert(text.into(), code);
        }
        self.last = code;
        Some((code, known.is_none()))
    }

    /// Forgets the text that was interned last: its frame is rejected.
    pub(crate) fn forget_last(&mut self) {
        self.recent = Recent::default();
        if let Some(text) = self.values.pop() {
            self.codes.remove(&text);
        }
    }

    /// The number of a text that has one.
    pub(crate) fn code_of(&self, text: &str) -> i32 {
        self.codes.get(text).copied().unwrap_or_default()
    }

    pub(crate) fn values(&self) -> &[Box<str>] {
        &self.values
    }

    pub(crate) fn to_array(&self) -> Arc<StringArray> {
        Arc::new(StringArray::from_iter_values(&self.values))
    }
}
