//! How a writer is set up.

use crate::recover::Place;
use crate::segment::{Durability, SegmentError, writer_id_is_valid};

/// What to do with a frame that finds the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// Refuse it: the caller waits and appends it again.
    Block,
    /// Lose it, count it and record the loss.
    Drop,
}

/// How a writer is set up.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// Where its segments lie.
    pub place: Place,
    /// What is captured, as in `coinbase`.
    pub source: String,
    /// The writer's id, where several write to one storage.
    pub writer: Option<String>,
    /// A segment is closed before it grows beyond this.
    pub segment_max_bytes: u64,
    /// A segment is closed at this age.
    pub segment_max_ns: u64,
    /// How many bytes of records may wait to become durable.
    pub queue_max_bytes: usize,
    /// What "durable" means.
    pub durability: Durability,
    /// What to do when they are that many.
    pub on_full: OnFull,
    /// Capture waits while the file system has less than this free; 0: while it is full.
    pub min_free_bytes: u64,
}

impl WriterConfig {
    /// Refuses what could not stand in names.
    pub(super) fn check(&self) -> Result<(), SegmentError> {
        match &self.writer {
            Some(writer) if !writer_id_is_valid(writer) => Err(SegmentError::Invalid(format!(
                "writer_id {writer:?} cannot stand in file names: use 1 to 63 ASCII letters, \
                 digits and '-', not beginning with '-'"
            ))),
            _ => Ok(()),
        }
    }
}
