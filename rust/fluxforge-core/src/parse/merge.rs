//! Books of a part of the segment, added to those of all that came before it: what comes out is
//! what one pair of hands would have written.
//!
//! A part counts its frames from 0, numbers its dictionaries' texts in the order in which it saw
//! them, and keeps the sequence numbers to be judged later. What one pair of hands could not have
//! written so, because a limit was reached, is not added: it is read again instead.

use super::books::{Books, Reject};
use super::dictionary::Dictionary;
use super::partition::Codes;
use super::sequence::ConnectionSequence;
use super::sink::Sink;

impl Books {
    /// Adds the part that comes next. False: it cannot be added exactly, and nothing has happened.
    pub(crate) fn add(&mut self, part: Self) -> bool {
        let Self { sink, .. } = self;
        if !sink.census.can_add(&part.sink.census)
            || !sink.partitions.can_add(&part.sink.partitions)
        {
            return false;
        }
        let frames = u32::try_from(self.balance.frames).unwrap_or(u32::MAX);
        let conns = renumber(&mut self.conns, &part.conns);
        self.add_connections(part.connections, frames);
        self.add_rows(part.sink, &conns, frames);
        let rejects = part.rejects.into_iter().map(|reject| Reject {
            record: reject.record.saturating_add(frames),
            line: reject.line + self.lines,
            ..reject
        });
        self.rejects.extend(rejects);
        self.events.extend(part.events);
        self.pass_counts(&part.counts);
        for (all, more) in self.ignored.iter_mut().zip(&part.ignored) {
            *all += more;
        }
        self.lines += part.lines;
        self.balance.frames += part.balance.frames;
        self.balance.parsed += part.balance.parsed;
        self.balance.rejected += part.balance.rejected;
        self.balance.events += part.balance.events;
        true
    }

    fn add_connections(&mut self, connections: Vec<ConnectionSequence>, frames: u32) {
        for connection in connections {
            let known = self.conns.code_of(&connection.conn);
            let place = self.place_of(known, connection.first_capture_ns);
            self.connections[place].add(&connection, frames);
        }
    }

    fn add_rows(&mut self, part: Sink, conns: &[i32], frames: u32) {
        let Sink {
            dictionaries,
            partitions,
            ..
        } = &mut self.sink;
        let mut codes = Vec::new();
        for (all, more) in dictionaries.iter_mut().zip(&part.dictionaries) {
            let columns = all.iter_mut().zip(more);
            codes.push(columns.map(|(all, more)| renumber(all, more)).collect());
        }
        let codes = Codes {
            conns,
            columns: &codes,
            frames,
        };
        partitions.add(part.partitions, &codes);
        self.sink.census.add(part.census);
    }
}

/// Adds a part's texts; says the number of each.
fn renumber(all: &mut Dictionary, part: &Dictionary) -> Vec<i32> {
    let numbers = part.values().iter().map(|text| all.intern(text.as_bytes()));
    // There are fewer texts than rows, and those have been counted.
    numbers
        .map(|number| number.map_or(0, |(code, _)| code))
        .collect()
}
