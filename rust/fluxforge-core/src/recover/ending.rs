//! The end that a segment is about to get, durable beside it before the segment is touched.
//!
//! The file `.ending_{name}` holds one line that says where the end belongs, and then its bytes.
//! It gets that name when it is durable, so whoever finds one may rely on it, and need not know
//! how much of it has reached the segment.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::name_of;
use crate::segment::{Header, SealLine, SegmentError, Uid, Xxh3};
use crate::vfs::{Vfs, append_all, read_to_end};

const READY: &str = ".ending_";
/// Not yet durable.
const GROWING: &str = ".preparing_";

/// The bytes, and what is told when they are written.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) told: Told,
    pub(super) bytes: Vec<u8>,
    /// Their last line.
    pub(super) seal: SealLine,
}

/// What line 1 says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    /// The segment's identity.
    pub(super) uid: Uid,
    /// Where the bytes belong in it. They are its last.
    pub(super) offset: u64,
    /// Of the bytes, 16 hex digits.
    pub(super) xxh3: String,
    /// The torn bytes that stand in an event now.
    pub(super) cut_bytes: u64,
    /// What a person should know.
    pub(super) detail: String,
    /// The connections that the next segment takes over, with the times of their last records.
    pub(super) open: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    ending: T,
}

impl Ending {
    /// What was prepared for the segment at `path`, if it is whole.
    pub(super) fn find(
        vfs: &dyn Vfs,
        path: &Path,
        header: &Header,
    ) -> Result<Option<Self>, SegmentError> {
        let own = beside(path, READY);
        let text = match vfs.open_to_read(&own) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.and_then(|file| read_to_end(file.as_ref())),
        };
        let text = text.map_err(SegmentError::io("read", &own))?;
        Ok(Self::read(&text).filter(|ending| ending.told.uid == header.uid))
    }

    fn read(text: &[u8]) -> Option<Self> {
        let (line, bytes) = text.split_at(memchr::memchr(b'\n', text)? + 1);
        let Line { ending: told } = serde_json::from_slice::<Line<Told>>(line).ok()?;
        let last = bytes
            .trim_ascii_end()
            .rsplit(|&byte| byte == b'\n')
            .next()?;
        let seal = SealLine::read(last)?;
        (told.xxh3 == xxh3(bytes)).then(|| Self {
            told,
            bytes: bytes.to_vec(),
            seal,
        })
    }

    /// Makes it durable beside the segment at `path`.
    pub(super) fn prepare(&self, vfs: &dyn Vfs, path: &Path) -> Result<(), SegmentError> {
        let (growing, ready) = (beside(path, GROWING), beside(path, READY));
        let dir = ready.parent().unwrap_or(Path::new("."));
        let write = || -> io::Result<()> {
            forget(vfs, &growing)?;
            let mut text = serde_json::to_vec(&Line { ending: &self.told })?;
            text.push(b'\n');
            text.extend_from_slice(&self.bytes);
            let mut file = vfs.create_new(&growing)?;
            append_all(file.as_mut(), &text)?;
            file.sync_data()?;
            vfs.rename(&growing, &ready)?;
            vfs.sync_dir(dir)
        };
        write().map_err(|error| {
            // On a full disk it would hold the very room that is waited for.
            let _ = vfs.unlink(&growing);
            SegmentError::io("prepare the end of a segment in", &ready)(error)
        })
    }
}

/// The hash that line 1 gives for its bytes.
pub(super) fn xxh3(bytes: &[u8]) -> String {
    let mut hash = Xxh3::new();
    hash.update(bytes);
    format!("{:016x}", hash.digest())
}

/// Removes what was prepared for a segment that has its end. The caller syncs the directory.
pub(super) fn discard(vfs: &dyn Vfs, path: &Path) -> Result<(), SegmentError> {
    let own = beside(path, READY);
    forget(vfs, &own).map_err(SegmentError::io("remove", &own))
}

/// Removes what was prepared for a segment that is about to be closed in another way: the next
/// recovery would write it into what lies there then.
pub(super) fn give_up(vfs: &dyn Vfs, path: &Path) -> Result<(), SegmentError> {
    let own = beside(path, READY);
    if vfs
        .exists(&own)
        .map_err(SegmentError::io("look up", &own))?
    {
        super::remove(vfs, &own)?;
    }
    Ok(())
}

/// Removes what was prepared for segments that are gone. It holds nothing that they do not hold.
pub(super) fn sweep(vfs: &dyn Vfs, active: &Path) -> io::Result<()> {
    let names = vfs.list(active)?;
    for name in &names {
        let of = name
            .strip_prefix(READY)
            .or_else(|| name.strip_prefix(GROWING));
        if of.is_some_and(|of| {
            names
                .binary_search_by(|name| name.as_str().cmp(of))
                .is_err()
        }) {
            forget(vfs, &active.join(name))?;
        }
    }
    Ok(())
}

fn forget(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    match vfs.unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, prefix: &str) -> PathBuf {
    path.with_file_name(format!("{prefix}{}", name_of(path)))
}
