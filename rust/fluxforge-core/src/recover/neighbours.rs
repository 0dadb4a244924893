//! The segments of one directory, and what they say about each other.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::segment::{Header, LONGEST_HEADER, Opening, SegmentError, SegmentName, Uid};
use crate::vfs::{Vfs, VfsFile};

/// How much of a first line is read at once: most have a few hundred bytes.
const READ: usize = 4 << 10;

/// A file that is called as segments are.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) file: Box<dyn VfsFile>,
    /// `None`: it makes no sense, or its first bytes do not even begin one any more.
    pub(super) header: Option<Header>,
}

/// An open file, and what it begins with.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: Box<dyn VfsFile>,
    pub(super) opening: Opening,
}

/// What a segment cannot say about itself.
#[derive(Debug)]
pub(super) struct Neighbours {
    /// Where a segment ends that another continues.
    cuts: HashMap<Uid, u64>,
    last_of_writer: HashMap<Option<String>, String>,
}

impl Neighbours {
    /// Of segments in the order of [`find`].
    pub(super) fn of(candidates: &[Candidate]) -> Self {
        let named = |one: &Candidate| Some((one.header.clone()?, one.name.clone()));
        Self::named(candidates.iter().filter_map(named))
    }

    /// Of one segment's directory. What a newer version wrote there says nothing to this one, nor
    /// does a copy of the segment.
    pub(super) fn in_dir(
        vfs: &dyn Vfs,
        dir: &Path,
        own: &Header,
        own_name: &str,
    ) -> Result<Self, SegmentError> {
        let mut named = Vec::new();
        for name in vfs.list(dir).map_err(SegmentError::io("list", dir))? {
            // A directory may hold more segments than a process may open files.
            match look_at(vfs, dir, &name) {
                Ok(Some(Found {
                    opening: Opening::Segment(header),
                    ..
                })) if header.uid != own.uid || name == own_name => named.push((header, name)),
                Ok(_) | Err(SegmentError::NewerFormat { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        named.sort_by_key(|(_, name)| by_writer_and_number(name));
        Ok(Self::named(named.into_iter()))
    }

    fn named(headers: impl Iterator<Item = (Header, String)> + Clone) -> Self {
        let continued = headers.clone().filter_map(|(header, _)| header.continues);
        Self {
            cuts: continued.map(|one| (one.uid, one.checkpoint)).collect(),
            last_of_writer: headers
                .map(|(header, name)| (header.writer, name))
                .collect(),
        }
    }

    /// The last checkpoint that counts, where another segment goes on from there.
    pub(super) fn cut(&self, header: &Header) -> Option<u64> {
        self.cuts.get(&header.uid).copied()
    }

    /// Says whether no later segment tells what became of this one's connections.
    pub(super) fn is_last_of_its_writer(&self, header: &Header, name: &str) -> bool {
        self.last_of_writer
            .get(&header.writer)
            .is_none_or(|last| last == name)
    }
}

/// Every segment in a directory, by writer and number. A newer format is an error.
///
/// A segment is known by its name, which it gets when its header is durable: whatever lies under
/// one and does not begin with a header was damaged, and what is called otherwise is not ours.
pub(super) fn find(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<Candidate>, SegmentError> {
    let mut candidates = Vec::new();
    for name in vfs.list(dir).map_err(SegmentError::io("list", dir))? {
        if SegmentName::parse(&name).is_none() {
            continue;
        }
        let Some(Found { file, opening }) = look_at(vfs, dir, &name)? else {
            continue;
        };
        let header = match opening {
            Opening::Segment(header) => Some(header),
            _ => None,
        };
        candidates.push(Candidate { name, file, header });
    }
    candidates.sort_by_key(|candidate| by_writer_and_number(&candidate.name));
    Ok(candidates)
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
    let file = match open(vfs, &path) {
        // Recovered by another process meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(SegmentError::io("open", &path))?,
    };
    let line = first_line(file.as_ref()).map_err(SegmentError::io("read", &path))?;
    match Opening::read(&line) {
        Opening::Newer(format) => Err(SegmentError::NewerFormat { path, format }),
        opening => Ok(Some(Found { file, opening })),
    }
}

/// Recovery never writes to what it finds, but some file systems lock only what may be written.
fn open(vfs: &dyn Vfs, path: &Path) -> io::Result<Box<dyn VfsFile>> {
    match vfs.open(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            vfs.open_to_read(path)
        }
        opened => opened,
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
