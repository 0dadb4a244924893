//! The group that ends a segment which its writer did not: what became of damaged bytes and of
//! the connections. Its records have the time of the last one before them: recovery has no clock.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{OpenConnections, Plan, quarantine};
use crate::segment::{SegmentError, Tally, push_event};
use crate::vfs::Vfs;

/// Torn bytes up to this many stand in the event that cuts them; more go to quarantine.
pub(super) const CUT_INLINE: usize = 4 << 20;

/// What a person should know about a segment that was closed for its writer.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Bytes of the old file that are not in the segment.
    pub(crate) cut_bytes: u64,
    /// The files in which damaged bytes are kept.
    pub(crate) kept: Vec<PathBuf>,
    /// Whether something is missing that had been proved once.
    pub(crate) is_damaged: bool,
    detail: Vec<String>,
}

impl Findings {
    /// Of a segment that is closed where it lies: nothing that was proved is missing.
    pub(super) fn of_repair(cut_bytes: u64, detail: String) -> Self {
        Self {
            cut_bytes,
            detail: Vec::from_iter(Some(detail).filter(|said| !said.is_empty())),
            ..Self::default()
        }
    }

    pub(super) fn say(&mut self, what: String) {
        self.detail.push(what);
    }

    /// In one line.
    pub(crate) fn detail(&self) -> String {
        self.detail.join("; ")
    }
}

/// The group as it grows.
pub(super) struct Closing<'a> {
    vfs: &'a dyn Vfs,
    plan: &'a Plan<'a>,
    /// The segment's name: kept bytes are called after it.
    name: String,
    /// The time of the last record before this group.
    pub(super) last_ns: i64,
    pub(super) lines: Vec<u8>,
    pub(super) tally: Tally,
    pub(super) findings: Findings,
}

impl<'a> Closing<'a> {
    pub(super) fn new(vfs: &'a dyn Vfs, plan: &'a Plan<'a>, name: String) -> Self {
        Self {
            vfs,
            plan,
            name,
            last_ns: 0,
            lines: Vec::new(),
            tally: Tally::default(),
            findings: Findings::default(),
        }
    }

    /// Keeps bytes beside the segment; says under which name.
    pub(super) fn keep(
        &mut self,
        offset: u64,
        what: &str,
        bytes: &[u8],
    ) -> Result<String, SegmentError> {
        let own = format!("{}.{offset}.{what}", self.name);
        let path = quarantine::keep(self.vfs, self.plan.quarantine, &own, bytes)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.into_owned();
        self.findings.kept.push(path);
        Ok(name)
    }

    /// Tells of bytes that were proved once and are not any more. How many frames were among them
    /// is known where a later checkpoint counts.
    pub(super) fn corrupt(&mut self, offset: u64, bytes: usize, kept: &str, lost: Option<u64>) {
        let frames = lost.map_or("an unknown number of".to_owned(), |lost| lost.to_string());
        self.findings.is_damaged = true;
        self.findings.say(format!(
            "{bytes} corrupt bytes at {offset}, {frames} frames, lie in quarantine"
        ));
        self.event(&json!({
            "kind": "corrupt", "offset": offset, "bytes": bytes, "frames": lost,
            "quarantined": kept,
        }));
    }

    /// Cuts bytes that nobody was told are durable.
    pub(super) fn torn(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SegmentError> {
        self.findings.cut_bytes = bytes.len() as u64;
        self.findings.say(format!("{} torn bytes cut", bytes.len()));
        let mut event = json!({ "kind": "cut", "offset": offset, "bytes": bytes.len() });
        if bytes.len() <= CUT_INLINE {
            event["raw_b64"] = STANDARD.encode(bytes).into();
        } else {
            event["quarantined"] = self.keep(offset, "cut", bytes)?.into();
        }
        self.event(&event);
        Ok(())
    }

    /// Ends the connections that are open and go on nowhere: nobody knows what they missed.
    pub(super) fn end_connections(&mut self, open: &mut OpenConnections) {
        open.end(self.plan.carried, &mut self.lines, &mut self.tally);
    }

    fn event(&mut self, event: &serde_json::Value) {
        let event = event.to_string();
        push_event(&mut self.lines, self.last_ns, None, event.as_bytes());
        self.tally.event(self.last_ns);
    }
}
