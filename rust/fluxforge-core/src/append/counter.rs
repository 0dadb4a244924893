//! The number in a segment's name: persisted, so that no name is ever given twice.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::recover::Place;
use crate::segment::{Hour, SegmentError, SegmentName};
use crate::vfs::{Vfs, VfsFile, append_all, read_to_end};

const FORMAT: u64 = 1;
/// A writer holds the lock of this file in active/, its id appended, as long as it lives.
pub(crate) const LOCK_FILE: &str = ".lock";

/// Hands out names. What it hands out is on disk as taken before anyone can use it.
#[derive(Debug)]
pub(crate) struct Counter {
    path: PathBuf,
    writer: Option<String>,
    next: u64,
    hour: Hour,
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    counter: T,
}

#[derive(Serialize, Deserialize)]
struct Fields {
    format: u64,
    next: u64,
    hour: Hour,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

/// Locks the directory for a writer id as long as the returned file is open.
pub(crate) fn lock_writer(
    vfs: &dyn Vfs,
    active: &Path,
    writer: Option<&str>,
) -> Result<Box<dyn VfsFile>, SegmentError> {
    // A file of its own: the counter's is replaced, and a lock does not move along.
    let path = active.join(with_writer(LOCK_FILE, writer));
    let file = match vfs.create_new(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => vfs.open(&path),
        file => file,
    };
    let file = file.map_err(SegmentError::io("open", &path))?;
    if file.try_lock().map_err(SegmentError::io("lock", &path))? {
        Ok(file)
    } else {
        Err(SegmentError::Locked {
            dir: active.to_owned(),
            writer: writer.map(str::to_owned),
        })
    }
}

/// The hidden name under which a writer's segment begins.
pub(crate) fn opening_path(active: &Path, writer: Option<&str>) -> PathBuf {
    active.join(with_writer(".opening", writer))
}

pub(crate) fn with_writer(stem: &str, writer: Option<&str>) -> String {
    writer.map_or_else(|| stem.to_owned(), |writer| format!("{stem}_{writer}"))
}

impl Counter {
    /// Reads the writer's counter; the caller holds the writer's lock. Where there is none, the
    /// names that lie about tell how far an earlier one had come.
    pub(crate) fn load(
        vfs: &dyn Vfs,
        place: &Place,
        writer: Option<&str>,
    ) -> Result<Self, SegmentError> {
        let path = place.active.join(with_writer(".counter", writer));
        let mut counter = Self {
            path,
            writer: writer.map(str::to_owned),
            next: 1,
            hour: Hour::of(0),
        };
        match vfs.open(&counter.path) {
            Ok(file) => {
                let text = read_to_end(file.as_ref());
                counter.read(&text.map_err(SegmentError::io("read", &counter.path))?)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(SegmentError::io("open", &counter.path)(error)),
        }
        for dir in [&place.active, &place.ready, &place.quarantine] {
            for name in vfs.list(dir).map_err(SegmentError::io("list", dir))? {
                let taken = SegmentName::parse(&name).filter(|name| name.writer == counter.writer);
                let Some(taken) = taken else { continue };
                // No writer comes to the greatest number: whoever gave that name takes no turn.
                if let Some(next) = taken.counter.checked_add(1) {
                    let hour = Hour::parse(&taken.hour);
                    counter.next = counter.next.max(next);
                    counter.hour = counter.hour.max(hour.unwrap_or(counter.hour));
                }
            }
        }
        Ok(counter)
    }

    fn read(&mut self, text: &[u8]) -> Result<(), SegmentError> {
        if let Ok(Line {
            counter: FormatOnly { format },
        }) = serde_json::from_slice(text)
            && format > FORMAT
        {
            return Err(SegmentError::NewerFormat {
                path: self.path.clone(),
                format,
            });
        }
        let Line { counter } = serde_json::from_slice::<Line<Fields>>(text).map_err(|error| {
            SegmentError::Damaged {
                path: self.path.clone(),
                detail: format!(
                    "no segment counter ({error}). Remove it if every segment of this writer \
                     still lies in active or ready; else write one whose next is above them all"
                ),
            }
        })?;
        self.next = counter.next;
        self.hour = counter.hour;
        Ok(())
    }

    /// Takes the next name, durably. The hour never goes back, whatever the clock does.
    pub(crate) fn take(
        &mut self,
        vfs: &dyn Vfs,
        now: Hour,
    ) -> Result<(String, Hour), SegmentError> {
        let hour = self.hour.max(now);
        let next = self.next.checked_add(1).ok_or_else(|| self.exhausted())?;
        let fields = Fields {
            format: FORMAT,
            next,
            hour,
        };
        let text = serde_json::to_vec(&Line { counter: fields }).expect("numbers");
        self.replace(vfs, &text)
            .map_err(SegmentError::io("write", &self.path))?;
        let taken = SegmentName {
            hour: hour.to_string(),
            counter: self.next,
            writer: self.writer.clone(),
        };
        self.next = next;
        self.hour = hour;
        Ok((taken.to_string(), hour))
    }

    #[cold]
    fn exhausted(&self) -> SegmentError {
        SegmentError::Damaged {
            path: self.path.clone(),
            detail: format!(
                "{} is the last number that a segment can have: take the segment with the number \
                 before it out of active, ready and quarantine, and write a lower next",
                self.next
            ),
        }
    }

    fn replace(&self, vfs: &dyn Vfs, text: &[u8]) -> io::Result<()> {
        let fresh = self
            .path
            .with_file_name(with_writer(".counting", self.writer.as_deref()));
        match vfs.unlink(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = vfs.create_new(&fresh)?;
        append_all(file.as_mut(), text)?;
        file.sync_data()?;
        vfs.rename(&fresh, &self.path)?;
        vfs.sync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::faulty::FaultyVfs;

    #[test]
    fn the_greatest_number_is_no_number_to_go_on_from() {
        let place = Place {
            active: "/a".into(),
            ready: "/r".into(),
            quarantine: "/q".into(),
        };
        let vfs = FaultyVfs::new();
        for dir in [&place.active, &place.ready, &place.quarantine] {
            vfs.mkdir(dir).unwrap();
        }
        let name = |counter: u64| format!("/r/segment_20251203T14_{counter:05}.ndjson");
        vfs.put(Path::new(&name(u64::MAX)), b"");
        let mut counter = Counter::load(&vfs, &place, None).unwrap();
        let (taken, _) = counter.take(&vfs, Hour::of(0)).unwrap();
        assert_eq!(taken, "segment_19700101T00_00001.ndjson");
        vfs.put(Path::new(&name(u64::MAX - 1)), b"");
        let mut counter = Counter::load(&vfs, &place, None).unwrap();
        let refused = counter.take(&vfs, Hour::of(0)).unwrap_err();
        assert!(refused.to_string().contains("last number"), "{refused}");
    }
}
