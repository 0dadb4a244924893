//! XXH3-64 over a segment's bytes, as they come.

use std::fmt;
use std::hash::Hasher as _;

use twox_hash::xxhash3_64::Hasher;

/// Streaming XXH3-64.
#[derive(Clone, Default)]
pub struct Xxh3(Box<Hasher>);

impl Xxh3 {
    /// Over nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on over more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The hash so far.
    pub fn digest(&self) -> u64 {
        self.0.finish()
    }
}

impl fmt::Debug for Xxh3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xxh3({:016x})", self.digest())
    }
}
