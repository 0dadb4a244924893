//! The segment: one file of captured frames that proves what it holds.
//!
//! # What lies on disk
//!
//! A segment is NDJSON. Every line ends in `\n`, and every line is one JSON object whose first key
//! says what it is. Nothing in a frame can end a line or start one, so the structure below cannot
//! be forged by what a venue sends.
//!
//! ```text
//! {"segment":{"format":1,"name":…,"uid":…,"source":…,"writer":…,"created":…,"continues":null}}
//! {"checkpoint":{"n":0,"frames":0,…}}                       the header is durable
//! {"capture_ts":…,"conn":…,"data":…}                        a record: a frame
//! {"capture_ts":…,"conn":…,"event":{"kind":…,…}}            a record: an event of ours
//! {"checkpoint":{"n":1,…}}                                  these records are durable
//! …
//! {"seal":{…}}                                              nothing follows
//! ```
//!
//! **Header** (line 1). `format` is 1; a reader that knows less refuses. `name` is the label under
//! which the file was created. `uid` is 32 lower-case hex digits, the segment's identity. `writer`
//! is the writer's id or null. `created` is a time. `continues` is null, or `{"uid":…,
//! "checkpoint":n}`: the disk failed under that other segment, whatever it holds after its
//! checkpoint `n` was written again here and must be cut there. `open`, where there are any, maps
//! the connections that were open when the segment before was closed to the times of their last
//! records: a crash before the first group here must still end them in a `gap`. `durability`, which
//! early files lack, is `fsync` or `os`: what the writer means by durable, should it not come to
//! the seal.
//!
//! **Times** are RFC 3339 in UTC with nine digits, always 30 bytes:
//! `2025-12-03T14:00:00.123456789Z`.
//!
//! **Frame**. `conn` is 1 to 64 printable ASCII characters without quote and backslash. The
//! frame's bytes stand under one of three keys:
//! - `data`: verbatim, if they are one JSON value by RFC 8259 in UTF-8, without line breaks, with
//!   paired surrogate escapes and at most [`MAX_DEPTH`] levels deep. The frame is exactly what
//!   stands between `"data":` and the line's last `}`.
//! - `raw`: a JSON string, if they are UTF-8 but not such a value.
//! - `raw_b64`: standard base64 with padding, for anything else.
//!
//! **Event**. `conn` may be null. `event` is an object with a string `kind`.
//!
//! **Checkpoint**: closes a *group*, the lines since the previous checkpoint.
//! ```text
//! {"checkpoint":{"n":…,"frames":…,"bytes":…,"mono_ns":…,"prev":"8 hex","crc32c":"8 hex"}}
//! ```
//! `n` counts up from 0; `frames` is the number of frames in the segment so far; `bytes` is the
//! offset of this line's first byte; `mono_ns` is a monotonic clock at the group's writing; `prev`
//! is the previous checkpoint's `crc32c` (`00000000` in the first). `crc32c` is over the `uid`'s
//! ASCII bytes, then the group's bytes, then this line up to but excluding `,"crc32c":`. Because
//! the uid and the chain are in the sum, no stale sector of this or another file can look valid.
//!
//! **Seal**: the last line. `frames` and `events` are totals, `bytes` is the offset of this line's
//! first byte, `xxh3` is XXH3-64 over all bytes before it (16 hex), `first_ts` and `last_ts` are
//! the smallest and greatest `capture_ts` or null, `durability` is `fsync` or `os`.
//!
//! # What a crash leaves
//!
//! One `fdatasync` makes a group and its checkpoint durable together. The only assumption about a
//! disk is that a sector is old or new. After a crash a segment is therefore a valid prefix that
//! ends at a checkpoint, then possibly a torn rest that nobody was told about. An invalid group
//! *before* a valid one or before a seal cannot come from a crash: it is corruption. So are bytes
//! after a seal, and a seal that is there from its beginning to its end and does not hold.
//!
//! What reaches the disk in which order is written at the top of [`crate::append`],
//! [`crate::seal`] and [`crate::recover`].

#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(
    not(test),
    allow(
        dead_code,
        reason = "the fuzz targets use a part of what the tests need"
    )
)]
pub(crate) mod builder;
mod checkpoint;
mod encode;
mod error;
mod groups;
mod hash;
mod header;
mod json;
mod line;
mod name;
mod sealing;
mod time;

pub use checkpoint::Checkpoint;
pub use encode::{conn_is_valid, push_event, push_frame};
pub use error::SegmentError;
pub use groups::{GroupReader, Groups, Piece};
pub use hash::Xxh3;
pub use header::{Continues, FORMAT, Header, Opening, Uid};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use json::fuzzing;
pub use json::{MAX_DEPTH, is_one_line_json};
pub use line::{Body, Payload, Record};
pub use name::{Hour, SegmentName, writer_id_is_valid};
pub use sealing::{Durability, SealLine, Tally};
pub use time::{parse_timestamp, push_timestamp, timestamp};

pub(crate) use checkpoint::{GroupSum, START as CHECKPOINT_START};
pub(crate) use encode::event_kind;
pub(crate) use error::is_no_space;
pub(crate) use header::LONGEST_HEADER;
pub(crate) use name::LONGEST_WRITER_ID;
pub(crate) use sealing::BrokenSeal;
