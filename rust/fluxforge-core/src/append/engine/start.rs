//! The start: directories, the writer's lock, its counter, and what dead writers left.

use std::path::Path;
use std::sync::Arc;

use super::{Engine, Outbox, Signals};
use crate::append::WriterConfig;
use crate::append::counter::{Counter, lock_writer};
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
        refuse_two_file_systems(vfs.as_ref(), place)?;
        let writer = config.writer.as_deref();
        let lock = lock_writer(vfs.as_ref(), &place.active, writer)?;
        // Before recovery publishes anything: the names that lie about still count.
        let counter = Counter::load(vfs.as_ref(), place, writer)?;
        let recovered = recover(vfs.as_ref(), place)?;
        let engine = Self {
            vfs,
            clock,
            config,
            signals,
            counter,
            open: None,
            outbox: Outbox::default(),
            reserved: None,
            continues: None,
            connections: OpenConnections::default(),
            failed: false,
            sealed: 0,
            poisonings: 0,
            _lock: lock,
        };
        Ok((engine, recovered))
    }
}

/// A sealed segment moves by a link or a rename, at once or not at all. Better to say at the start
/// that this cannot be than after the first segment.
fn refuse_two_file_systems(vfs: &dyn Vfs, place: &Place) -> Result<(), SegmentError> {
    let of = |dir: &Path| {
        vfs.file_system(dir)
            .map_err(SegmentError::io("look up", dir))
    };
    let active = of(&place.active)?;
    for dir in [&place.ready, &place.quarantine] {
        if of(dir)? != active {
            return Err(SegmentError::Invalid(format!(
                "{} and {} lie on different file systems, between which a sealed segment cannot \
                 be moved at once: put them on one (storage.base_dir, storage.paths)",
                place.active.display(),
                dir.display()
            )));
        }
    }
    Ok(())
}
