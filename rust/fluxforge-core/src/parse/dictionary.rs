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
}

impl Dictionary {
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
        if let Some(text) = self.values.pop() {
            self.codes.remove(&text);
        }
    }

    pub(crate) fn values(&self) -> &[Box<str>] {
        &self.values
    }

    pub(crate) fn to_array(&self) -> Arc<StringArray> {
        Arc::new(StringArray::from_iter_values(&self.values))
    }
}
