//! Shapes: the text between values, learned from what was read the general way.
//!
//! The same bytes mean the same: where a line's text outside its values is, to the byte, that of a
//! good line before it, only the values need to be read. They are read by the functions that the
//! general way uses, at their places. Whatever surprises, also at the very end, lets the whole line
//! be read again the general way ([`super::books`]); so nothing but speed depends on a shape.
//!
//! What a shape stands for must be the same each time: lines that add to the field census are not
//! learned from, and what names a dictionary's text is forgotten with it.

use super::column::Cell;

/// Shapes kept: channels times connections, and the kinds of events.
const MOST: usize = 24;
/// Shapes that had to go because they fit no line. A feed with so many has none.
const MOST_LOST: u32 = 100;

/// Shapes of one kind, the one that fitted last first to be tried.
#[derive(Debug)]
pub(crate) struct Known<S> {
    shapes: Vec<(S, bool)>,
    last: usize,
    lost: u32,
}

impl<S> Default for Known<S> {
    fn default() -> Self {
        Self {
            shapes: Vec::new(),
            last: 0,
            lost: 0,
        }
    }
}

impl<S> Known<S> {
    /// What is read with the first shape that fits.
    #[inline]
    pub(crate) fn find<R>(&mut self, mut fits: impl FnMut(&S) -> Option<R>) -> Option<(usize, R)> {
        if let Some((shape, _)) = self.shapes.get(self.last)
            && let Some(read) = fits(shape)
        {
            return Some((self.last, read));
        }
        for (place, (shape, used)) in self.shapes.iter_mut().enumerate() {
            if place != self.last
                && let Some(read) = fits(shape)
            {
                (*used, self.last) = (true, place);
                return Some((place, read));
            }
        }
        None
    }

    pub(crate) fn get(&self, place: usize) -> &S {
        &self.shapes[place].0
    }

    #[cold]
    pub(crate) fn learn(&mut self, shape: S) {
        if self.lost >= MOST_LOST {
            return;
        }
        if self.shapes.len() < MOST {
            self.last = self.shapes.len();
            self.shapes.push((shape, false));
        } else if let Some(place) = self.shapes.iter().position(|(_, used)| !used) {
            self.lost += 1;
            self.last = place;
            self.shapes[place] = (shape, false);
        }
    }

    /// The shape that fitted last did so only in part.
    #[cold]
    pub(crate) fn lose_last(&mut self) {
        if self.last < self.shapes.len() {
            self.shapes.swap_remove(self.last);
            self.lost += 1;
        }
    }

    #[cold]
    pub(crate) fn clear(&mut self) {
        self.shapes.clear();
    }
}

/// A value of a line's head, in the order of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    ServerTime,
    Sequence,
    /// The array of events, the last.
    Rows,
}

/// A line from behind its capture time, which comes first, to its rows, and from there to its end.
#[derive(Debug)]
pub(crate) struct LineShape {
    /// The text before each value.
    pub(crate) head: Vec<(Box<[u8]>, Value)>,
    pub(crate) tail: Box<[u8]>,
    pub(crate) conn: i32,
    pub(crate) table: usize,
    pub(crate) channel: Box<[u8]>,
}

/// An object that holds rows, from its brace to them, and from there to its end.
#[derive(Debug)]
pub(crate) struct EventShape {
    /// The text before the product, where the object holds it, and the text before the rows.
    pub(crate) product: Option<Box<[u8]>>,
    pub(crate) rows: Box<[u8]>,
    pub(crate) tail: Box<[u8]>,
    /// What the text says of columns.
    pub(crate) cells: Vec<(usize, Cell)>,
}

/// From where to where a value lies in its line.
pub(crate) type Place = std::ops::Range<usize>;

/// Where the general way found a line's values, as far as it read them where they stand.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) capture: Option<Place>,
    pub(crate) server_time: Option<Place>,
    pub(crate) sequence: Option<Place>,
    pub(crate) rows: Option<(Place, usize)>,
}

impl LineShape {
    /// What a good line teaches, if its values stand in such an order.
    #[cold]
    pub(crate) fn of(line: &[u8], found: &Found, conn: i32, channel: &[u8]) -> Option<Self> {
        let capture = found.capture.clone()?;
        let (rows, table) = found.rows.clone()?;
        let mut values = vec![
            (found.server_time.clone()?, Value::ServerTime),
            (found.sequence.clone()?, Value::Sequence),
            (rows.clone(), Value::Rows),
        ];
        values.sort_by_key(|(place, _)| place.start);
        let mut end = capture.end;
        let mut head = Vec::new();
        for (place, value) in values {
            head.push((line.get(end..place.start)?.into(), value));
            end = place.end;
        }
        let in_order = line.starts_with(CAPTURE) && capture.start == CAPTURE.len();
        (in_order && end == rows.end).then(|| Self {
            head,
            tail: line[end..].into(),
            conn,
            table,
            channel: channel.into(),
        })
    }
}

/// What every line begins with that has a shape.
pub(crate) const CAPTURE: &[u8] = br#"{"capture_ts":"#;
