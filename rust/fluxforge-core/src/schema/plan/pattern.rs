//! A text to compare the wire with, in one step where it is short.

/// A text of the wire, mostly a key with its quotes and colon.
#[derive(Debug)]
pub(crate) struct Pattern {
    bytes: Vec<u8>,
    /// Its first 16 bytes, and ones where it has any: most keys are compared in one step.
    head: u128,
    mask: u128,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        let (mut head, mut mask) = ([0; 16], [0; 16]);
        for (index, byte) in bytes.iter().take(16).enumerate() {
            head[index] = *byte;
            mask[index] = 0xff;
        }
        Self {
            bytes,
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
        }
    }

    /// The pattern's length if `text` begins with it.
    #[inline]
    pub(crate) fn length_in(&self, text: &[u8]) -> Option<usize> {
        let length = self.bytes.len();
        let found = match text.first_chunk() {
            Some(chunk) if u128::from_le_bytes(*chunk) & self.mask != self.head => false,
            Some(_) if length <= 16 => true,
            _ => text.starts_with(&self.bytes),
        };
        found.then_some(length)
    }
}
