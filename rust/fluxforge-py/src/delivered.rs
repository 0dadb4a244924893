//! When rows of a partition were captured: first of each kind, or all of one kind.
//!
//! Coverage asks this of every partition, so it goes by codes, without making a row or a word.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::table::Partition;

/// The distinct values of columns of words, none where null, and the earliest capture of each.
#[pyfunction]
#[pyo3(signature = (partition, *, by))]
#[expect(clippy::needless_pass_by_value, reason = "made from Python's values")]
pub(crate) fn first_captures(
    py: Python<'_>,
    partition: Py<Partition>,
    by: Vec<String>,
) -> PyResult<Vec<(Vec<Option<String>>, i64)>> {
    py.detach(|| {
        let rows = &partition.get().0.rows;
        let columns: Vec<Words<'_>> = by
            .iter()
            .map(|name| Words::of(rows, name))
            .collect::<PyResult<_>>()?;
        let mut found: Vec<(Vec<i32>, i64)> = Vec::new();
        let mut places: HashMap<Vec<i32>, usize> = HashMap::new();
        for (row, &capture_ns) in captures(rows)?.iter().enumerate() {
            let codes = columns.iter().map(|column| column.codes[row]);
            // Rows of one kind mostly follow each other.
            let same = found
                .last()
                .is_some_and(|(last, _)| codes.clone().eq(last.iter().copied()));
            let place = if same {
                found.len() - 1
            } else {
                let codes: Vec<i32> = codes.collect();
                *places.entry(codes).or_insert_with_key(|codes| {
                    found.push((codes.clone(), capture_ns));
                    found.len() - 1
                })
            };
            found[place].1 = found[place].1.min(capture_ns);
        }
        let words = |codes: Vec<i32>| {
            codes
                .iter()
                .zip(&columns)
                .map(|(c, w)| w.word(*c))
                .collect()
        };
        Ok(found
            .into_iter()
            .map(|(codes, ns)| (words(codes), ns))
            .collect())
    })
}

/// Connection and capture of each frame whose rows have a word in a column, in order.
#[pyfunction]
#[pyo3(signature = (partition, *, column, word))]
#[expect(clippy::needless_pass_by_value, reason = "made from Python's values")]
pub(crate) fn captures_with(
    py: Python<'_>,
    partition: Py<Partition>,
    column: &str,
    word: &str,
) -> PyResult<Vec<(String, i64)>> {
    py.detach(|| {
        let rows = &partition.get().0.rows;
        let (kinds, conns) = (Words::of(rows, column)?, Words::of(rows, "conn")?);
        let Some(wanted) = kinds.words.iter().position(|known| *known == word) else {
            return Ok(Vec::new());
        };
        let wanted = i32::try_from(wanted).unwrap_or(i32::MAX);
        let captures = captures(rows)?;
        let mut found: Vec<(i32, i64)> = Vec::new();
        for (row, kind) in kinds.codes.iter().enumerate() {
            let frame = (conns.codes[row], captures[row]);
            if *kind == wanted && found.last() != Some(&frame) {
                found.push(frame);
            }
        }
        let named = found.into_iter();
        Ok(named
            .map(|(conn, ns)| (conns.word(conn).unwrap_or_default(), ns))
            .collect())
    })
}

/// A column as codes into its words; a negative code is null.
struct Words<'a> {
    codes: Cow<'a, [i32]>,
    words: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn of(rows: &'a RecordBatch, name: &str) -> PyResult<Self> {
        let column = rows.column_by_name(name);
        if let Some(column) = column.and_then(|c| c.as_dictionary_opt::<Int32Type>()) {
            let words = column.values().as_string::<i32>().iter();
            return Ok(Self {
                codes: if column.null_count() == 0 {
                    Cow::Borrowed(column.keys().values())
                } else {
                    column
                        .keys()
                        .iter()
                        .map(|code| code.unwrap_or(-1))
                        .collect()
                },
                words: words.map(Option::unwrap_or_default).collect(),
            });
        }
        let Some(column) = column.and_then(|c| c.as_string_opt::<i32>()) else {
            let message = format!("there is no column of words {name:?}");
            return Err(PyValueError::new_err(message));
        };
        let mut words = Vec::new();
        let mut known: HashMap<&str, i32> = HashMap::new();
        let mut code = |word: &'a str| {
            *known.entry(word).or_insert_with(|| {
                words.push(word);
                i32::try_from(words.len()).unwrap_or(i32::MAX) - 1
            })
        };
        let codes = column
            .iter()
            .map(|word| word.map_or(-1, &mut code))
            .collect();
        Ok(Self { codes, words })
    }

    fn word(&self, code: i32) -> Option<String> {
        let place = usize::try_from(code).ok()?;
        self.words.get(place).map(|&word| word.to_owned())
    }
}

fn captures(rows: &RecordBatch) -> PyResult<&[i64]> {
    rows.column_by_name("capture_ts")
        .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>())
        .map(|column| &**column.values())
        .ok_or_else(|| PyValueError::new_err("there is no column capture_ts"))
}
