//! The lines of a segment that are not records: header, checkpoints, seal.

use serde::Deserialize;

/// The newest format that this version reads.
const FORMAT: u32 = 1;

pub(crate) const HEADER: &[u8] = br#"{"segment":"#;
pub(crate) const CHECKPOINT: &[u8] = br#"{"checkpoint":"#;
pub(crate) const SEAL: &[u8] = br#"{"seal":"#;
const CRC_KEY: &[u8] = br#","crc32c":"#;

/// The segment was written by a newer `FluxForge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the segment has format {0}, this FluxForge knows {FORMAT}: it was written by a newer \
     FluxForge; nothing was changed; upgrade to read it"
)]
pub struct NewerFormat(pub u32);

/// Line 1 of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SegmentHeader {
    /// The format's number.
    pub format: u32,
    /// The label under which it was written.
    pub name: String,
    /// Its identity: 32 hex digits.
    pub uid: String,
    /// The feed.
    pub source: String,
    /// Which of several writers wrote it.
    pub writer: Option<String>,
    /// When it was created, RFC 3339.
    pub created: String,
}

/// Proof of the lines since the checkpoint before it.
#[derive(Debug, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) n: u64,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) prev: String,
    pub(crate) crc32c: String,
}

/// Proof of the whole segment.
#[derive(Debug, Deserialize)]
pub(crate) struct Seal {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) xxh3: String,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Reads line 1. `None` if it is not a header that makes sense.
pub(crate) fn header(line: &[u8]) -> Result<Option<SegmentHeader>, NewerFormat> {
    // A newer header need not have the fields that this version knows.
    match inner::<Format>(line, HEADER) {
        Some(Format { format }) if format > FORMAT => return Err(NewerFormat(format)),
        Some(Format { format: FORMAT }) => {}
        _ => return Ok(None),
    }
    let header = inner::<SegmentHeader>(line, HEADER);
    let is_uid = |uid: &str| uid.len() == 32 && uid.bytes().all(|b| b.is_ascii_hexdigit());
    Ok(header.filter(|header| is_uid(&header.uid)))
}

/// Reads a checkpoint line, and the part of it that its own crc covers.
pub(crate) fn checkpoint(line: &[u8]) -> Option<(Checkpoint, &[u8])> {
    let checkpoint = inner(line, CHECKPOINT)?;
    let covered = memchr::memmem::rfind(line, CRC_KEY)?;
    Some((checkpoint, &line[..covered]))
}

pub(crate) fn seal(line: &[u8]) -> Option<Seal> {
    inner(line, SEAL)
}

/// The value of a line that is an object of one key.
fn inner<'a, T: Deserialize<'a>>(line: &'a [u8], opening: &[u8]) -> Option<T> {
    let value = line.strip_prefix(opening)?.trim_ascii_end();
    serde_json::from_slice(value.strip_suffix(b"}")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_named_whatever_else_the_header_says() {
        assert_eq!(
            header(br#"{"segment":{"format":2,"id":7}}"#),
            Err(NewerFormat(2))
        );
        let message = NewerFormat(2).to_string();
        assert!(
            message.contains("newer") && message.contains("upgrade"),
            "{message}"
        );
    }

    #[test]
    fn a_header_needs_its_uid() {
        let line = |uid: &str| {
            format!(
                r#"{{"segment":{{"format":1,"name":"n","uid":"{uid}","source":"s","writer":null,"created":"c","continues":null}}}}"#
            )
        };
        let good = header(line(&"0a".repeat(16)).as_bytes()).unwrap().unwrap();
        assert_eq!((good.name.as_str(), good.writer), ("n", None));
        assert_eq!(header(line("0a").as_bytes()), Ok(None));
        assert_eq!(header(br#"{"segment":"#), Ok(None));
    }
}
