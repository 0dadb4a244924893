//! What the records of a proved segment come to, without reading most of them.
//!
//! A feed's lines resemble each other: the same connection in the same second. A line that differs
//! from an earlier one in the nanoseconds and the frame alone is known for what it is by comparing
//! bytes; all others are read. [`OpenConnections::follow`] says the same and reads each: a test
//! holds the two against each other.

use super::OpenConnections;
use crate::segment::{Body, Payload, Record, Tally};

/// `{"capture_ts":"2025-12-03T14:00:00.`
const HEAD: usize = 35;
const DIGITS: usize = 9;
/// So many connections that take turns are known at once.
const KINDS: usize = 8;

/// Follows the records of a segment.
#[derive(Debug)]
pub(super) struct Trail {
    open: OpenConnections,
    tally: Tally,
    /// How the latest lines begin, up to the nanoseconds, and the time of that.
    head: [u8; HEAD],
    second_ns: i64,
    kinds: Vec<Kind>,
    /// The kind of the latest line.
    latest: usize,
}

/// Lines with frames of one connection.
#[derive(Debug)]
struct Kind {
    /// What stands between the nanoseconds and the frame.
    envelope: Vec<u8>,
    conn: String,
    last_ns: i64,
}

impl Trail {
    /// Goes on from what was open before.
    pub(super) fn new(open: OpenConnections) -> Self {
        Self {
            open,
            tally: Tally::default(),
            head: [0; HEAD],
            second_ns: 0,
            kinds: Vec::new(),
            latest: 0,
        }
    }

    /// What was counted so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What the records come to.
    pub(super) fn finish(mut self) -> (OpenConnections, Tally) {
        self.settle();
        (self.open, self.tally)
    }

    /// Takes whole lines.
    pub(super) fn follow(&mut self, lines: &[u8]) {
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            let line = &lines[std::mem::replace(&mut begin, end + 1)..end];
            if !self.resembles(line) {
                self.read(line);
            }
        }
    }

    /// Counts a line that is like an earlier one; says whether it is.
    fn resembles(&mut self, line: &[u8]) -> bool {
        let Some((head, rest)) = line.split_first_chunk::<HEAD>() else {
            return false;
        };
        let Some((digits, rest)) = rest.split_first_chunk::<DIGITS>() else {
            return false;
        };
        if *head != self.head || rest.last() != Some(&b'}') {
            return false;
        }
        let is_like = |kind: &Kind| rest.starts_with(&kind.envelope);
        if !self.kinds.get(self.latest).is_some_and(is_like) {
            match self.kinds.iter().position(is_like) {
                Some(at) => self.latest = at,
                None => return false,
            }
        }
        let Some(capture_ns) = nanos(digits).and_then(|ns| self.second_ns.checked_add(ns)) else {
            return false;
        };
        self.kinds[self.latest].last_ns = capture_ns;
        self.tally.frame(capture_ns);
        true
    }

    /// Counts any line. Only the header and the checkpoints are no records.
    fn read(&mut self, line: &[u8]) {
        let Some(record) = Record::read(line) else {
            return;
        };
        let digits = line[HEAD..].first_chunk().and_then(nanos);
        // The earliest times that a number holds have no whole second before them.
        let second_ns = digits.and_then(|ns| record.capture_ns.checked_sub(ns));
        if let (Body::Frame(Payload::Data(data)), Some(conn), Some(second_ns)) =
            (record.body, record.conn, second_ns)
        {
            self.tally.frame(record.capture_ns);
            self.head.copy_from_slice(&line[..HEAD]);
            self.second_ns = second_ns;
            let envelope = &line[HEAD + DIGITS..line.len() - data.len() - b"}".len()];
            self.remember(envelope, conn, record.capture_ns);
        } else {
            self.settle();
            self.tally.add(&self.open.follow_one(&record));
        }
    }

    fn remember(&mut self, envelope: &[u8], conn: &str, capture_ns: i64) {
        let known = self.kinds.iter().position(|kind| kind.conn == conn);
        self.latest = known.unwrap_or_else(|| {
            if self.kinds.len() == KINDS {
                self.settle();
            }
            self.kinds.push(Kind {
                envelope: envelope.to_vec(),
                conn: conn.to_owned(),
                last_ns: 0,
            });
            self.kinds.len() - 1
        });
        self.kinds[self.latest].last_ns = capture_ns;
    }

    /// Hands over what the kinds know and forgets them.
    fn settle(&mut self) {
        for kind in self.kinds.drain(..) {
            self.open.seen(Some(&kind.conn), kind.last_ns);
        }
    }
}

fn nanos(digits: &[u8; DIGITS]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::{push_event, push_frame};

    /// Few connections and times, so that lines are alike, and a few that are strange.
    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let times = prop_oneof![
            6 => 0..3_000_000_000_i64,
            1 => prop_oneof![Just(i64::MAX), Just(i64::MAX - 854_775_807), Just(i64::MIN)],
        ];
        let line = (times, 0..12_usize, 0..10_u8).prop_map(|(at, conn, what)| {
            let conn = ["a", "b", "c 3"]
                .get(conn)
                .map_or(format!("c{conn}"), |&c| c.into());
            let mut line = Vec::new();
            match what {
                0 => push_event(&mut line, at, Some(&conn), br#"{"kind":"disconnected"}"#),
                1 => push_event(&mut line, at, Some(&conn), br#"{"kind":"dropped"}"#),
                2 => push_event(&mut line, at, None, br#"{"kind":"clock"}"#),
                3 => push_frame(&mut line, at, &conn, b"no json"),
                4 => line.extend_from_slice(b"{\"checkpoint\":{}}\n"),
                5 => {
                    push_frame(&mut line, at, &conn, b"{}");
                    line[HEAD + 3] = b'x';
                }
                6 => {
                    push_frame(&mut line, at, &conn, b"{}");
                    let end = line.len() - 2;
                    line[end] = b'!';
                }
                _ => push_frame(&mut line, at, &conn, b"{\"n\":1}"),
            }
            line
        });
        proptest::collection::vec(line, 0..60).prop_map(|lines| lines.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

        #[test]
        fn it_says_what_reading_each_line_says(lines in lines(), pieces in 1..5_usize) {
            let mut expected = OpenConnections::default();
            let tally = expected.follow(&lines);
            let mut trail = Trail::new(OpenConnections::default());
            // Pieces of whole lines, as blocks are.
            let all: Vec<&[u8]> = lines.split_inclusive(|&byte| byte == b'\n').collect();
            all.chunks(pieces).for_each(|some| trail.follow(&some.concat()));
            let (open, counted) = trail.finish();
            prop_assert_eq!(open.to_header(), expected.to_header());
            prop_assert_eq!(counted, tally);
        }
    }
}
