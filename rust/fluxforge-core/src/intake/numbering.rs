//! A connection's numbers: one counter over all its channels, from 0 on.
//!
//! The rules are those of [`crate::parse::ConnectionSequence`], which judges the same frames later:
//! above the next one is a gap, what has been passed is a repeat and changes nothing, and zero
//! begins anew.

/// The last number that was no repeat.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    last: Option<i64>,
}

/// One place where the numbers did not go up by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    /// What kind of place.
    pub kind: BreakKind,
    /// The number that should have come.
    pub expected: i64,
    /// The number that came.
    pub seen: i64,
}

/// What it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakKind {
    /// Numbers between never came.
    Gap,
    /// The number had come before.
    Repeat,
    /// The count began anew.
    Restart,
}

impl Numbering {
    /// Takes note of a frame's number.
    #[inline]
    pub(super) fn follow(&mut self, seen: i64) -> Option<Break> {
        let expected = self.last.map_or(0, |last| last.saturating_add(1));
        if seen == expected {
            self.last = Some(seen);
            return None;
        }
        let kind = if seen > expected {
            BreakKind::Gap
        } else if seen == 0 {
            BreakKind::Restart
        } else {
            BreakKind::Repeat
        };
        if kind != BreakKind::Repeat {
            self.last = Some(seen);
        }
        Some(Break {
            kind,
            expected,
            seen,
        })
    }
}

impl Break {
    /// How many numbers never came.
    pub fn missing(&self) -> u64 {
        match self.kind {
            BreakKind::Gap => self.seen.abs_diff(self.expected),
            BreakKind::Repeat | BreakKind::Restart => 0,
        }
    }

    /// The event that tells of it.
    #[cold]
    pub fn event(&self) -> String {
        let Self {
            kind,
            expected,
            seen,
        } = self;
        match kind {
            BreakKind::Gap => format!(
                "{{\"kind\":\"gap\",\"reason\":\"sequence\",\"expected\":{expected},\
                 \"seen\":{seen},\"missing\":{}}}",
                self.missing()
            ),
            BreakKind::Repeat | BreakKind::Restart => format!(
                "{{\"kind\":\"{}\",\"expected\":{expected},\"seen\":{seen}}}",
                kind.name()
            ),
        }
    }
}

impl BreakKind {
    /// The event's kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Repeat => "repeat",
            Self::Restart => "restart",
        }
    }
}
