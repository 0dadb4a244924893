//! What a segment holds beyond a place at which another machine has closed it.
//!
//! A segment that was shipped in pieces ends where somebody closed it, whatever its writer recorded
//! after that: there it has two ends, of which the one in the storage counts. What the writer's own
//! file holds beyond becomes a segment of its own, which `continues` the first from that
//! checkpoint. It needs no clock and no chance: made again after a crash it is the same segment,
//! with the same identity, so it can be published any number of times and counts once.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::append::active::{ActiveSegment, WriteFault};
use crate::seal::name_apart;
use crate::segment::{
    Checkpoint, Continues, Durability, GroupReader, Header, Opening, Piece, SealLine, SegmentError,
    Uid, Xxh3,
};
use crate::vfs::{Vfs, VfsFile};

use super::OpenConnections;
use super::neighbours::{Found, look_at};

/// Writes what follows the checkpoint that ends at `offset` of the sealed segment at `path` into a
/// directory, as a sealed segment. Says where it lies; `None` if nothing follows but the seal.
pub fn remainder(
    vfs: &dyn Vfs,
    path: &Path,
    offset: u64,
    into: &Path,
) -> Result<Option<PathBuf>, SegmentError> {
    let damaged = |detail: &str| SegmentError::Damaged {
        path: path.to_owned(),
        detail: detail.to_owned(),
    };
    let (dir, name) = (path.parent(), path.file_name());
    let (dir, name) = (
        dir.unwrap_or(Path::new(".")),
        name.unwrap_or_default().to_string_lossy(),
    );
    let Some(Found {
        file,
        opening: Opening::Segment(old),
    }) = look_at(vfs, dir, &name)?
    else {
        return Err(damaged("its first line is no header"));
    };
    let Some((last, seal)) = survey(file.as_ref(), path, &old, offset)? else {
        return Err(damaged(&format!(
            "it is not whole, or none of its checkpoints ends at {offset}: the rest cannot be told \
             from what was shipped"
        )));
    };
    let uid = uid_of(&old.uid, &last, &seal);
    let header = Header {
        name: name_apart(&name, &uid),
        uid,
        continues: Some(Continues {
            uid: old.uid.clone(),
            checkpoint: last.n,
        }),
        open: BTreeMap::default(),
        ..old.clone()
    };
    let rest = Rest {
        vfs,
        file: file.as_ref(),
        path,
        old,
        offset,
    };
    rest.write(&header, &last, seal.durability, into)
}

/// The checkpoint that ends at `offset` and the seal, if every byte of the file is proved.
fn survey(
    file: &dyn VfsFile,
    path: &Path,
    old: &Header,
    offset: u64,
) -> Result<Option<(Checkpoint, SealLine)>, SegmentError> {
    let mut reader = GroupReader::new(file, old.uid.clone());
    let (mut last, mut seal) = (None, None);
    while let Some(piece) = reader
        .next_piece()
        .map_err(SegmentError::io("read", path))?
    {
        match piece {
            Piece::Group {
                checkpoint, end, ..
            } if end == offset => last = Some(checkpoint),
            Piece::Group { .. } => {}
            Piece::Seal(found) => seal = Some(found),
            Piece::Corrupt { .. } | Piece::Tail { .. } => return Ok(None),
        }
    }
    Ok(last.zip(seal))
}

/// Of this segment's rest from this checkpoint on, and of no other's: the seal's hash is over all
/// that the rest can hold.
fn uid_of(old: &Uid, last: &Checkpoint, seal: &SealLine) -> Uid {
    let half = |which: u8| {
        let mut hash = Xxh3::new();
        hash.update(&[which]);
        hash.update(format!("{old} {} {}", last.n, seal.xxh3).as_bytes());
        hash.digest().to_be_bytes()
    };
    let mut bytes = [0; 16];
    let (left, right) = bytes.split_at_mut(8);
    left.copy_from_slice(&half(0));
    right.copy_from_slice(&half(1));
    Uid::from_bytes(bytes)
}

struct Rest<'a> {
    vfs: &'a dyn Vfs,
    file: &'a dyn VfsFile,
    path: &'a Path,
    old: Header,
    offset: u64,
}

impl Rest<'_> {
    fn write(
        &self,
        header: &Header,
        last: &Checkpoint,
        durability: Durability,
        into: &Path,
    ) -> Result<Option<PathBuf>, SegmentError> {
        let hidden = into.join(format!(".remainder_{}", header.name));
        let refused = |fault| match fault {
            WriteFault::NoSpace => {
                SegmentError::io("write", &hidden)(std::io::ErrorKind::StorageFull.into())
            }
            WriteFault::Poisoned(error) => error,
        };
        let (name, mut line) = (header.name.clone(), Vec::new());
        header.push(&mut line);
        let mut fresh = None;
        let mut reader = GroupReader::new(self.file, self.old.uid.clone());
        while let Some(piece) = reader
            .next_piece()
            .map_err(SegmentError::io("read", self.path))?
        {
            let Piece::Group {
                mut lines,
                checkpoint,
                end,
            } = piece
            else {
                continue;
            };
            if end <= self.offset {
                continue;
            }
            let fresh = match &mut fresh {
                Some(fresh) => fresh,
                none => none.insert(ActiveSegment::create(
                    self.vfs,
                    &hidden,
                    header.clone(),
                    &line,
                    last.mono_ns,
                )?),
            };
            let tally = OpenConnections::default().follow(&lines);
            fresh
                .commit(&mut lines, &tally, checkpoint.mono_ns, false)
                .map_err(refused)?;
        }
        let Some(fresh) = fresh else { return Ok(None) };
        let sealed = fresh
            .seal(durability)
            .map_err(|unsealed| refused(unsealed.fault))?;
        sealed.publish_as(self.vfs, into, &name).map(Some)
    }
}
