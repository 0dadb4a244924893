//! Bytes as instructions: a segment is built, and harmed.

use crate::segment::builder::Builder;
use crate::segment::{push_event, push_frame};

/// Makes the bytes of a file. An even first byte: the rest is the file as it is. An odd one: the
/// rest says what to build and how to harm it, one instruction after another.
pub fn segment_from(script: &[u8]) -> Vec<u8> {
    match script.split_first() {
        Some((mode, rest)) if mode % 2 == 1 => Script { rest }.run(),
        Some((_, rest)) => rest.to_vec(),
        None => Vec::new(),
    }
}

/// The instruction that closes the segment.
pub(super) const SEAL: u8 = 8;

struct Script<'a> {
    rest: &'a [u8],
}

impl Script<'_> {
    fn run(mut self) -> Vec<u8> {
        let mut segment = Builder::new(7, 1, None);
        while let Some(instruction) = self.byte() {
            segment = match instruction % 16 {
                0..=7 => self.group(segment),
                SEAL => segment.seal(),
                9 => self.torn(segment),
                10 => self.wild_checkpoint(segment),
                _ => {
                    self.harm(&mut segment.bytes, instruction % 16);
                    segment
                }
            };
        }
        segment.bytes
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    fn some_bytes(&mut self) -> &[u8] {
        let len = usize::from(self.number() % 64).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        bytes
    }

    /// A place in the file, nearer to the end than to its beginning.
    fn place(&mut self, len: usize) -> usize {
        let far = if self.number().is_multiple_of(8) {
            4
        } else {
            1
        };
        let back = usize::from(self.number()) * far;
        len.saturating_sub(back)
    }

    fn group(&mut self, segment: Builder) -> Builder {
        let mut lines = Vec::new();
        for n in 0..self.number() % 4 {
            let conn = ["c1", "c2", "c 3"][usize::from(n % 3)];
            match self.number() % 4 {
                0 => push_event(&mut lines, 9, Some(conn), br#"{"kind":"disconnected"}"#),
                1 => push_event(&mut lines, 9, None, br#"{"kind":"gap"}"#),
                _ => push_frame(&mut lines, i64::from(n), conn, self.some_bytes()),
            }
        }
        segment.lines(&lines)
    }

    fn torn(&mut self, segment: Builder) -> Builder {
        let bytes = self.some_bytes().to_vec();
        segment.torn(&bytes)
    }

    /// A checkpoint whose sum is right and whose numbers are not.
    fn wild_checkpoint(&mut self, mut segment: Builder) -> Builder {
        let wild = [0, 1, 2, u64::MAX - 1, u64::MAX];
        let (n, frames) = (self.number(), self.number());
        segment.last.n = wild[usize::from(n) % 5].wrapping_sub(1);
        segment.last.frames = wild[usize::from(frames) % 5];
        segment.lines(b"")
    }

    fn harm(&mut self, bytes: &mut Vec<u8>, how: u8) {
        let at = self.place(bytes.len());
        let end = (at + 1 + usize::from(self.number())).min(bytes.len());
        match how {
            11 => bytes[at..end]
                .iter_mut()
                .take(1)
                .for_each(|byte| *byte ^= 1),
            12 => bytes.truncate(at),
            13 => bytes[at..end].fill(0),
            14 => {
                // As a stale sector would.
                let again = bytes[at..end].to_vec();
                bytes.extend_from_slice(&again);
            }
            _ => drop(bytes.drain(at..end)),
        }
    }
}
