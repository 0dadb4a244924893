//! What a connection's sequence numbers say about completeness.
//!
//! A venue counts every frame of a connection, whatever its channel. So every frame counts here
//! too: ignored ones, and rejected ones whose number could be read. A number above the expected
//! one is a gap. A number that has been passed already is a repeat and changes nothing. Zero
//! starts anew.

/// One place where a sequence did not go up by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceGap {
    /// The number that should have come.
    pub expected: i64,
    /// The number that came.
    pub seen: i64,
    /// The frame that carried it.
    pub record: u32,
    /// When it was captured.
    pub capture_ns: i64,
}

/// One connection inside one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSequence {
    /// The connection's name; empty where the envelope has none.
    pub conn: Box<str>,
    /// Frames captured on it.
    pub frames: u64,
    /// The first number seen.
    pub first_sequence: Option<i64>,
    /// The last number seen.
    pub last_sequence: Option<i64>,
    /// When its first frame was captured.
    pub first_capture_ns: i64,
    /// When its last frame was captured.
    pub last_capture_ns: i64,
    /// Frames that never came, over all gaps.
    pub missing: u64,
    /// Where they are missing.
    pub gaps: Vec<SequenceGap>,
    highest: Option<i64>,
}

impl ConnectionSequence {
    pub(crate) fn new(conn: &str, capture_ns: i64) -> Self {
        Self {
            conn: conn.into(),
            frames: 0,
            first_sequence: None,
            last_sequence: None,
            first_capture_ns: capture_ns,
            last_capture_ns: capture_ns,
            missing: 0,
            gaps: Vec::new(),
            highest: None,
        }
    }

    /// Takes note of the connection's next frame.
    #[inline]
    pub(crate) fn observe(&mut self, sequence: Option<i64>, capture_ns: i64, record: u32) {
        self.frames += 1;
        self.last_capture_ns = capture_ns;
        let Some(seen) = sequence else {
            return;
        };
        self.first_sequence.get_or_insert(seen);
        self.last_sequence = Some(seen);
        match self.highest {
            Some(highest) if seen <= highest && seen != 0 => return,
            Some(highest) if seen > highest && seen - 1 != highest => {
                self.gap(highest + 1, seen, capture_ns, record);
            }
            _ => {}
        }
        self.highest = Some(seen);
    }

    #[cold]
    fn gap(&mut self, expected: i64, seen: i64, capture_ns: i64, record: u32) {
        self.missing = self.missing.saturating_add(seen.abs_diff(expected));
        self.gaps.push(SequenceGap {
            expected,
            seen,
            record,
            capture_ns,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sequences: &[i64]) -> ConnectionSequence {
        let mut connection = ConnectionSequence::new("c", 0);
        for (record, sequence) in (0..).zip(sequences) {
            connection.observe(Some(*sequence), i64::from(record), record);
        }
        connection
    }

    #[test]
    fn what_was_passed_over_is_missing() {
        let connection = after(&[5, 6, 9, 10, 12]);
        assert_eq!(connection.missing, 3);
        let gaps: Vec<_> = connection
            .gaps
            .iter()
            .map(|g| (g.expected, g.seen, g.record))
            .collect();
        assert_eq!(gaps, [(7, 9, 2), (11, 12, 4)]);
    }

    #[test]
    fn repeats_and_restarts_are_not_missing() {
        assert_eq!(after(&[1, 2, 2, 1, 3]).missing, 0);
        assert_eq!(after(&[7, 8, 0, 1, 2]).missing, 0);
        assert_eq!(after(&[7, 8, 0, 2]).missing, 1);
        assert_eq!(after(&[i64::MIN, i64::MAX]).missing, u64::MAX - 1);
    }
}
