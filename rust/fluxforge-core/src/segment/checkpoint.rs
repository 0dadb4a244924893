//! The line that closes a group and proves it.

use std::io::Write as _;

use serde::Deserialize;

use super::Uid;
use crate::rules::{Rule, is_left_out};

/// Where the checked text of a checkpoint ends and its sum begins.
const SUM_KEY: &[u8] = b",\"crc32c\":\"";
/// What a checkpoint's line begins with.
pub(crate) const START: &[u8] = b"{\"checkpoint\":{";

/// What a checkpoint says about the segment up to and including its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Counts from 0, which follows the header.
    pub n: u64,
    /// Frames in the segment so far.
    pub frames: u64,
    /// The offset of this line's first byte.
    pub bytes: u64,
    /// A monotonic clock when the group was written.
    pub mono_ns: u64,
    /// The previous checkpoint's sum; 0 in the first.
    pub prev: u32,
    /// The sum over uid, group and the fields above.
    pub crc32c: u32,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    checkpoint: Fields<'a>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    n: u64,
    frames: u64,
    bytes: u64,
    mono_ns: u64,
    prev: &'a str,
    crc32c: &'a str,
}

impl Checkpoint {
    /// Appends the line that closes `group`, which must be all that `out` holds from `start` on.
    /// `self.crc32c` is ignored; returns the sum.
    pub fn push(&self, out: &mut Vec<u8>, start: usize, uid: &Uid) -> u32 {
        self.push_fields(out);
        let sum = sum(uid, &out[start..]);
        push_sum(out, sum);
        sum
    }

    /// Appends the line up to where its sum begins.
    fn push_fields(&self, out: &mut Vec<u8>) {
        let Self {
            n,
            frames,
            bytes,
            mono_ns,
            prev,
            ..
        } = self;
        write!(
            out,
            r#"{{"checkpoint":{{"n":{n},"frames":{frames},"bytes":{bytes},"mono_ns":{mono_ns},"prev":"{prev:08x}""#
        )
        .expect("memory takes writes");
    }

    /// Says whether a line claims to be a checkpoint.
    pub fn is_one(line: &[u8]) -> bool {
        line.starts_with(START)
    }

    /// Reads a line, without its line break; does not verify it.
    pub fn read(line: &[u8]) -> Option<Self> {
        if !Self::is_one(line) {
            return None;
        }
        let Fields {
            n,
            frames,
            bytes,
            mono_ns,
            prev,
            crc32c,
        } = serde_json::from_slice::<Line<'_>>(line).ok()?.checkpoint;
        Some(Self {
            n,
            frames,
            bytes,
            mono_ns,
            prev: hex8(prev)?,
            crc32c: hex8(crc32c)?,
        })
    }

    /// Says whether the sum is right for a group and this checkpoint's own line, which follow
    /// each other in `text` (the line without its line break).
    pub fn proves(&self, uid: &Uid, text: &[u8]) -> bool {
        memchr::memmem::rfind(text, SUM_KEY)
            .is_some_and(|end| sum(uid, &text[..end]) == self.crc32c)
    }
}

/// The sum of a group whose bytes come in pieces, for whoever does not hold it whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupSum(u32);

impl GroupSum {
    /// Of a group of the segment with this identity, before its first byte.
    pub(crate) fn new(uid: &Uid) -> Self {
        Self(sum(uid, b""))
    }

    /// Takes the bytes that come next.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0 = crc32c::crc32c_append(self.0, bytes);
    }

    /// Says whether a line, without its break, is to the byte what a writer closes this group
    /// with.
    pub(crate) fn is_closed_by(self, checkpoint: &Checkpoint, line: &[u8]) -> bool {
        let mut written = Vec::with_capacity(line.len() + 1);
        checkpoint.push_fields(&mut written);
        let sum = crc32c::crc32c_append(self.0, &written);
        push_sum(&mut written, sum);
        written.strip_suffix(b"\n") == Some(line)
    }
}

fn push_sum(out: &mut Vec<u8>, sum: u32) {
    out.extend_from_slice(SUM_KEY);
    writeln!(out, r#"{sum:08x}"}}}}"#).expect("memory takes writes");
}

fn sum(uid: &Uid, text: &[u8]) -> u32 {
    if is_left_out(Rule::Chain) {
        return crc32c::crc32c(text);
    }
    crc32c::crc32c_append(crc32c::crc32c(uid.as_str().as_bytes()), text)
}

fn hex8(text: &str) -> Option<u32> {
    let is_ours = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| u32::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_proves_its_group_and_nothing_else() {
        let uid = Uid::from_bytes([1; 16]);
        let point = Checkpoint {
            n: 2,
            frames: 9,
            bytes: 4,
            mono_ns: 5,
            prev: 0xab,
            crc32c: 0,
        };
        let mut out = b"xyz\n".to_vec();
        let crc32c = point.push(&mut out, 0, &uid);
        let text = out.strip_suffix(b"\n").unwrap();
        let read = Checkpoint::read(&text[4..]).unwrap();
        assert_eq!(read, Checkpoint { crc32c, ..point });
        assert!(read.proves(&uid, text));
        let mut sum = GroupSum::new(&uid);
        text[..4].chunks(3).for_each(|piece| sum.add(piece));
        assert!(sum.is_closed_by(&read, &text[4..]));
        assert!(
            !read.proves(&Uid::from_bytes([2; 16]), text),
            "another segment's uid"
        );
        for at in 0..text.len() {
            let mut bad = text.to_vec();
            bad[at] ^= 1;
            let proved = Checkpoint::read(&bad[4..]).is_some_and(|c| c.proves(&uid, &bad));
            assert!(!proved, "byte {at} may change unseen");
            let mut sum = GroupSum::new(&uid);
            sum.add(&bad[..4]);
            let closed =
                Checkpoint::read(&bad[4..]).is_some_and(|c| sum.is_closed_by(&c, &bad[4..]));
            assert!(!closed, "byte {at} may change unseen");
        }
    }
}
