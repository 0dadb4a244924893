//! Several threads, one result.
//!
//! One thread walks through the text, hashes and proves it, and puts what there is to read on a
//! board, in blocks. The others, and it too when it is done, read them: each has a range of blocks
//! that follow each other. The first range goes on with the segment's books, others have books of
//! their own. Whoever has no range takes half of what another has left. In the end the ranges' books
//! are added up in the order of the text ([`super::merge`]): the same as if one thread had read it
//! all. A range that cannot be added up exactly is read again.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::books::{Books, Lines};
use crate::schema::plan::Plan;

/// Half a range must be worth books of its own, in bytes.
const WORTH_BOOKS: u64 = if cfg!(test) { 1 } else { 512 << 10 };

/// What is read at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Block<'b> {
    Lines(Lines<'b>),
    /// A line that is a proof, and how many frames it says there were.
    Passed(Option<u64>),
}

#[derive(Debug)]
pub(crate) struct Board<'b> {
    state: Mutex<State<'b>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State<'b> {
    blocks: Vec<Block<'b>>,
    /// Bytes of the blocks up to and including each.
    bytes: Vec<u64>,
    /// The one that begins with the first block is the first.
    ranges: Vec<Range>,
    complete: bool,
    /// The segment's, until someone reads the first range.
    books: Option<Books>,
}

/// Blocks from one on, up to another, or as many as come.
#[derive(Debug)]
struct Range {
    first: usize,
    next: usize,
    end: Option<usize>,
    books: Option<Books>,
}

impl<'b> Board<'b> {
    /// With the books of all that came before.
    pub(crate) fn new(books: Books) -> Self {
        let state = State {
            books: Some(books),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<'b>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, block: Block<'b>) {
        let mut state = self.state();
        let length = match &block {
            Block::Lines(lines) => lines.length as u64,
            Block::Passed(_) => 0,
        };
        let before = state.bytes.last().copied().unwrap_or_default();
        state.bytes.push(before + length);
        state.blocks.push(block);
        self.changed.notify_all();
    }

    /// Nothing more comes.
    pub(crate) fn complete(&self) {
        self.state().complete = true;
        self.changed.notify_all();
    }

    /// Reads what there is, until there is nothing more.
    pub(crate) fn work(&self, plan: &Plan) {
        while let Some(place) = self.claim() {
            let own = self.state().books.take_if(|_| place == 0);
            let mut books = own.unwrap_or_else(|| Books::part(plan));
            while let Some(block) = self.next(place) {
                take(&mut books, plan, &block);
            }
            self.state().ranges[place].books = Some(books);
        }
    }

    /// A range to read: the first, or half of the largest.
    fn claim(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            if let Some(place) = state.claim() {
                return Some(place);
            }
            if state.complete {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn next(&self, place: usize) -> Option<Block<'b>> {
        let mut state = self.state();
        loop {
            let range = &state.ranges[place];
            let next = range.next;
            if next < state.end_of(range) {
                state.ranges[place].next += 1;
                return Some(state.blocks[next]);
            }
            if range.end.is_some() || state.complete {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The books of all that was read and of what came before.
    pub(crate) fn merge(self, plan: &Plan) -> Books {
        let State {
            blocks,
            mut ranges,
            books,
            ..
        } = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        ranges.sort_by_key(|range| range.first);
        let parts = ranges
            .into_iter()
            .filter_map(|r| Some((r.first..r.next, r.books?)));
        let mut all = books.map(|books| (0..0, books)).into_iter().chain(parts);
        let (_, mut books) = all
            .next()
            .unwrap_or_else(|| unreachable!("who takes the segment's books puts them back"));
        for (range, part) in all {
            if !books.add(part) {
                for block in &blocks[range] {
                    take(&mut books, plan, block);
                }
            }
        }
        books
    }
}

fn take(books: &mut Books, plan: &Plan, block: &Block<'_>) {
    match block {
        Block::Lines(lines) => books.take(plan, lines),
        Block::Passed(frames) => books.pass(*frames),
    }
}

impl State<'_> {
    fn end_of(&self, range: &Range) -> usize {
        range.end.unwrap_or(usize::MAX).min(self.blocks.len())
    }

    /// Bytes of the blocks before one.
    fn bytes_before(&self, block: usize) -> u64 {
        block.checked_sub(1).map_or(0, |last| self.bytes[last])
    }

    fn claim(&mut self) -> Option<usize> {
        let mut range = Range {
            first: 0,
            next: 0,
            end: None,
            books: None,
        };
        if !self.ranges.is_empty() {
            let left = |r: &Range| {
                let end = self.end_of(r);
                self.bytes_before(end) - self.bytes_before(r.next.min(end))
            };
            let place = (0..self.ranges.len()).max_by_key(|place| left(&self.ranges[*place]))?;
            let other = &self.ranges[place];
            let left = left(other);
            if left < 2 * WORTH_BOOKS {
                return None;
            }
            let half = self.bytes_before(other.next) + left / 2;
            let first = self.bytes.partition_point(|bytes| *bytes < half) + 1;
            if first >= self.end_of(other) {
                return None;
            }
            range.first = first;
            range.next = first;
            range.end = other.end;
            self.ranges[place].end = Some(first);
        }
        self.ranges.push(range);
        Some(self.ranges.len() - 1)
    }
}
