//! The segments of one directory, and what they say about each other.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use crate::segment::{
    Continues, GroupReader, Header, LONGEST_HEADER, Opening, Piece, SegmentError, SegmentName, Uid,
};
use crate::vfs::{Vfs, VfsFile};

/// How much of a first line is read at once: most have a few hundred bytes.
const READ: usize = 4 << 10;

/// A file that is called as segments are. It is not held open: a directory may hold more of them
/// than a process may open.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) name: String,
    /// `None`: it makes no sense, or its first bytes do not even begin one any more.
    pub(super) header: Option<Header>,
    /// Where the header says that another segment ends, if the header is proved.
    continues: Option<Continues>,
}

/// An open file, and what it begins with.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: Box<dyn VfsFile>,
    pub(super) opening: Opening,
}

/// An open file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Box<dyn VfsFile>,
    /// A file that may only be read can still be copied.
    pub(super) is_writable: bool,
}

/// What a segment cannot say about itself.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// Where a segment ends that another continues.
    cuts: HashMap<Uid, u64>,
    /// The connections that were open when a segment's successor began.
    carried: HashMap<Uid, BTreeMap<String, String>>,
}

impl Neighbours {
    /// Of segments in the order of [`find`].
    pub(super) fn of(candidates: &[Candidate]) -> Self {
        let mut neighbours = Self::default();
        let mut before: Option<&Header> = None;
        for one in candidates {
            if let Some(Continues { uid, checkpoint }) = &one.continues {
                neighbours.cuts.insert(uid.clone(), *checkpoint);
            }
            if let Some(header) = &one.header
                && let Some(before) = before.replace(header)
                && before.writer == header.writer
            {
                let carried = &mut neighbours.carried;
                carried.insert(before.uid.clone(), header.open.clone());
            }
        }
        neighbours
    }

    /// Of one segment's directory. What a newer version wrote there says nothing to this one, nor
    /// does a copy of the segment.
    pub(super) fn in_dir(
        vfs: &dyn Vfs,
        dir: &Path,
        own: &Header,
        own_name: &str,
    ) -> Result<Self, SegmentError> {
        let is_copy = |one: &Candidate| {
            one.name != own_name && one.header.as_ref().is_some_and(|it| it.uid == own.uid)
        };
        let mut candidates = Vec::new();
        for name in vfs.list(dir).map_err(SegmentError::io("list", dir))? {
            match candidate(vfs, dir, name) {
                Ok(found) => candidates.extend(found.filter(|one| !is_copy(one))),
                Err(SegmentError::NewerFormat { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        candidates.sort_by_key(|one| by_writer_and_number(&one.name));
        Ok(Self::of(&candidates))
    }

    /// The last checkpoint that counts, where another segment goes on from there.
    pub(super) fn cut(&self, header: &Header) -> Option<u64> {
        self.cuts.get(&header.uid).copied()
    }

    /// The connections of which its writer's next segment tells what became.
    pub(super) fn carried(&self, header: &Header) -> Option<&BTreeMap<String, String>> {
        self.carried.get(&header.uid)
    }
}

/// Every segment in a directory, by writer and number. A newer format is an error.
///
/// A segment is known by its name, which it gets when its header is durable: whatever lies under
/// one and does not begin with a header was damaged, and what is called otherwise is not ours.
pub(super) fn find(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<Candidate>, SegmentError> {
    let mut candidates = Vec::new();
    for name in vfs.list(dir).map_err(SegmentError::io("list", dir))? {
        if SegmentName::parse(&name).is_some() {
            candidates.extend(candidate(vfs, dir, name)?);
        }
    }
    candidates.sort_by_key(|candidate| by_writer_and_number(&candidate.name));
    Ok(candidates)
}

/// What one file is to its neighbours; `None`: hidden or gone. A newer format is an error.
fn candidate(vfs: &dyn Vfs, dir: &Path, name: String) -> Result<Option<Candidate>, SegmentError> {
    let Some(Found { file, opening }) = look_at(vfs, dir, &name)? else {
        return Ok(None);
    };
    let header = match opening {
        Opening::Segment(header) => Some(header),
        _ => None,
    };
    let continues = match &header {
        Some(header) if header.continues.is_some() => {
            let path = dir.join(&name);
            let is_proved = proves_itself(file.as_ref(), header);
            let is_proved = is_proved.map_err(SegmentError::io("read", &path))?;
            header.continues.clone().filter(|_| is_proved)
        }
        _ => None,
    };
    Ok(Some(Candidate {
        name,
        header,
        continues,
    }))
}

/// Says whether checkpoint 0 vouches for line 1. What it says cuts another segment, and one
/// flipped bit that leaves it readable would cut durable frames.
fn proves_itself(file: &dyn VfsFile, header: &Header) -> io::Result<bool> {
    let first = GroupReader::new(file, header.uid.clone()).next_piece()?;
    let Some(Piece::Group {
        lines, checkpoint, ..
    }) = first
    else {
        return Ok(false);
    };
    Ok(checkpoint.n == 0 && Opening::read(&lines) == Opening::Segment(header.clone()))
}

/// Opens a file and reads what it begins with; `None`: hidden or gone. A newer format is an error.
pub(super) fn look_at(
    vfs: &dyn Vfs,
    dir: &Path,
    name: &str,
) -> Result<Option<Found>, SegmentError> {
    if name.starts_with('.') {
        return Ok(None);
    }
    let path = dir.join(name);
    let Some(Opened { file, .. }) = open(vfs, &path)? else {
        return Ok(None);
    };
    let line = first_line(file.as_ref()).map_err(SegmentError::io("read", &path))?;
    match Opening::read(&line) {
        Opening::Newer(format) => Err(SegmentError::NewerFormat { path, format }),
        opening => Ok(Some(Found { file, opening })),
    }
}

/// Opens a file; `None`: gone, because another process recovered it meanwhile.
pub(super) fn open(vfs: &dyn Vfs, path: &Path) -> Result<Option<Opened>, SegmentError> {
    let (opened, is_writable) = match vfs.open(path) {
        // Some file systems lock only what may be written, so this is the second choice.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            (vfs.open_to_read(path), false)
        }
        opened => (opened, true),
    };
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => {
            let file = opened.map_err(SegmentError::io("open", path))?;
            Ok(Some(Opened { file, is_writable }))
        }
    }
}

/// The first line, or what there is of it where a header's would have ended.
fn first_line(file: &dyn VfsFile) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.len() < LONGEST_HEADER {
        let have = line.len();
        line.resize(have + READ, 0);
        let read = file.read_at(have as u64, &mut line[have..])?;
        line.truncate(have + read);
        if let Some(len) = memchr::memchr(b'\n', &line[have..]) {
            line.truncate(have + len);
            break;
        }
        if read == 0 {
            break;
        }
    }
    Ok(line)
}

fn by_writer_and_number(name: &str) -> (Option<String>, u64) {
    SegmentName::parse(name).map_or((None, 0), |name| (name.writer, name.counter))
}
