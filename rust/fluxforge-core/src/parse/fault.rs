//! Why a line becomes a reject.

/// A reason in words. Built only when something is wrong, so that the good way stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(Box<str>);

impl Fault {
    /// A reason without particulars.
    #[cold]
    pub(crate) fn new(reason: &str) -> Self {
        Self(reason.into())
    }

    /// The JSON grammar is broken at a byte of the frame or its envelope.
    #[cold]
    pub(crate) fn syntax(expected: &str, at: usize) -> Self {
        Self(format!("malformed JSON: {expected} expected at byte {at}").into())
    }

    /// A field's value is not what the feed says it is.
    #[cold]
    pub(crate) fn field(name: &str, problem: &str) -> Self {
        Self(format!("{name} {problem}").into())
    }

    /// A reason about a text from the wire, quoted and cut to a readable length.
    #[cold]
    pub(crate) fn quoting(problem: &str, text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let short: String = text.chars().take(80).collect();
        let dots = if short.len() < text.len() { "…" } else { "" };
        Self(format!("{problem} {short:?}{dots}").into())
    }

    pub(crate) fn into_reason(self) -> Box<str> {
        self.0
    }
}
