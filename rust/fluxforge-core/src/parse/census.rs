//! The field census: where the wire differs from what the feed says, counted and never fatal.
//!
//! ```text
//! unknown   a key that the feed does not name
//! missing   a key that the feed names, absent from an object
//! null      a null where the feed names a value
//! retyped   a number where the feed says string, or the other way round
//! ```
//!
//! Counted by channel and path, for frames that became rows: what a reject lacks stands in its
//! reason. Rows that follow their template differ in nothing, so they are not looked at.

use std::collections::{BTreeMap, HashMap};

use super::scan::{Scanner, Text};
use crate::schema::plan::{Level, Plan};

/// Distinct unknown keys counted per channel; more are summed under [`OTHERS`].
const MAX_UNKNOWN: usize = 256;
const OTHERS: &str = "(others)";

/// A longer name is cut: what a venue sends must not blow up the books.
const MAX_NAME: usize = 128;

/// Channel, then path, then how often.
pub type FieldCounts = BTreeMap<String, BTreeMap<String, u64>>;

/// What differed between wire and feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Keys that the feed does not name.
    pub unknown: FieldCounts,
    /// Keys that the feed names and an object lacked.
    pub missing: FieldCounts,
    /// Keys whose value was null.
    pub null: FieldCounts,
    /// Keys whose value was a number where the feed says string, or the other way round.
    pub retyped: FieldCounts,
}

/// How a known key surprised.
#[derive(Debug, Clone, Copy)]
enum Odd {
    Missing,
    Null,
    Retyped,
}

/// The counts so far, and what the frame under way adds if it is kept.
#[derive(Debug, Default)]
pub(crate) struct Census {
    unknown: Vec<Box<str>>,
    odd: Vec<(usize, Odd)>,
    channels: HashMap<Box<[u8]>, Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    unknown: BTreeMap<String, u64>,
    /// By the field's slot, then by [`Odd`].
    odd: BTreeMap<usize, [u64; 3]>,
}

impl Census {
    /// A frame begins.
    pub(crate) fn begin(&mut self) {
        self.unknown.clear();
        self.odd.clear();
    }

    /// Whether the frame has shown nothing that counts so far.
    pub(crate) fn is_quiet(&self) -> bool {
        self.unknown.is_empty() && self.odd.is_empty()
    }

    /// Looks at a known key's value, which begins where the scanner is.
    #[inline]
    pub(crate) fn look(&mut self, level: &Level, index: usize, scanner: &Scanner<'_>) {
        if !level.fields[index].wire.begins_with(scanner.peek()) {
            self.look_closer(level, index, scanner.clone());
        }
    }

    #[cold]
    fn look_closer(&mut self, level: &Level, index: usize, mut scanner: Scanner<'_>) {
        scanner.whitespace();
        let odd = match scanner.peek() {
            byte if level.fields[index].wire.begins_with(byte) => return,
            b'n' => Odd::Null,
            _ => Odd::Retyped,
        };
        self.odd.push((level.slot_of(index), odd));
    }

    /// An object has ended; these of its level's keys were seen.
    #[inline]
    pub(crate) fn ended(&mut self, level: &Level, seen: u64) {
        if seen & level.named != level.named {
            self.note_missing(level, seen);
        }
    }

    #[cold]
    fn note_missing(&mut self, level: &Level, seen: u64) {
        let missing = level.named & !seen;
        let fields = (0..level.fields.len()).filter(|index| missing & 1 << index != 0);
        self.odd
            .extend(fields.map(|index| (level.slot_of(index), Odd::Missing)));
    }

    /// Notes a key that the feed does not name.
    #[cold]
    pub(crate) fn unknown(&mut self, level: &Level, key: Text<'_>) {
        let mut scratch = Vec::new();
        // Half a surrogate pair has no name; its escape has.
        let name = key.decode(&mut scratch).unwrap_or(key.raw);
        let name = String::from_utf8_lossy(name);
        let name: String = level
            .prefix
            .chars()
            .chain(name.chars().take(MAX_NAME))
            .collect();
        self.unknown.push(name.into());
    }

    /// The frame became rows: what it showed counts.
    #[inline]
    pub(crate) fn keep(&mut self, channel: &[u8]) {
        if !self.unknown.is_empty() || !self.odd.is_empty() {
            self.count(channel);
        }
    }

    #[cold]
    fn count(&mut self, channel: &[u8]) {
        if !self.channels.contains_key(channel) {
            self.channels.insert(channel.into(), Counts::default());
        }
        let Some(counts) = self.channels.get_mut(channel) else {
            return;
        };
        for (slot, odd) in self.odd.drain(..) {
            counts.odd.entry(slot).or_default()[odd as usize] += 1;
        }
        let counts = &mut counts.unknown;
        for name in self.unknown.drain(..) {
            let full = counts.len() >= MAX_UNKNOWN && !counts.contains_key(&*name);
            let name = if full { OTHERS } else { &*name };
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Whether a part's counts can be added as if they had been counted here: as long as no channel
    /// has had too many unknown keys, which of them came first does not matter.
    pub(crate) fn can_add(&self, part: &Self) -> bool {
        part.channels.iter().all(|(channel, more)| {
            let known = self.channels.get(channel).map(|counts| &counts.unknown);
            let is_new = |name: &&String| known.is_none_or(|known| !known.contains_key(*name));
            let new = more.unknown.keys().filter(is_new).count();
            let overflowed = more.unknown.contains_key(OTHERS);
            !overflowed && known.map_or(0, BTreeMap::len) + new <= MAX_UNKNOWN
        })
    }

    pub(crate) fn add(&mut self, part: Self) {
        for (channel, more) in part.channels {
            let counts = self.channels.entry(channel).or_default();
            for (name, count) in more.unknown {
                *counts.unknown.entry(name).or_default() += count;
            }
            for (slot, odd) in more.odd {
                let all = counts.odd.entry(slot).or_default();
                all.iter_mut().zip(odd).for_each(|(all, odd)| *all += odd);
            }
        }
    }

    /// All counts, by name.
    pub(crate) fn tell(&mut self, plan: &Plan) -> Fields {
        let mut fields = Fields::default();
        for (name, counts) in self.channels.drain() {
            let channel = String::from_utf8_lossy(&name).into_owned();
            if !counts.unknown.is_empty() {
                fields.unknown.insert(channel.clone(), counts.unknown);
            }
            for level in plan.levels() {
                for (index, field) in level.fields.iter().enumerate() {
                    let Some(&[missing, null, retyped]) = counts.odd.get(&level.slot_of(index))
                    else {
                        continue;
                    };
                    let missing = if field.is_due_on(&name) { missing } else { 0 };
                    let path = format!("{}{}", level.prefix, field.name);
                    for (all, count) in [
                        (&mut fields.missing, missing),
                        (&mut fields.null, null),
                        (&mut fields.retyped, retyped),
                    ] {
                        if count > 0 {
                            let of_channel = all.entry(channel.clone()).or_default();
                            of_channel.insert(path.clone(), count);
                        }
                    }
                }
            }
        }
        fields
    }
}
