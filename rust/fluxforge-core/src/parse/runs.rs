//! Runs: rows of one frame that follow each other into one partition. What they have in common is
//! kept once, and becomes a value per row when the partition is finished, in columns of just the
//! right length.

/// What the rows of a run have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) rows: u32,
    /// The number of the first one in its frame.
    pub(crate) first: u32,
    pub(crate) capture_ns: i64,
    pub(crate) conn: i32,
    pub(crate) record: u32,
}

/// Rows that are written in one go. Most runs are shorter: for those it takes no loop.
const WIDE: usize = 16;

/// For each run its value, as often as it has rows.
pub(crate) fn expanded<T: Copy + Default>(
    runs: &[Run],
    rows: usize,
    values: impl Iterator<Item = T>,
) -> Vec<T> {
    spread(runs, rows, values, |value, _| value)
}

/// The number of each row in its frame.
pub(crate) fn items(runs: &[Run], rows: usize) -> Vec<u32> {
    // A run is far shorter than 2^32 rows.
    #[expect(clippy::cast_possible_truncation, reason = "see above")]
    let item = |first: u32, place: usize| first.wrapping_add(place as u32);
    spread(runs, rows, runs.iter().map(|run| run.first), item)
}

#[inline]
fn spread<T: Copy + Default>(
    runs: &[Run],
    rows: usize,
    values: impl Iterator<Item = T>,
    of_row: impl Fn(T, usize) -> T,
) -> Vec<T> {
    let mut column = vec![T::default(); rows];
    let mut rest = &mut column[..];
    for (run, value) in runs.iter().zip(values) {
        let rows = run.rows as usize;
        // What is written too far is overwritten by the runs behind.
        if let (true, Some(wide)) = (rows <= WIDE, rest.first_chunk_mut::<WIDE>()) {
            *wide = std::array::from_fn(|place| of_row(value, place));
        } else {
            let run = rest[..rows].iter_mut().enumerate();
            run.for_each(|(place, to)| *to = of_row(value, place));
        }
        rest = &mut rest[rows..];
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_row_has_what_its_run_has(lengths in prop::collection::vec(0_u32..50, 0..20)) {
            let run = |(place, rows): (u32, &u32)| Run {
                rows: *rows,
                first: 100 * place,
                capture_ns: 0,
                conn: 0,
                record: 0,
            };
            let runs: Vec<Run> = (0..).zip(&lengths).map(run).collect();
            let rows = lengths.iter().sum::<u32>() as usize;
            let places: Vec<u32> = (0..).zip(&lengths).flat_map(|(p, n)| vec![p; *n as usize]).collect();
            prop_assert_eq!(expanded(&runs, rows, 0_u32..), places);
            let numbers = runs.iter().flat_map(|run| (0..run.rows).map(|item| run.first + item));
            prop_assert_eq!(items(&runs, rows), numbers.collect::<Vec<_>>());
        }
    }
}
