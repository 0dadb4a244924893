//! Which connections were open when the records stopped.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::segment::{Body, Record, Tally, push_event, push_timestamp};

/// The connections that have records and no `disconnected` after them, with the time of their
/// last record. Ordered, because what recovery writes must not depend on chance.
#[derive(Debug, Default)]
pub(crate) struct OpenConnections(BTreeMap<String, i64>);

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl OpenConnections {
    /// Looks at a group's lines, and counts them.
    pub(crate) fn follow(&mut self, lines: &[u8]) -> Tally {
        let mut tally = Tally::default();
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            // Only the header is no record; a proved group holds what its writer wrote.
            let Some(record) = Record::read(line) else {
                continue;
            };
            match record.body {
                Body::Frame(_) => {
                    tally.frame(record.capture_ns);
                    self.seen(record.conn, record.capture_ns);
                }
                Body::Event(event) => {
                    tally.event(record.capture_ns);
                    match serde_json::from_slice::<Kind<'_>>(event) {
                        Ok(event) if matches!(&*event.kind, "disconnected" | "gap") => {
                            self.closed(record.conn);
                        }
                        // It tells about the past of a connection, not that it is open.
                        Ok(event) if event.kind == "dropped" => {}
                        _ => self.seen(record.conn, record.capture_ns),
                    }
                }
            }
        }
        tally
    }

    fn seen(&mut self, conn: Option<&str>, capture_ns: i64) {
        let Some(conn) = conn else { return };
        match self.0.get_mut(conn) {
            Some(last) => *last = capture_ns,
            None => drop(self.0.insert(conn.to_owned(), capture_ns)),
        }
    }

    fn closed(&mut self, conn: Option<&str>) {
        conn.map(|conn| self.0.remove(conn));
    }

    /// Appends a `gap` for each, from its last record on: nobody knows what it missed.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>, tally: &mut Tally) {
        for (conn, last_ns) in std::mem::take(&mut self.0) {
            let mut event = br#"{"kind":"gap","reason":"writer died","start_ts":""#.to_vec();
            push_timestamp(&mut event, last_ns);
            event.extend_from_slice(b"\",\"end_ts\":null,\"missing\":null}");
            push_event(out, last_ns, Some(&conn), &event);
            tally.event(last_ns);
        }
    }
}
