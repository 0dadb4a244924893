//! Rules that a test can leave out, to show that its suite notices.
//!
//! In what ships no rule is ever left out: the question is answered when it is compiled.

/// A rule whose absence only a crash shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A segment's header says which one it `continues`, and where that must be cut.
    Continues,
    /// A checkpoint's sum covers more than its group: the segment's uid and the sum before it.
    Chain,
    /// Recovery writes the last group again, which only the page cache may hold.
    LastGroup,
}

/// Whether this thread's test does without a rule.
#[cfg(not(test))]
pub(crate) const fn is_left_out(_: Rule) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switch::{is_left_out, leave_out};

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        static LEFT_OUT: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    pub(crate) fn is_left_out(rule: Rule) -> bool {
        LEFT_OUT.get() == Some(rule)
    }

    /// Does without a rule on this thread, as long as what this returns lives.
    pub(crate) fn leave_out(rule: Rule) -> impl Drop {
        struct Back;
        impl Drop for Back {
            fn drop(&mut self) {
                LEFT_OUT.set(None);
            }
        }
        LEFT_OUT.set(Some(rule));
        Back
    }
}
