//! The grammar on 64 bytes at once, one bit for each.
//!
//! Blanks and the insides of strings left out, JSON's grammar is about neighbours: what may follow
//! a comma, what may follow a string. A mask of tokens moved to the places of those that follow
//! them ([`Carry::next`]) answers that for a whole block. Only what lies in what needs a loop, over
//! the brackets alone: whether a stretch between two of them is inside an object or an array
//! decides what its commas and colons mean.
//!
//! In a text without errors
//! - a value begins exactly where one is expected: after an opening bracket, a comma or a colon;
//!   only a closing bracket may stand there instead, right after an opening one;
//! - a colon follows a *lone string*, one after an opening bracket or a comma, and nothing else;
//! - inside an object a lone string is always followed by a colon, and only a lone string may
//!   follow an opening bracket or a comma;
//! - inside an array no colon stands at all.
//!
//! Most text is compact: it is looked at as if it had no blanks, where what follows a token is the
//! next byte, and once more if a blank shows up.
//!
//! Numbers, literals and escapes are few: [`Walk`] reads each where it stands. So it does all of a
//! text with control characters, with tabs between tokens, nested deeply, or of a single scalar.

use std::ops::ControlFlow::{self, Break, Continue};

use super::walk::Walk;
use crate::simd::{BLOCK, Lens, Look};

/// What can be said of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    /// The grammar is right, and something is not ASCII.
    YesIfUtf8,
    No,
    /// [`super::walk`] shall say it.
    Unclear,
    /// There are blanks where none were thought to be.
    Blank,
}

/// A frame to be looked at.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a>(pub(super) &'a [u8]);

impl Look for Blocks<'_> {
    type Seen = Verdict;

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for each lens's instructions"
    )]
    fn through(self, lens: impl Lens) -> Verdict {
        if !matches!(self.0.first(), Some(b'{' | b'[')) {
            return Verdict::Unclear;
        }
        match Text::<false>::new(self.0).all(lens) {
            Verdict::Blank => Text::<true>::new(self.0).all(lens),
            verdict => verdict,
        }
    }
}

/// What a block leaves for the next.
struct Text<'a, const BLANKS: bool> {
    bytes: &'a [u8],
    /// Where the next block begins.
    at: usize,
    /// All ones if that is inside a string.
    in_string: u64,
    /// Up to here bytes belong to escapes.
    escaped: usize,
    after_open: Carry<BLANKS>,
    after_either: Carry<BLANKS>,
    after_any: Carry<BLANKS>,
    after_lone: Carry<BLANKS>,
    /// 1 if a lone string goes on.
    in_lone: u64,
    /// What is not part of a number or literal.
    others: u64,
    /// Below a marker, a bit per open bracket: 1 for an object. The innermost is the lowest.
    levels: u64,
    is_ascii: bool,
}

impl<'a, const BLANKS: bool> Text<'a, BLANKS> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            in_string: 0,
            escaped: 0,
            after_open: Carry(0),
            after_either: Carry(0),
            // The text's value stands as if after a colon.
            after_any: Carry(1 << 63),
            after_lone: Carry(0),
            in_lone: 0,
            others: !0,
            levels: 1,
            is_ascii: true,
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for each lens's instructions"
    )]
    fn all(mut self, lens: impl Lens) -> Verdict {
        // Nothing that is right and has come to its end is made wrong by brackets behind it, and
        // `ended` knows those that are none of its own.
        let mut padded = [b'}'; BLOCK];
        for piece in self.bytes.chunks(BLOCK) {
            let block = piece.try_into().unwrap_or_else(|_| {
                padded[..piece.len()].copy_from_slice(piece);
                &padded
            });
            if let Break(verdict) = self.block(lens, block) {
                return verdict;
            }
        }
        Verdict::No
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for each lens's instructions"
    )]
    fn block(&mut self, lens: impl Lens, block: &[u8; BLOCK]) -> ControlFlow<Verdict> {
        let mut masks = lens.masks(block);
        if masks.rare || self.escaped > self.at {
            let rare = lens.rare(block);
            if rare.is_control {
                return Break(Verdict::Unclear);
            }
            self.is_ascii &= rare.is_ascii;
            let (escapes, end) = escapes(self.bytes, self.at, rare.backslash, self.escaped)?;
            masks.quote &= !escapes;
            self.escaped = end;
        }
        // From an opening quote up to but excluding the closing one.
        let strings = lens.odd_below(masks.quote) ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(strings >> 63);
        let begins = masks.quote & strings;
        let comma = masks.comma & !strings;
        let colon = masks.colon & !strings;
        let open = masks.open & !strings;
        let close = masks.close & !strings;
        let blank = masks.space & !strings;
        if !BLANKS && blank != 0 {
            return Break(Verdict::Blank);
        }

        let others = strings | masks.quote | comma | colon | open | close | blank;
        let scalars = !others & (others << 1 | self.others >> 63);
        self.others = others;

        let after_open = self.after_open.next(open, blank);
        let after_either = self.after_either.next(open | comma, blank);
        let expected = self.after_any.next(open | comma | colon, blank);
        let values = begins | open | scalars;
        let empty = after_open & close;
        let misplaced = (values ^ expected) & !empty;

        let lone_ends = self.lone_ends(begins & after_either, strings);
        let after_lone = self.after_lone.next(lone_ends, blank);
        let stray_colon = colon & !after_lone;
        // What can stand in arrays only.
        let array = (after_lone & !colon) | (after_either & !begins & !close);
        if misplaced | stray_colon != 0 {
            return Break(Verdict::No);
        }
        if scalars != 0 {
            are_scalars(self.bytes, self.at, scalars)?;
        }
        self.brackets(block, open, close, [colon, array])?;
        self.at += BLOCK;
        Continue(())
    }

    /// The closing quotes of the strings that begin so, among all strings. A sum runs through the
    /// ones of a string.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for each lens's instructions"
    )]
    fn lone_ends(&mut self, begins: u64, strings: u64) -> u64 {
        let (sum, goes_on) = strings.overflowing_add(begins | self.in_lone);
        self.in_lone = u64::from(goes_on);
        sum & !strings
    }

    /// `wrong` is what may not stand inside an array, and what not inside an object.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for each lens's instructions"
    )]
    fn brackets(
        &mut self,
        block: &[u8; BLOCK],
        open: u64,
        close: u64,
        wrong: [u64; 2],
    ) -> ControlFlow<Verdict> {
        let is_wrong = |levels: u64, stretch: u64| wrong[(levels & 1) as usize] & stretch != 0;
        let mut levels = self.levels;
        let mut left = open | close;
        let mut seen = 0;
        while left != 0 {
            let bracket = left & left.wrapping_neg();
            let up_to = bracket | (bracket - 1);
            let place = left.trailing_zeros() as usize;
            let kind = u64::from(block[place] >> 5 & 1);
            if is_wrong(levels, up_to & !seen) {
                return Break(Verdict::No);
            }
            if open & bracket != 0 {
                if levels >> 63 != 0 {
                    return Break(Verdict::Unclear);
                }
                levels = levels << 1 | kind;
            } else {
                if levels & 1 != kind {
                    return Break(Verdict::No);
                }
                levels >>= 1;
                if levels == 1 {
                    return Break(self.ended(place + 1));
                }
            }
            seen = up_to;
            left ^= bracket;
        }
        if is_wrong(levels, !seen) {
            return Break(Verdict::No);
        }
        self.levels = levels;
        Continue(())
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for each lens's instructions"
    )]
    fn ended(&self, place: usize) -> Verdict {
        let rest = self.bytes.get(self.at + place..);
        if !rest.is_some_and(|rest| rest.iter().all(|byte| matches!(byte, b' ' | b'\t'))) {
            Verdict::No
        } else if self.is_ascii {
            Verdict::Yes
        } else {
            Verdict::YesIfUtf8
        }
    }
}

/// Reads each escape that begins in the block here. Says which of its bytes are part of one, and
/// where the last one ends; `end` is where the last one before ended.
#[cold]
fn escapes(
    bytes: &[u8],
    here: usize,
    backslash: u64,
    mut end: usize,
) -> ControlFlow<Verdict, (u64, usize)> {
    let mut escapes = below(end.saturating_sub(here));
    loop {
        let begins = backslash & !escapes;
        if begins == 0 {
            return Continue((escapes, end));
        }
        let place = begins.trailing_zeros() as usize;
        let mut walk = Walk::at(bytes, here + place + 1);
        if walk.escape().is_none() {
            return Break(Verdict::No);
        }
        end = walk.place();
        escapes |= below(end - here) & !below(place);
    }
}

/// Reads each number or literal that begins in the block here.
fn are_scalars(bytes: &[u8], here: usize, mut begins: u64) -> ControlFlow<Verdict> {
    while begins != 0 {
        let place = here + begins.trailing_zeros() as usize;
        if Walk::at(bytes, place).whole_scalar().is_none() {
            return Break(Verdict::No);
        }
        begins &= begins - 1;
    }
    Continue(())
}

/// What goes on in the next block, in the highest bit.
#[derive(Clone, Copy)]
struct Carry<const BLANKS: bool>(u64);

impl<const BLANKS: bool> Carry<BLANKS> {
    /// Where the tokens stand that follow these: the next byte, or the first behind the blanks
    /// there. A sum runs through the ones of a blank stretch.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "compiled for each lens's instructions"
    )]
    fn next(&mut self, tokens: u64, blank: u64) -> u64 {
        let next = tokens << 1 | self.0 >> 63;
        self.0 = tokens;
        if !BLANKS {
            return next;
        }
        let (sum, runs_out) = next.overflowing_add(blank);
        self.0 |= u64::from(runs_out) << 63;
        sum & !blank
    }
}

/// Ones below this bit, of 64 or more all.
fn below(bit: usize) -> u64 {
    1_u64
        .checked_shl(u32::try_from(bit).unwrap_or(u32::MAX))
        .map_or(!0, |bit| bit - 1)
}
