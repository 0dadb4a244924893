//! Why a line becomes a reject.

/// A reason in words. Built only when something is wrong, so that the good way stays small; boxed
/// twice for the same end: a result that holds one fits registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(Box<Box<str>>);

impl Fault {
    /// A reason without particulars.
    #[cold]
    pub(crate) fn new(reason: &str) -> Self {
        Self(Box::new(reason.into()))
    }

    /// The JSON grammar is broken at a byte of the frame or its envelope.
    #[cold]
    pub(crate) fn syntax(expected: &str, at: usize) -> Self {
        Self::of(format!("malformed JSON: {expected} expected at byte {at}"))
    }

    /// A field's value is not what the feed says it is.
    #[cold]
    pub(crate) fn field(name: &str, problem: &str) -> Self {
        Self::of(format!("{name} {problem}"))
    }

    /// A reason about a text from the wire, quoted and cut to a readable length.
    #[cold]
    pub(crate) fn quoting(problem: &str, text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let short: String = text.chars().take(80).collect();
        let dots = if short.len() < text.len() { "…" } else { "" };
        Self::of(format!("{problem} {short:?}{dots}"))
    }

    fn of(reason: String) -> Self {
        Self(Box::new(reason.into()))
    }

    pub(crate) fn into_reason(self) -> Box<str> {
        *self.0
    }
}
