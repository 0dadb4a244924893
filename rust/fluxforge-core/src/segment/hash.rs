//! XXH3-64 over a segment's bytes, as they come.

use std::fmt;

/// Streaming XXH3-64.
#[derive(Clone, Default)]
pub struct Xxh3(Box<xxhash_rust::xxh3::Xxh3Default>);

impl Xxh3 {
    /// Over nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on over more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash so far.
    pub fn digest(&self) -> u64 {
        self.0.digest()
    }
}

impl fmt::Debug for Xxh3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xxh3({:016x})", self.digest())
    }
}
