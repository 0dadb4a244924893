//! Rows that are read before they go to their partition's columns together, lane by lane: a
//! column's type is asked for once per run of rows, not once per value.

use super::column::Cell;

/// Rows that a stage holds.
pub(crate) const ROWS: usize = 128;

/// The values of one column. What a word means is the column's to say: a float's bits, a whole
/// number, a code, the low half of a decimal, where a text begins.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) words: [u64; ROWS],
    /// The high half of a decimal, where a text ends.
    pub(crate) highs: [u64; ROWS],
    /// A bit per row.
    pub(crate) nulls: u128,
}

impl Lane {
    pub(crate) fn new() -> Self {
        Self {
            words: [0; ROWS],
            highs: [0; ROWS],
            nulls: 0,
        }
    }

    /// Sets a row's value, whatever was there.
    #[inline]
    pub(crate) fn put(&mut self, row: usize, cell: Cell) {
        let (word, high) = cell.words();
        (self.words[row], self.highs[row]) = (word, high);
        let null = u128::from(cell == Cell::Null);
        self.nulls = self.nulls & !(1 << row) | null << row;
    }

    /// Sets a row's value to a decimal.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    #[expect(clippy::cast_sign_loss, reason = "bits")]
    pub(crate) fn put_decimal(&mut self, row: usize, value: i128) {
        self.words[row] = value as u64;
        self.highs[row] = (value >> 64) as u64;
    }

    /// The first rows have gone to their column.
    #[inline]
    pub(crate) fn forget(&mut self, rows: usize) {
        self.nulls &= !first_rows(rows);
    }

    /// Makes a row the first; those before it are gone. Rows taken at once begin at the first, and
    /// all of them stay.
    pub(crate) fn begin_at(&mut self, row: usize) {
        self.words[0] = self.words[row];
        self.highs[0] = self.highs[row];
        self.nulls >>= row;
    }
}

/// A bit for each of so many rows.
#[inline]
pub(crate) fn first_rows(rows: usize) -> u128 {
    match rows {
        0..ROWS => (1 << rows) - 1,
        _ => u128::MAX,
    }
}
