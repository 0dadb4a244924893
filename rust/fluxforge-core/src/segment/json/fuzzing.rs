//! Each way to the verdict, for those who hold them against each other and who measure them.

use super::blocks::Blocks;
use super::{decide, walk};
use crate::simd::Way;

/// How to come to the verdict: token by token, or in blocks that are looked at so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validator {
    /// One token after another.
    Walk,
    /// In blocks.
    Blocks(Way),
}

impl Validator {
    /// Those that this machine has, the walk first.
    pub fn all() -> Vec<Self> {
        let blocks = Way::all().into_iter().map(Self::Blocks);
        std::iter::once(Self::Walk).chain(blocks).collect()
    }

    /// Says what [`crate::segment::is_one_line_json`] says.
    #[inline]
    pub fn is_one_line_json(self, bytes: &[u8]) -> bool {
        match self {
            Self::Walk => walk::is_one_line_json(bytes),
            Self::Blocks(way) => decide(bytes, way.look(Blocks(bytes))),
        }
    }
}

/// Says what all of them say.
///
/// # Panics
/// If they do not say the same.
pub fn json_any(bytes: &[u8]) -> bool {
    let [first, others @ ..] = &Validator::all()[..] else {
        unreachable!("the walk is always there");
    };
    let wanted = first.is_one_line_json(bytes);
    for other in others {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(other.is_one_line_json(bytes), wanted, "{other:?}: {text:?}");
    }
    wanted
}
