//! Small numbers in Parquet's hybrid of runs and bit-packed groups, as levels and codes are stored.
//!
//! A run of eight or more equal values is written as such, all else is packed in groups of eight.

/// Equal values from which on a run is shorter than packing them.
const RUN: usize = 8;
const GROUP: usize = 8;

/// Bits that hold every number up to `largest`.
pub(super) fn bit_width(largest: u32) -> u32 {
    u32::BITS - largest.leading_zeros()
}

/// Appends `values`, each of at most `width` bits.
pub(super) fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut packed = 0; // values from here to `at` are not written yet
    let mut at = 0;
    while at < values.len() {
        let run = run_length(&values[at..]);
        // Bit-packed groups are whole, but for the last: a run lends what the one before it lacks.
        let lent = (GROUP - (at - packed) % GROUP) % GROUP;
        if run >= RUN + lent {
            pack(&values[packed..at + lent], width, out);
            repeat(values[at], run - lent, width, out);
            packed = at + run;
        }
        at += run;
    }
    pack(&values[packed..], width, out);
}

fn run_length(values: &[u32]) -> usize {
    let first = values[0];
    values.iter().take_while(|&&value| value == first).count()
}

fn repeat(value: u32, times: usize, width: u32, out: &mut Vec<u8>) {
    varint(times << 1, out);
    let bytes = width.div_ceil(8) as usize;
    out.extend_from_slice(&value.to_le_bytes()[..bytes]);
}

fn pack(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    varint(values.len().div_ceil(GROUP) << 1 | 1, out);
    for group in values.chunks(GROUP) {
        // Eight values of up to 32 bits.
        let mut bits = [0_u8; 32];
        let (mut held, mut count, mut written) = (0_u64, 0, 0);
        for value in group {
            held |= u64::from(*value) << count;
            count += width;
            while count >= 8 {
                bits[written] = held.to_le_bytes()[0];
                held >>= 8;
                count -= 8;
                written += 1;
            }
        }
        if count > 0 {
            bits[written] = held.to_le_bytes()[0];
        }
        out.extend_from_slice(&bits[..width as usize]);
    }
}

fn varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}
