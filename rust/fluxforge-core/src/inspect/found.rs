//! What a segment's groups tell, piece after piece.

use std::collections::BTreeMap;

use super::{Damage, Harm, LastCheckpoint, Verdict};
use crate::segment::{
    Body, BrokenSeal, Checkpoint, Groups, Piece, Record, SealLine, Tally, event_kind,
};

/// What the groups have told so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) tally: Tally,
    pub(super) connections: BTreeMap<String, u64>,
    pub(super) kinds: BTreeMap<String, u64>,
    pub(super) groups: u64,
    pub(super) last: Option<LastCheckpoint>,
    /// The frames up to there, by its own account.
    claimed_frames: u64,
    pub(super) seal: Option<SealLine>,
    pub(super) seal_holds: bool,
    pub(super) damage: Vec<Damage>,
    /// Where the next piece begins: line breaks and bytes before it.
    line: u64,
    offset: u64,
}

impl Found {
    /// Takes what pieces there are.
    pub(super) fn follow(&mut self, groups: &mut Groups) {
        while let Some(piece) = groups.next_piece() {
            match piece {
                Piece::Group {
                    lines,
                    checkpoint,
                    end,
                } => self.group(&lines, checkpoint, end),
                Piece::Corrupt { bytes, .. } => self.harm(Harm::Corrupt, &bytes, None),
                Piece::Seal(seal) => {
                    self.seal_holds = self.counts_agree(&seal);
                    if !self.seal_holds {
                        let mut line = Vec::new();
                        seal.push(&mut line);
                        self.harm(Harm::Seal, &line, None);
                    }
                    self.seal = Some(seal);
                }
                Piece::Tail { bytes, .. } => self.tail(&bytes),
            }
        }
    }

    /// A group that its checkpoint proves.
    fn group(&mut self, lines: &[u8], checkpoint: Checkpoint, end: u64) {
        let frames_before = self.tally.frames;
        for line in lines.split(|&byte| byte == b'\n') {
            // Line 1 is no record; a proved group holds what its writer wrote.
            if let Some(record) = Record::read(line) {
                self.record(&record);
            }
        }
        let before = checkpoint
            .frames
            .saturating_sub(self.tally.frames - frames_before);
        if let Some(damage) = self.damage.last_mut().filter(|last| last.frames.is_none()) {
            // Only corrupt bytes can stand before a group.
            damage.frames = Some(before.saturating_sub(self.claimed_frames));
        }
        self.claimed_frames = checkpoint.frames;
        self.line += count_lines(lines) + 1;
        self.offset = end;
        self.groups += 1;
        self.last = Some(LastCheckpoint {
            n: checkpoint.n,
            line: self.line,
            end,
        });
    }

    fn record(&mut self, record: &Record<'_>) {
        match record.body {
            Body::Frame(_) => {
                self.tally.frame(record.capture_ns);
                let conn = record.conn.unwrap_or_default();
                match self.connections.get_mut(conn) {
                    Some(frames) => *frames += 1,
                    None => drop(self.connections.insert(conn.to_owned(), 1)),
                }
            }
            Body::Event(event) => {
                self.tally.event(record.capture_ns);
                let kind = event_kind(event).unwrap_or_default();
                *self.kinds.entry(kind).or_default() += 1;
            }
        }
    }

    /// What follows the last checkpoint that holds.
    fn tail(&mut self, bytes: &[u8]) {
        let Some(BrokenSeal { line, seal }) = BrokenSeal::find(bytes) else {
            self.harm(Harm::Torn, bytes, None);
            return;
        };
        let (unproved, after) = (&bytes[..line.start], &bytes[line.end..]);
        if !unproved.is_empty() {
            let lost = (seal.as_ref()).map(|seal| seal.frames.saturating_sub(self.claimed_frames));
            self.harm(Harm::Corrupt, unproved, lost);
        }
        if after.is_empty() && self.damage.is_empty() {
            self.harm(Harm::Seal, &bytes[line], None);
        } else {
            // Over damaged bytes no seal can hold: that is no damage of its own.
            self.pass(&bytes[line]);
        }
        if !after.is_empty() {
            self.harm(Harm::Trailing, after, None);
        }
        self.seal = seal;
    }

    /// The whole of a file whose line 1 makes no sense.
    pub(super) fn damaged_header(&mut self, bytes: u64, lines: u64) {
        self.damage.push(Damage {
            what: Harm::Header,
            line: 1,
            lines: lines.max(1),
            offset: 0,
            bytes,
            group: 0,
            frames: None,
        });
    }

    fn harm(&mut self, what: Harm, bytes: &[u8], frames: Option<u64>) {
        let open_line = u64::from(bytes.last().is_some_and(|&last| last != b'\n'));
        self.damage.push(Damage {
            what,
            line: self.line + 1,
            lines: count_lines(bytes) + open_line,
            offset: self.offset,
            bytes: bytes.len() as u64,
            group: self
                .last
                .as_ref()
                .map_or(0, |last| last.n.saturating_add(1)),
            frames,
        });
        self.pass(bytes);
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.line += count_lines(bytes);
        self.offset += bytes.len() as u64;
    }

    fn counts_agree(&self, seal: &SealLine) -> bool {
        (seal.frames, seal.events) == (self.tally.frames, self.tally.events)
    }

    /// The word for what was found, in a segment that has ended.
    pub(super) fn verdict(&self, writer_lives: bool) -> Verdict {
        // Even its header was never proved, and no segment has its name before that.
        let is_proved = self.last.is_some();
        match self.damage.as_slice() {
            [] if self.seal_holds => Verdict::Whole,
            []
            | [
                Damage {
                    what: Harm::Torn, ..
                },
            ] if writer_lives && is_proved => Verdict::Growing,
            [] => Verdict::Unsealed,
            [
                Damage {
                    what: Harm::Torn, ..
                },
            ] if is_proved => Verdict::Cut,
            _ => Verdict::Damaged,
        }
    }
}

pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
