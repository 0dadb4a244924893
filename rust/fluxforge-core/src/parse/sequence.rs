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
    /// When the connection's frame before it was captured.
    pub after_ns: i64,
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
    /// The last number that was no repeat: what comes next is one more.
    pub last_sequence: Option<i64>,
    /// When its first frame was captured.
    pub first_capture_ns: i64,
    /// When its last frame was captured.
    pub last_capture_ns: i64,
    /// Frames that never came, over all gaps.
    pub missing: u64,
    /// Where they are missing.
    pub gaps: Vec<SequenceGap>,
    /// Of a part of the segment: what was seen, to be judged when it is known what came before.
    seen: Option<Vec<Climb>>,
}

/// Numbers that went up by one each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Climb {
    first: i64,
    last: i64,
    /// The frame that carried the first.
    record: u32,
    capture_ns: i64,
    /// When the connection's frame before it was captured; none: it is the first of its part.
    after_ns: Option<i64>,
}

impl ConnectionSequence {
    pub(crate) fn new(conn: &str, capture_ns: i64, is_part: bool) -> Self {
        Self {
            conn: conn.into(),
            frames: 0,
            first_sequence: None,
            last_sequence: None,
            first_capture_ns: capture_ns,
            last_capture_ns: capture_ns,
            missing: 0,
            gaps: Vec::new(),
            seen: is_part.then(Vec::new),
        }
    }

    /// Takes note of the connection's next frame.
    #[inline]
    pub(crate) fn observe(&mut self, sequence: Option<i64>, capture_ns: i64, record: u32) {
        let before_ns = std::mem::replace(&mut self.last_capture_ns, capture_ns);
        let after_ns = (self.frames > 0).then_some(before_ns);
        self.frames += 1;
        let Some(seen) = sequence else {
            return;
        };
        let climb = Climb {
            first: seen,
            last: seen,
            record,
            capture_ns,
            after_ns,
        };
        match &mut self.seen {
            None => self.judge(climb),
            // Zero begins anew wherever it stands.
            Some(climbs) => match climbs.last_mut() {
                Some(climb) if climb.last.checked_add(1) == Some(seen) && seen != 0 => {
                    climb.last = seen;
                }
                _ => climbs.push(climb),
            },
        }
    }

    /// Takes note of a part's frames, which come next; `frames` came before it in the segment.
    pub(crate) fn add(&mut self, part: &Self, frames: u32) {
        let before_ns = std::mem::replace(&mut self.last_capture_ns, part.last_capture_ns);
        let is_first = self.frames == 0;
        self.frames += part.frames;
        for climb in part.seen.iter().flatten() {
            self.judge(Climb {
                record: climb.record.saturating_add(frames),
                after_ns: climb.after_ns.or((!is_first).then_some(before_ns)),
                ..*climb
            });
        }
    }

    #[inline]
    fn judge(&mut self, climb: Climb) {
        let Climb { first, last, .. } = climb;
        self.first_sequence.get_or_insert(first);
        match self.last_sequence {
            Some(before) if last <= before && first != 0 => return,
            Some(before) if first > before && first - 1 != before => self.gap(before + 1, climb),
            _ => {}
        }
        self.last_sequence = Some(last);
    }

    #[cold]
    fn gap(&mut self, expected: i64, climb: Climb) {
        let seen = climb.first;
        self.missing = self.missing.saturating_add(seen.abs_diff(expected));
        self.gaps.push(SequenceGap {
            expected,
            seen,
            record: climb.record,
            capture_ns: climb.capture_ns,
            after_ns: climb.after_ns.unwrap_or(climb.capture_ns),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(sequences: &[i64]) -> ConnectionSequence {
        let mut connection = ConnectionSequence::new("c", 0, false);
        for (record, sequence) in (0..).zip(sequences) {
            connection.observe(Some(*sequence), i64::from(record), record);
        }
        connection
    }

    proptest! {
        #[test]
        fn parts_are_judged_as_the_whole(
            sequences in prop::collection::vec(prop_oneof![Just(None), (-2_i64..9).prop_map(Some)], 0..40),
            cuts in prop::collection::vec(0_usize..40, 0..4))
        {
            let mut whole = ConnectionSequence::new("c", 0, false);
            let mut added = whole.clone();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(sequences.len())).collect();
            cuts.extend([0, sequences.len()]);
            cuts.sort_unstable();
            for cut in cuts.windows(2) {
                let mut part = ConnectionSequence::new("c", 0, true);
                for (record, at) in (0..).zip(cut[0]..cut[1]) {
                    let time = i64::try_from(at).unwrap();
                    part.observe(sequences[at], time, record);
                    whole.observe(sequences[at], time, u32::try_from(at).unwrap());
                }
                if part.frames > 0 {
                    added.add(&part, u32::try_from(cut[0]).unwrap());
                }
            }
            prop_assert_eq!(added, whole);
        }
    }

    #[test]
    fn what_was_passed_over_is_missing() {
        let connection = after(&[5, 6, 9, 10, 12]);
        assert_eq!(connection.missing, 3);
        let gaps: Vec<_> = connection
            .gaps
            .iter()
            .map(|g| (g.expected, g.seen, g.record, g.after_ns, g.capture_ns))
            .collect();
        assert_eq!(gaps, [(7, 9, 2, 1, 2), (11, 12, 4, 3, 4)]);
    }

    #[test]
    fn a_repeat_does_not_take_back_what_came_last() {
        let connection = after(&[4, 5, 6, 5]);
        assert_eq!(connection.first_sequence, Some(4));
        assert_eq!(connection.last_sequence, Some(6));
    }

    #[test]
    fn repeats_and_restarts_are_not_missing() {
        assert_eq!(after(&[1, 2, 2, 1, 3]).missing, 0);
        assert_eq!(after(&[7, 8, 0, 1, 2]).missing, 0);
        assert_eq!(after(&[7, 8, 0, 2]).missing, 1);
        assert_eq!(after(&[i64::MIN, i64::MAX]).missing, u64::MAX - 1);
    }
}
