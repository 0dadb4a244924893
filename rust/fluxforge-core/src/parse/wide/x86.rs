//! AVX2 with the bit instructions that came with it, where the machine has them.

use std::arch::x86_64::{
    __m128i, __m256i, _MM_HINT_T1, _mm_add_epi8, _mm_cmpeq_epi8, _mm_cvtsi64_si128,
    _mm_cvtsi128_si64, _mm_loadu_si128, _mm_madd_epi16, _mm_maddubs_epi16, _mm_min_epu8,
    _mm_movemask_epi8, _mm_or_si128, _mm_packus_epi32, _mm_prefetch, _mm_set1_epi8, _mm_setr_epi8,
    _mm_setr_epi16, _mm_shuffle_epi8, _mm_sub_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256,
    _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_testz_si256,
    _mm256_xor_si256,
};

use super::{Decimal, Job, Literal, STEP, Wide};

/// Can only be had where AVX2 and the bit instructions are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        is_there.then_some(Self(()))
    }

    #[inline]
    pub(super) fn run<J: Job>(self, job: J) -> J::Done {
        // SAFETY: an `Avx2` says that this machine has what the function is compiled for.
        unsafe { run(self, job) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run<J: Job>(wide: Avx2, job: J) -> J::Done {
    job.with(wide)
}

/// A bit for each byte that is a quote, a backslash or a control character.
#[inline]
pub(super) fn ends(bytes: &[u8; 16]) -> u32 {
    // SAFETY: all x86_64 have SSE2.
    unsafe { ends_with_sse2(bytes) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn ends_with_sse2(bytes: &[u8; 16]) -> u32 {
    // SAFETY: all 16 bytes are there; they need not be aligned.
    let text = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let is = |byte: u8| _mm_cmpeq_epi8(text, _mm_set1_epi8(byte.cast_signed()));
    let controls = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1f)), text);
    let ends = _mm_or_si128(_mm_or_si128(is(b'"'), is(b'\\')), controls);
    _mm_movemask_epi8(ends).cast_unsigned()
}

#[inline]
pub(super) fn prefetch(bytes: &[u8]) {
    for line in bytes.chunks(64) {
        // SAFETY: all x86_64 can; it changes nothing, whatever the place.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
}

impl Wide for Avx2 {
    #[inline(always)]
    fn begins_with(self, text: &[u8; STEP], literal: &Literal) -> bool {
        // SAFETY: an `Avx2` says that this machine has what the function is compiled for.
        unsafe { begins_with(text, literal) }
    }

    #[inline(always)]
    fn decimal(self, text: &[u8; STEP]) -> Option<Decimal> {
        // SAFETY: as above.
        unsafe { decimal(text) }
    }

    #[inline(always)]
    fn quote(self, word: u64) -> u32 {
        // SAFETY: as above.
        unsafe { quote(word) }
    }

    #[inline(always)]
    fn plain(self, text: &[u8; STEP]) -> Option<usize> {
        // SAFETY: as above.
        unsafe { plain(text) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: all 32 bytes are there; they need not be aligned.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: all 16 bytes are there; they need not be aligned.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn begins_with(text: &[u8; STEP], literal: &Literal) -> bool {
    let differs = _mm256_xor_si256(load(text), load(&literal.bytes));
    _mm256_testz_si256(differs, load(&literal.mask)) == 1
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn plain(text: &[u8; STEP]) -> Option<usize> {
    let text = load(text);
    let is = |byte: u8| _mm256_cmpeq_epi8(text, _mm256_set1_epi8(byte.cast_signed()));
    let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(text, _mm256_set1_epi8(0x1f)), text);
    let quotes = _mm256_movemask_epi8(is(b'"')).cast_unsigned();
    let others = _mm256_or_si256(is(b'\\'), controls);
    let ends = quotes | _mm256_movemask_epi8(others).cast_unsigned();
    let end = ends.trailing_zeros();
    (quotes.checked_shr(end).unwrap_or(0) & 1 == 1).then_some(end as usize)
}

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn quote(word: u64) -> u32 {
    let text = _mm_cvtsi64_si128(word.cast_signed());
    let quotes = _mm_cmpeq_epi8(text, _mm_set1_epi8(b'"'.cast_signed()));
    _mm_movemask_epi8(quotes).trailing_zeros()
}

/// Where the bytes of a text of such a length go so that the last becomes the sixteenth: to each
/// place the one it is taken from, counted from the text's begin; what is negative becomes zero.
const ALIGNED: [[i8; 16]; 16] = {
    let mut table = [[0; 16]; 16];
    let mut length = 0;
    while length < 16 {
        let mut place = 0;
        while place < 16 {
            #[expect(clippy::cast_possible_truncation, reason = "below 32")]
            let from = place as i8 + length as i8 - 16;
            table[length][place] = from;
            place += 1;
        }
        length += 1;
    }
    table
};

/// If the last so many bytes are a point and digits, what is before the digits comes from one byte
/// further in front: the point falls out.
const POINT_OUT: [[i8; 16]; 16] = {
    let mut table = [[0; 16]; 16];
    let mut last = 1;
    while last < 16 {
        let mut place = 0;
        while place < 17 - last {
            table[last][place] = -1;
            place += 1;
        }
        last += 1;
    }
    table
};

#[inline]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn decimal(text: &[u8; STEP]) -> Option<Decimal> {
    let chunk: &[u8; 16] = text.first_chunk()?;
    let digits = _mm_sub_epi8(load_half(chunk), _mm_set1_epi8(b'0'.cast_signed()));
    let is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    // Beyond the sixteenth nothing is a digit.
    let others = !_mm_movemask_epi8(is_digit).cast_unsigned();
    let whole = others.trailing_zeros() as usize;
    let behind = (others & others.wrapping_sub(1)).trailing_zeros() as usize;
    let has_point = text[whole % STEP] == b'.';
    let end = if has_point { behind } else { whole };
    if end <= usize::from(has_point) || *chunk.get(end)? != b'"' {
        return None;
    }
    let from_point = end - whole;
    let from = _mm_add_epi8(row(&ALIGNED, end), row(&POINT_OUT, from_point));
    let digits = _mm_shuffle_epi8(digits, from);
    // Neighbours are joined in three steps, as `swar` does it.
    let tens = _mm_setr_epi8(10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1);
    let hundreds = _mm_setr_epi16(100, 1, 100, 1, 100, 1, 100, 1);
    let ten_thousands = _mm_setr_epi16(10_000, 1, 10_000, 1, 10_000, 1, 10_000, 1);
    let fours = _mm_madd_epi16(_mm_maddubs_epi16(digits, tens), hundreds);
    let eights = _mm_madd_epi16(_mm_packus_epi32(fours, fours), ten_thousands);
    let eights = _mm_cvtsi128_si64(eights).cast_unsigned();
    Some(Decimal {
        negative: false,
        mantissa: (eights & 0xffff_ffff) * 100_000_000 + (eights >> 32),
        fraction: from_point.saturating_sub(1),
        length: end + 1,
    })
}

#[inline]
#[target_feature(enable = "avx2")]
fn row(table: &[[i8; 16]; 16], at: usize) -> __m128i {
    // SAFETY: as in `load_half`; the index is checked.
    unsafe { _mm_loadu_si128(table[at % 16].as_ptr().cast()) }
}
