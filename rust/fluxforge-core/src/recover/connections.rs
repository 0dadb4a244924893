//! Which connections were open when the records stopped.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::segment::{Body, Record, Tally, parse_timestamp, push_event, push_timestamp, timestamp};

/// The connections that have records and no `disconnected` after them, with the time of their
/// last record. Ordered, because what recovery writes must not depend on chance.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenConnections(BTreeMap<String, i64>);

/// What a group's records change about that: the time of the last record, or `None`: closed.
pub(crate) type Changes = BTreeMap<String, Option<i64>>;

/// Says whether an event of ours leaves its connection open (`Some(true)`), closes it, or tells
/// about its past only (`None`).
pub(crate) fn leaves_open(event: &[u8]) -> Option<bool> {
    let event = serde_json::from_slice::<Event<'_>>(event).ok();
    let kind = event.as_ref().map(|event| event.kind.as_ref());
    let reason = event
        .as_ref()
        .and_then(|event| event.reason.as_ref()?.as_str());
    match (kind, reason) {
        // Noticed by the numbers of what came after it.
        (Some("gap"), Some("sequence")) => Some(true),
        (Some("disconnected" | "gap"), _) => Some(false),
        (Some("dropped"), _) => None,
        _ => Some(true),
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    reason: Option<serde_json::Value>,
}

impl OpenConnections {
    /// Looks at a group's lines, and counts them.
    pub(crate) fn follow(&mut self, lines: &[u8]) -> Tally {
        let mut tally = Tally::default();
        let mut begin = 0;
        // A group ends with a line break, so nothing is left after the last.
        for end in memchr::memchr_iter(b'\n', lines) {
            let line = &lines[std::mem::replace(&mut begin, end + 1)..end];
            // Only the header is no record; a proved group holds what its writer wrote.
            let Some(record) = Record::read(line) else {
                continue;
            };
            tally.add(&self.follow_one(&record));
        }
        tally
    }

    /// Looks at one record, and counts it.
    pub(super) fn follow_one(&mut self, record: &Record<'_>) -> Tally {
        let mut tally = Tally::default();
        match record.body {
            Body::Frame(_) => {
                tally.frame(record.capture_ns);
                self.seen(record.conn, record.capture_ns);
            }
            Body::Event(event) => {
                tally.event(record.capture_ns);
                match leaves_open(event) {
                    Some(true) => self.seen(record.conn, record.capture_ns),
                    Some(false) => self.closed(record.conn),
                    None => {}
                }
            }
        }
        tally
    }

    /// Takes over what was said in text, as a header says it about the segment before it.
    pub(crate) fn carry(&mut self, open: &BTreeMap<String, String>) {
        for (conn, last) in open {
            if let Some(last_ns) = parse_timestamp(last.as_bytes()) {
                self.seen(Some(conn), last_ns);
            }
        }
    }

    /// As text: what the next header has to say.
    pub(crate) fn to_header(&self) -> BTreeMap<String, String> {
        self.0
            .iter()
            .map(|(conn, last_ns)| (conn.clone(), timestamp(*last_ns)))
            .collect()
    }

    /// Takes over what a group changed, once it is durable.
    pub(crate) fn apply(&mut self, changes: &Changes) {
        for (conn, last) in changes {
            match last {
                Some(last_ns) => self.seen(Some(conn), *last_ns),
                None => self.closed(Some(conn)),
            }
        }
    }

    /// Says whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn seen(&mut self, conn: Option<&str>, capture_ns: i64) {
        let Some(conn) = conn else { return };
        match self.0.get_mut(conn) {
            Some(last) => *last = capture_ns,
            None => drop(self.0.insert(conn.to_owned(), capture_ns)),
        }
    }

    fn closed(&mut self, conn: Option<&str>) {
        conn.map(|conn| self.0.remove(conn));
    }

    /// Appends a `gap` for each that goes on nowhere, from its last record on: nobody knows what it
    /// missed.
    pub(crate) fn end(
        &mut self,
        carried: Option<&BTreeMap<String, String>>,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) {
        for (conn, last_ns) in std::mem::take(&mut self.0) {
            if carried.is_some_and(|carried| carried.contains_key(&conn)) {
                self.0.insert(conn, last_ns);
                continue;
            }
            let mut event = br#"{"kind":"gap","reason":"writer died","start_ts":""#.to_vec();
            push_timestamp(&mut event, last_ns);
            event.extend_from_slice(b"\",\"end_ts\":null,\"missing\":null}");
            push_event(out, last_ns, Some(&conn), &event);
            tally.event(last_ns);
        }
    }
}
