//! NDJSON segment to Arrow, one partition at a time.
//!
//! ```text
//! parser     pieces → groups, each verified against its checkpoint → lines
//! envelope   a line → capture time, connection, and a frame or an event
//! frame      a frame → its table; rows: its events → rows
//! value      a value → a cell (number, time, text), straight from its bytes
//! partition  rows → the builders of (table, product, day); undone if a later row is bad
//! census     where the wire differs from what the feed says, counted
//! books      every frame parsed, ignored by name, or rejected with its bytes
//! parsed     builders → Arrow
//! ```
//!
//! Rules that hold everywhere: the JSON grammar is checked in full, also in what is skipped;
//! objects and arrays nest at most 128 deep; a key that the feed reads must not occur twice in one
//! object; a frame becomes all of its rows or a reject; the result depends on the bytes alone, not
//! on how they were cut into pieces.

mod board;
mod books;
pub mod census;
mod column;
mod dictionary;
mod envelope;
mod fault;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hints;
mod merge;
pub(crate) mod number;
mod parsed;
mod parser;
mod partition;
mod quick;
pub mod rejects;
mod repeat;
mod rows;
mod runs;
pub(crate) mod scan;
mod sequence;
mod shapes;
mod sink;
mod stage;
mod stretch;
mod structure;
mod swar;
mod template;
mod text;
pub(crate) mod time;
mod value;
mod wide;

pub use books::{Balance, Reject};
pub use parsed::{ParsedSegment, PartitionRows, TableRows};
pub use parser::SegmentParser;
pub use sequence::{ConnectionSequence, SequenceGap};
pub use structure::{NewerFormat, SegmentHeader};
