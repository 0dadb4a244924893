//! Which key comes after which: learned from the wire, so that the next guess is right.

use super::fault::Fault;
use super::scan::{Scanner, Text};
use crate::schema::plan::{Level, Plan};

/// A key as the feed sees it.
pub(crate) enum Key<'a> {
    Known(usize),
    Unknown(Text<'a>),
}

/// For each level, from its slot on: the field expected first, then the one expected after each
/// field.
#[derive(Debug)]
pub(crate) struct Hints(Vec<usize>);

impl Hints {
    pub(crate) fn new(plan: &Plan) -> Self {
        let declared = |level: &Level| 0..=level.fields.len();
        Self(plan.levels().flat_map(declared).collect())
    }

    /// Takes the key that is expected, with its colon, if it is the one that stands here. `after` is
    /// 0 in a new object and carries the place from key to key; only speed depends on it.
    #[inline]
    pub(crate) fn guess(
        &self,
        scanner: &mut Scanner<'_>,
        level: &Level,
        after: &mut usize,
    ) -> Option<usize> {
        let guess = self.0[level.slot + *after];
        let (text, at) = scanner.whole();
        let length = level
            .fields
            .get(guess)?
            .pattern
            .length_in(text.get(at..)?)?;
        scanner.advance(length);
        *after = guess + 1;
        Some(guess)
    }

    /// Reads a key and its colon.
    #[inline]
    pub(crate) fn key<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        level: &Level,
        after: &mut usize,
    ) -> Result<Key<'a>, Fault> {
        match self.guess(scanner, level, after) {
            Some(index) => Ok(Key::Known(index)),
            None => self.look_up(scanner, level, after),
        }
    }

    #[inline(never)]
    fn look_up<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        level: &Level,
        after: &mut usize,
    ) -> Result<Key<'a>, Fault> {
        // Keys may come in any order, but mostly are written as they are named.
        let (text, at) = scanner.whole();
        let rest = text.get(at..).unwrap_or_default();
        let mut fields = level.fields.iter().enumerate();
        let named = fields.find_map(|(index, field)| Some((index, field.pattern.length_in(rest)?)));
        if let Some((index, length)) = named {
            scanner.advance(length);
            self.0[level.slot + *after] = index;
            *after = index + 1;
            return Ok(Key::Known(index));
        }
        let key = scanner.key()?;
        let mut scratch = Vec::new();
        // Half a surrogate pair names nothing that we know.
        let Ok(name) = key.decode(&mut scratch) else {
            return Ok(Key::Unknown(key));
        };
        let found = level.fields.iter().position(|f| f.name.as_bytes() == name);
        let Some(index) = found else {
            return Ok(Key::Unknown(key));
        };
        self.0[level.slot + *after] = index;
        *after = index + 1;
        Ok(Key::Known(index))
    }
}

/// Notes that a field has been seen; a second time is a fault.
#[inline]
pub(crate) fn once(seen: &mut u64, index: usize, level: &Level) -> Result<(), Fault> {
    let bit = 1 << index;
    if *seen & bit != 0 {
        let field = &level.fields[index].name;
        return Err(Fault::field(field, "occurs twice in one object"));
    }
    *seen |= bit;
    Ok(())
}
