//! The start: directories, the writer's lock, its counter, and what dead writers left.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Engine, Outbox, Patience, Signals};
use crate::append::WriterConfig;
use crate::append::counter::{Counter, lock_writer, with_writer};
use crate::clock::Clock;
use crate::recover::{OpenConnections, Place, Recovered, recover};
use crate::segment::SegmentError;
use crate::vfs::{Vfs, ensure_dir};

impl Engine {
    /// Makes the directories, takes the writer's lock, recovers what dead writers left.
    pub(crate) fn start(
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        config: WriterConfig,
        signals: Arc<Signals>,
    ) -> Result<(Self, Vec<Recovered>), SegmentError> {
        let place = &config.place;
        for dir in [&place.active, &place.ready, &place.quarantine] {
            ensure_dir(vfs.as_ref(), dir).map_err(SegmentError::io("create directory", dir))?;
        }
        let writer = config.writer.as_deref();
        let lock = lock_writer(vfs.as_ref(), &place.active, writer)?;
        refuse_two_file_systems(vfs.as_ref(), place, writer)?;
        // Before recovery publishes anything: the names that lie about still count.
        let counter = Counter::load(vfs.as_ref(), place, writer)?;
        let recovered = recover(vfs.as_ref(), place)?;
        let engine = Self {
            outbox: Outbox::new(place.clone(), signals.clone()),
            vfs,
            clock,
            config,
            signals,
            counter,
            open: None,
            reserved: None,
            continues: None,
            connections: OpenConnections::default(),
            failed: false,
            patience: Patience::default(),
            _lock: lock,
        };
        Ok((engine, recovered))
    }
}

/// A sealed segment moves by a link or a rename, at once or not at all. Better to say at the start
/// that this cannot be than after the first segment.
///
/// Only trying tells: two mounts of one file system have one number, and yet nothing moves between
/// them. Whatever else goes wrong here will go wrong where it matters, and be told there.
fn refuse_two_file_systems(
    vfs: &dyn Vfs,
    place: &Place,
    writer: Option<&str>,
) -> Result<(), SegmentError> {
    let name = with_writer(".moving", writer);
    let mut path = place.active.join(&name);
    if vfs
        .create_new(&path)
        .is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists)
    {
        return Ok(());
    }
    let mut refused = Ok(());
    for dir in [&place.quarantine, &place.ready] {
        let target = dir.join(&name);
        match vfs.rename(&path, &target) {
            Ok(()) => path = target,
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                refused = Err(two_file_systems(&path, dir));
            }
            Err(_) => break,
        }
    }
    // If it stays, the next start moves the same one.
    let _ = vfs.unlink(&path);
    refused
}

#[cold]
fn two_file_systems(from: &Path, to: &Path) -> SegmentError {
    SegmentError::Invalid(format!(
        "{} and {} lie on different file systems or mounts, between which a sealed segment cannot \
         be moved at once: put them on one (storage.base_dir, storage.paths)",
        from.parent().unwrap_or(from).display(),
        to.display()
    ))
}
