//! Parts read back by the crate's own reader; other readers are asked in Python.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Float64Array, StringArray, UInt32Array};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use proptest::prelude::*;

use super::*;

type Row = (Option<&'static str>, Option<u8>, u8);

fn batch(rows: &[Row]) -> RecordBatch {
    let names: DictionaryArray<Int32Type> = rows.iter().map(|row| row.0).collect();
    let prices: Float64Array = rows.iter().map(|row| row.1.map(f64::from)).collect();
    let texts: StringArray = rows.iter().map(|row| Some(row.2.to_string())).collect();
    let records: UInt32Array = rows
        .iter()
        .map(|row| Some(u32::MAX - u32::from(row.2)))
        .collect();
    RecordBatch::try_from_iter_with_nullable([
        ("name", Arc::new(names) as ArrayRef, true),
        ("price", Arc::new(prices), true),
        ("text", Arc::new(texts), false),
        ("record", Arc::new(records), false),
    ])
    .unwrap()
}

fn properties(compression: &str, rows_per_group: usize) -> Properties {
    Properties {
        compression: codec(compression, None).unwrap(),
        rows_per_group,
        timestamp_unit: TimeUnit::Nanosecond,
        statistics: vec!["record".into()],
    }
}

fn encoded(batches: &[RecordBatch], properties: &Properties, threads: usize) -> Vec<Part> {
    let footer = vec![("key".to_owned(), "value".to_owned())];
    let rows: Vec<Rows<'_>> = batches
        .iter()
        .map(|batch| Rows {
            batch,
            footer: footer.clone(),
        })
        .collect();
    encode_all(&rows, properties, threads).unwrap()
}

fn read_back(part: Part) -> Vec<(Field, Field, Field, Field)> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(part.data)).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let mut fields = row
            .unwrap()
            .into_columns()
            .into_iter()
            .map(|(_, field)| field);
        let mut next = || fields.next().unwrap();
        (next(), next(), next(), next())
    });
    rows.collect()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Runs of values and nulls beside values that change: both ways of storing codes and levels.
    let names = prop::sample::select(vec![None, Some(""), Some("bid"), Some("offer"), Some("é")]);
    let row = (names, prop::option::of(0_u8..3), any::<u8>());
    prop::collection::vec((row, 1_usize..30), 0..40).prop_map(|runs| {
        let runs = runs.into_iter();
        runs.flat_map(|(row, times)| std::iter::repeat_n(row, times))
            .collect()
    })
}

proptest! {
    #[test]
    fn rows_read_back_as_they_were(
        rows in rows(),
        group in 1_usize..200,
        compression in prop::sample::select(vec!["none", "snappy", "lz4", "gzip"]),
    ) {
        let mut parts = encoded(&[batch(&rows)], &properties(compression, group), 1);
        let read = read_back(parts.remove(0));
        let sent: Vec<_> = rows
            .iter()
            .map(|(name, price, text)| {
                (
                    name.map_or(Field::Null, |name| Field::Str(name.to_owned())),
                    price.map_or(Field::Null, |price| Field::Double(f64::from(price))),
                    Field::Str(text.to_string()),
                    Field::UInt(u32::MAX - u32::from(*text)),
                )
            })
            .collect();
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn neither_threads_nor_neighbours_show_in_a_part(
        batches in prop::collection::vec(rows(), 1..9),
        threads in 1_usize..5,
    ) {
        let batches: Vec<RecordBatch> = batches.iter().map(|rows| batch(rows)).collect();
        let properties = properties("zstd", 1000);
        let together = encoded(&batches, &properties, threads);
        for (batch, part) in batches.iter().zip(together) {
            let alone = encoded(std::slice::from_ref(batch), &properties, 1).remove(0);
            prop_assert_eq!(&alone.data, &part.data);
            prop_assert_eq!(part.xxh3, twox_hash::XxHash3_64::oneshot(&alone.data));
        }
    }

    #[test]
    fn numbers_come_back_from_runs_and_groups(
        runs in prop::collection::vec((0_u32..300, 1_usize..20), 0..40),
        width in 9_u32..=32,
    ) {
        let runs = runs.into_iter();
        let values: Vec<u32> =
            runs.flat_map(|(value, times)| std::iter::repeat_n(value, times)).collect();
        let mut bytes = Vec::new();
        hybrid::encode(&values, width, &mut bytes);
        prop_assert_eq!(decoded(&bytes, width, values.len()), values);
    }
}

/// The format's words for a reader, taken literally.
fn decoded(bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
    let mut values = Vec::new();
    let mut bytes = bytes.iter().copied();
    while values.len() < count {
        let (mut header, mut shift) = (0_usize, 0);
        loop {
            let byte = bytes.next().unwrap();
            header |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        if header & 1 == 0 {
            let value = (0..width.div_ceil(8)).fold(0, |value, place| {
                value | u32::from(bytes.next().unwrap()) << (8 * place)
            });
            values.extend(std::iter::repeat_n(value, header >> 1));
        } else {
            let packed: Vec<u8> = bytes
                .by_ref()
                .take((header >> 1) * width as usize)
                .collect();
            let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
            for value in 0..(header >> 1) * 8 {
                let bits =
                    (0..width as usize).map(|place| bit(value * width as usize + place) << place);
                values.push(bits.sum());
            }
        }
    }
    // The last group may be filled up.
    values.truncate(count);
    assert_eq!(bytes.next(), None);
    values
}

#[test]
fn a_part_names_the_values_that_it_has_in_the_order_of_its_rows() {
    let rows: Vec<Row> = vec![(Some("bid"), None, 1), (Some("offer"), None, 2)];
    let later = batch(&rows).slice(1, 1);
    let alone = batch(&rows[1..]);
    let parts = encoded(&[later, alone], &properties("zstd", 10), 1);
    assert_eq!(parts[0].data, parts[1].data);
}

#[test]
fn a_type_that_no_feed_has_is_refused_by_name() {
    let flags: ArrayRef = Arc::new(arrow_array::BooleanArray::from(vec![true]));
    let batch = RecordBatch::try_from_iter([("flag", flags)]).unwrap();
    let rows = Rows {
        batch: &batch,
        footer: Vec::new(),
    };
    let error = encode_all(&[rows], &properties("zstd", 10), 1).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the column flag of type Boolean")
    );
}

#[test]
fn only_codecs_and_levels_that_exist_are_known() {
    assert!(codec("zstd", Some(22)).is_some());
    assert!(codec("zstd", Some(23)).is_none());
    assert!(codec("gzip", Some(10)).is_none());
    assert!(codec("lz4", Some(1)).is_none());
    assert!(codec("brotli", None).is_none());
}
