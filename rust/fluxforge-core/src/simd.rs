//! Text in blocks of 64 bytes: which of them are quotes, brackets and so on, one bit each.
//!
//! One of two places with `unsafe` (the parser's `wide` is the other), for two things only: loading a block into registers, and
//! calling what was compiled for instructions that this machine was asked about first. What is
//! found does not depend on the way: [`plain`] says it byte by byte, and the others are held
//! against it.

#[cfg(any(test, feature = "fuzzing", not(target_arch = "x86_64")))]
mod plain;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "loads from pointers, calls after detection; see each SAFETY"
)]
mod x86;

pub(crate) const BLOCK: usize = 64;

/// What stands where in a block. The first byte is the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    pub(crate) quote: u64,
    pub(crate) comma: u64,
    pub(crate) colon: u64,
    /// `{` and `[`.
    pub(crate) open: u64,
    /// `}` and `]`.
    pub(crate) close: u64,
    pub(crate) space: u64,
    /// There is something to be asked of [`Lens::rare`].
    pub(crate) rare: bool,
}

/// What few blocks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rare {
    pub(crate) backslash: u64,
    /// Something is below 0x20.
    pub(crate) is_control: bool,
    pub(crate) is_ascii: bool,
}

/// A way to look at blocks.
pub(crate) trait Lens: Copy {
    fn masks(self, block: &[u8; BLOCK]) -> Masks;

    fn rare(self, block: &[u8; BLOCK]) -> Rare;

    /// For each bit whether it and those below it are odd in number: between quotes, ones from
    /// the opening one up to but excluding the closing one.
    fn odd_below(self, bits: u64) -> u64;
}

/// What is to be done with the best lens that this machine has.
pub(crate) trait Look {
    type Seen;

    /// Must be `inline(always)`: it is compiled anew for each lens, and becomes part of a function
    /// that may use the lens's instructions.
    fn through(self, lens: impl Lens) -> Self::Seen;
}

/// There is a lens for this machine that is faster than reading byte by byte.
pub(crate) const PAYS: bool = cfg!(target_arch = "x86_64");

/// Looks through the best lens.
#[inline]
pub(crate) fn look<L: Look>(job: L) -> L::Seen {
    #[cfg(target_arch = "x86_64")]
    return x86::look(job);
    #[cfg(not(target_arch = "x86_64"))]
    return job.through(plain::Plain);
}

/// The lenses by name, for those who hold them against each other and who measure them.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A byte at a time.
    Plain,
    /// 16 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    Sse2,
    /// 32 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

#[cfg(any(test, feature = "fuzzing"))]
impl Way {
    /// Those that this machine has.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        all.extend(x86::ways());
        all
    }

    /// Looks through this lens.
    #[inline]
    pub(crate) fn look<L: Look>(self, job: L) -> L::Seen {
        match self {
            Self::Plain => job.through(plain::Plain),
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 => x86::look_with(None, job),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::look(job),
        }
    }
}
