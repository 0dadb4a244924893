//! Rejects for people and tools: as Arrow, and as lines.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::books::Reject;
use super::parsed::TableRows;

/// An Arrow binary column holds 2 GiB; batches end well before.
const MAX_BATCH_BYTES: usize = 1 << 30;

#[derive(Serialize)]
struct RejectLine<'a> {
    record: u32,
    line: u64,
    offset: u64,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_b64: Option<String>,
}

/// The rejects as a table: record, line, offset, reason, data.
pub fn to_table(rejects: &[Reject]) -> TableRows {
    let schema = Arc::new(Schema::new(vec![
        Field::new("record", DataType::UInt32, false),
        Field::new("line", DataType::UInt64, false),
        Field::new("offset", DataType::UInt64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("data", DataType::Binary, false),
    ]));
    let mut batches = Vec::new();
    let mut rest = rejects;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |reject: &&Reject| {
            bytes += reject.data.len() + reject.reason.len();
            bytes <= MAX_BATCH_BYTES
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (batch, others) = rest.split_at(count);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt32Array::from_iter_values(
                batch.iter().map(|r| r.record),
            )),
            Arc::new(UInt64Array::from_iter_values(batch.iter().map(|r| r.line))),
            Arc::new(UInt64Array::from_iter_values(
                batch.iter().map(|r| r.offset),
            )),
            Arc::new(StringArray::from_iter_values(
                batch.iter().map(|r| &r.reason),
            )),
            Arc::new(BinaryArray::from_iter_values(batch.iter().map(|r| &r.data))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        batches.push(batch.expect("columns of one length and their types"));
        rest = others;
    }
    TableRows {
        name: "rejects".into(),
        schema,
        batches,
    }
}

/// The rejects as NDJSON; data that is no text is in `data_b64`.
pub fn to_ndjson(rejects: &[Reject]) -> Vec<u8> {
    let mut out = Vec::new();
    for reject in rejects {
        write(reject, &mut out);
    }
    out
}

fn write(reject: &Reject, out: &mut Vec<u8>) {
    let text = std::str::from_utf8(&reject.data).ok();
    let line = RejectLine {
        record: reject.record,
        line: reject.line,
        offset: reject.offset,
        reason: &reject.reason,
        data: text,
        data_b64: text.is_none().then(|| STANDARD.encode(&reject.data)),
    };
    serde_json::to_writer(&mut *out, &line).expect("writing to memory does not fail");
    out.push(b'\n');
}

/// Rejects on their way out of a segment that is larger than memory: as lines, in lists of about
/// one size. Where a list ends depends on the rejects alone, not on when they are taken.
#[derive(Debug)]
pub(crate) struct Leaving {
    size: usize,
    list: Vec<u8>,
    full: Vec<Vec<u8>>,
}

impl Leaving {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            list: Vec::new(),
            full: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, rejects: &mut Vec<Reject>) {
        for reject in rejects.drain(..) {
            write(&reject, &mut self.list);
            if self.list.len() >= self.size {
                self.full.push(std::mem::take(&mut self.list));
            }
        }
    }

    /// The lists that are full.
    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.full)
    }

    /// All lines that have not been taken.
    pub(crate) fn rest(self) -> Vec<u8> {
        let mut lists = self.full;
        lists.push(self.list);
        lists.concat()
    }
}
