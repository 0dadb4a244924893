//! Segments made by hand, group by group, for whoever tests a reader.

use super::{
    Body, Checkpoint, Continues, Durability, Header, Record, SealLine, Tally, Uid, Xxh3,
    push_frame, timestamp,
};

/// Builds a segment group by group and knows where each begins.
pub(crate) struct Builder {
    pub(crate) header: Header,
    pub(crate) bytes: Vec<u8>,
    pub(crate) starts: Vec<usize>,
    pub(crate) last: Checkpoint,
    tally: Tally,
}

impl Builder {
    pub(crate) fn new(uid: u8, counter: u64, continues: Option<Continues>) -> Self {
        let name = format!("segment_20251203T14_{counter:05}.ndjson");
        let uid = Uid::from_bytes([uid; 16]);
        let mut header = Header::new(name, uid, "test", None, 0, continues);
        header.durability = Some(Durability::Fsync);
        if header.continues.is_some() {
            header.open.insert("c1".to_owned(), timestamp(5));
        }
        Self::begin(header)
    }

    /// A segment that begins with this header.
    pub(crate) fn begin(header: Header) -> Self {
        let mut bytes = Vec::new();
        header.push(&mut bytes);
        let last = Checkpoint {
            n: 0,
            frames: 0,
            bytes: 0,
            mono_ns: 1,
            prev: 0,
            crc32c: 0,
        };
        let mut builder = Self {
            header,
            bytes,
            starts: vec![0],
            last,
            tally: Tally::default(),
        };
        builder.checkpoint(0);
        builder
    }

    fn checkpoint(&mut self, start: usize) {
        self.last.bytes = self.bytes.len() as u64;
        self.last.crc32c = self.last.push(&mut self.bytes, start, &self.header.uid);
        self.starts.push(self.bytes.len());
    }

    /// Adds a group of frames.
    pub(crate) fn group(self, frames: &[&str]) -> Self {
        let mut lines = Vec::new();
        for frame in frames {
            push_frame(&mut lines, 5, "c1", frame.as_bytes());
        }
        self.lines(&lines)
    }

    /// Adds a group of lines.
    pub(crate) fn lines(mut self, lines: &[u8]) -> Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(lines);
        self.last.n = self.last.n.wrapping_add(1);
        let frames = self.tally.frames;
        for record in lines.split(|&byte| byte == b'\n').filter_map(Record::read) {
            match record.body {
                Body::Frame(_) => self.tally.frame(record.capture_ns),
                Body::Event(_) => self.tally.event(record.capture_ns),
            }
        }
        self.last.frames = (self.last.frames).wrapping_add(self.tally.frames - frames);
        self.last.prev = self.last.crc32c;
        self.checkpoint(start);
        self
    }

    /// Closes it; nothing may follow.
    pub(crate) fn seal(mut self) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&self.bytes);
        let len = self.bytes.len() as u64;
        SealLine::new(&self.tally, len, hash.digest(), Durability::Fsync).push(&mut self.bytes);
        self
    }

    /// Adds bytes that nothing proves.
    pub(crate) fn torn(mut self, tail: &[u8]) -> Self {
        self.bytes.extend_from_slice(tail);
        self
    }
}
