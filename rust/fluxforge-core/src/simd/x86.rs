//! `x86_64`: SSE2, which all of them have, and AVX2 where it is found.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_clmulepi64_si128, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_cvtsi128_si64,
    _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_max_epu8, _mm256_min_epi8,
    _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
};

use super::{BLOCK, Lens, Look, Masks, Rare};

/// Can only be had where AVX2, the carry-less product and the bit instructions are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

#[derive(Clone, Copy, Debug)]
struct Sse2;

impl Avx2 {
    #[inline]
    fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("bmi1");
        is_there.then_some(Self(()))
    }
}

#[inline]
pub(super) fn look<L: Look>(job: L) -> L::Seen {
    look_with(Avx2::detect(), job)
}

#[inline]
pub(super) fn look_with<L: Look>(avx2: Option<Avx2>, job: L) -> L::Seen {
    match avx2 {
        // SAFETY: an `Avx2` says that this machine has what the function was compiled for.
        Some(lens) => unsafe { look_with_avx2(job, lens) },
        None => job.through(Sse2),
    }
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn ways() -> impl Iterator<Item = super::Way> {
    use super::Way::{Avx2, Sse2};
    [Sse2].into_iter().chain(self::Avx2::detect().map(|_| Avx2))
}

#[target_feature(enable = "avx2,pclmulqdq,bmi1")]
fn look_with_avx2<L: Look>(job: L, lens: Avx2) -> L::Seen {
    job.through(lens)
}

impl Lens for Avx2 {
    #[inline]
    fn masks(self, block: &[u8; BLOCK]) -> Masks {
        // SAFETY: an `Avx2` says that this machine has what the function was compiled for.
        unsafe { masks_with_avx2(block) }
    }

    #[inline]
    fn rare(self, block: &[u8; BLOCK]) -> Rare {
        // SAFETY: as above.
        unsafe { rare_with_avx2(block) }
    }

    #[inline]
    fn odd_below(self, bits: u64) -> u64 {
        // SAFETY: as above.
        unsafe { odd_below_with_clmul(bits) }
    }
}

#[inline]
#[target_feature(enable = "avx2,pclmulqdq,bmi1")]
fn load_avx2(block: &[u8; BLOCK]) -> [__m256i; 2] {
    // SAFETY: 32 bytes are read from 0 and from 32, all of them in the block; they need not be
    // aligned.
    [0, 32].map(|at| unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) })
}

#[inline]
#[target_feature(enable = "avx2,pclmulqdq,bmi1")]
fn bits_avx2([low, high]: [__m256i; 2]) -> u64 {
    let bits = |half| u64::from(_mm256_movemask_epi8(half).cast_unsigned());
    bits(low) | bits(high) << 32
}

#[inline]
#[target_feature(enable = "avx2,pclmulqdq,bmi1")]
fn equal_avx2(halves: [__m256i; 2], byte: u8) -> [__m256i; 2] {
    halves.map(|half| _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte.cast_signed())))
}

#[inline]
#[target_feature(enable = "avx2,pclmulqdq,bmi1")]
fn masks_with_avx2(block: &[u8; BLOCK]) -> Masks {
    let halves = load_avx2(block);
    // Brackets differ from braces in this bit alone, and nothing else becomes either by it.
    let braces = halves.map(|half| _mm256_or_si256(half, _mm256_set1_epi8(0x20)));
    let [a, b] = equal_avx2(halves, b'\\');
    // As signed numbers what is not ASCII is below 0x20 too.
    let least = _mm256_min_epi8(halves[0], halves[1]);
    let below = _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), least);
    let rare = _mm256_or_si256(_mm256_or_si256(a, b), below);
    Masks {
        quote: bits_avx2(equal_avx2(halves, b'"')),
        comma: bits_avx2(equal_avx2(halves, b',')),
        colon: bits_avx2(equal_avx2(halves, b':')),
        open: bits_avx2(equal_avx2(braces, b'{')),
        close: bits_avx2(equal_avx2(braces, b'}')),
        space: bits_avx2(equal_avx2(halves, b' ')),
        rare: _mm256_movemask_epi8(rare) != 0,
    }
}

#[inline]
#[target_feature(enable = "avx2,pclmulqdq,bmi1")]
fn rare_with_avx2(block: &[u8; BLOCK]) -> Rare {
    let halves = load_avx2(block);
    let least = _mm256_min_epu8(halves[0], halves[1]);
    let no_control = _mm256_cmpeq_epi8(_mm256_max_epu8(least, _mm256_set1_epi8(0x20)), least);
    Rare {
        backslash: bits_avx2(equal_avx2(halves, b'\\')),
        is_control: _mm256_movemask_epi8(no_control) != !0,
        is_ascii: bits_avx2(halves) == 0,
    }
}

/// Times all ones without carries: each bit of the product is the sum of the bits up to it.
#[inline]
#[target_feature(enable = "avx2,pclmulqdq,bmi1")]
fn odd_below_with_clmul(bits: u64) -> u64 {
    let bits = _mm_set_epi64x(0, bits.cast_signed());
    let product = _mm_clmulepi64_si128::<0>(bits, _mm_set1_epi8(-1));
    _mm_cvtsi128_si64(product).cast_unsigned()
}

impl Lens for Sse2 {
    #[inline]
    fn masks(self, block: &[u8; BLOCK]) -> Masks {
        // SAFETY: every x86_64 has SSE2.
        unsafe { masks_with_sse2(block) }
    }

    #[inline]
    fn rare(self, block: &[u8; BLOCK]) -> Rare {
        // SAFETY: as above.
        unsafe { rare_with_sse2(block) }
    }

    #[inline]
    fn odd_below(self, bits: u64) -> u64 {
        [1, 2, 4, 8, 16, 32]
            .into_iter()
            .fold(bits, |bits, by| bits ^ bits << by)
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_sse2(block: &[u8; BLOCK]) -> [__m128i; 4] {
    // SAFETY: 16 bytes are read from each of four places, all of them in the block; they need not
    // be aligned.
    [0, 16, 32, 48].map(|at| unsafe { _mm_loadu_si128(block.as_ptr().add(at).cast()) })
}

#[inline]
#[target_feature(enable = "sse2")]
fn bits_sse2(quarters: [__m128i; 4]) -> u64 {
    let bits = quarters.map(|quarter| u64::from(_mm_movemask_epi8(quarter).cast_unsigned()));
    bits[0] | bits[1] << 16 | bits[2] << 32 | bits[3] << 48
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal_sse2(quarters: [__m128i; 4], byte: u8) -> [__m128i; 4] {
    quarters.map(|quarter| _mm_cmpeq_epi8(quarter, _mm_set1_epi8(byte.cast_signed())))
}

#[inline]
#[target_feature(enable = "sse2")]
fn masks_with_sse2(block: &[u8; BLOCK]) -> Masks {
    let quarters = load_sse2(block);
    let braces = quarters.map(|quarter| _mm_or_si128(quarter, _mm_set1_epi8(0x20)));
    let [a, b, c, d] = quarters.map(|quarter| {
        let slash = _mm_cmpeq_epi8(quarter, _mm_set1_epi8(b'\\'.cast_signed()));
        _mm_or_si128(slash, _mm_cmplt_epi8(quarter, _mm_set1_epi8(0x20)))
    });
    let rare = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
    Masks {
        quote: bits_sse2(equal_sse2(quarters, b'"')),
        comma: bits_sse2(equal_sse2(quarters, b',')),
        colon: bits_sse2(equal_sse2(quarters, b':')),
        open: bits_sse2(equal_sse2(braces, b'{')),
        close: bits_sse2(equal_sse2(braces, b'}')),
        space: bits_sse2(equal_sse2(quarters, b' ')),
        rare: _mm_movemask_epi8(rare) != 0,
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn rare_with_sse2(block: &[u8; BLOCK]) -> Rare {
    let quarters = load_sse2(block);
    let not_ascii = bits_sse2(quarters);
    let below = bits_sse2(quarters.map(|quarter| _mm_cmplt_epi8(quarter, _mm_set1_epi8(0x20))));
    Rare {
        backslash: bits_sse2(equal_sse2(quarters, b'\\')),
        is_control: below & !not_ascii != 0,
        is_ascii: not_ascii == 0,
    }
}
