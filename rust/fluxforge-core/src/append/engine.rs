//! What the writer's thread does, without the thread: groups in, durable segments out.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::active::{ActiveSegment, WriteFault};
use super::counter::{Counter, lock_writer, opening_path};
use super::room::Lack;
use super::{WriterConfig, queue::Group};
use crate::clock::Clock;
use crate::recover::{
    OpenConnections, Place, Plan, Recovered, Rewritten, recover, remove, rewrite,
};
use crate::rules::{Rule, is_left_out};
use crate::seal::SealedSegment;
use crate::segment::{Continues, Durability, Header, Hour, SegmentError, Uid};
use crate::vfs::{Vfs, VfsFile, ensure_dir};

/// How often a segment that could not be published is tried again.
const PUBLISH_RETRY_NS: u64 = 30_000_000_000;

/// What the thread and its callers tell each other without a lock.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    pub(crate) waiting_for_space: AtomicBool,
    pub(crate) closing: AtomicBool,
}

#[derive(Debug)]
struct Open {
    segment: ActiveSegment,
    hour: Hour,
    opened_ns: u64,
}

/// A name that the next segment takes.
#[derive(Debug)]
struct Reserved {
    name: String,
    hour: Hour,
    /// What lies there, without a durable record. The next segment replaces it, so that a disk that
    /// refuses again and again is not littered with them; until then it stays locked.
    holder: Option<ActiveSegment>,
}

impl Reserved {
    fn free((name, hour): (String, Hour)) -> Self {
        let holder = None;
        Self { name, hour, holder }
    }
}

/// A segment that takes no more records and is not in ready/ yet.
#[derive(Debug)]
enum Unpublished {
    Sealed(SealedSegment),
    Poisoned(ActiveSegment),
}

/// Owns the open segment and those on their way to ready/.
#[derive(Debug)]
pub(crate) struct Engine {
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    config: WriterConfig,
    signals: Arc<Signals>,
    counter: Counter,
    open: Option<Open>,
    /// In the order in which they must be published.
    unpublished: VecDeque<Unpublished>,
    publish_error: Option<SegmentError>,
    reserved: Option<Reserved>,
    published_at: u64,
    /// Where the segment before the next one was cut, if the disk failed under it.
    continues: Option<Continues>,
    /// As the durable records leave them.
    connections: OpenConnections,
    /// Nothing has become durable since the disk failed, other than by being full.
    failed: bool,
    pub(crate) sealed: u64,
    pub(crate) poisonings: u64,
    /// Held as long as this lives.
    _lock: Box<dyn VfsFile>,
}

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
            unpublished: VecDeque::new(),
            publish_error: None,
            reserved: None,
            published_at: 0,
            continues: None,
            connections: OpenConnections::default(),
            failed: false,
            sealed: 0,
            poisonings: 0,
            _lock: lock,
        };
        Ok((engine, recovered))
    }

    /// Makes a group durable, in a new segment if need be. An error means: stop.
    pub(crate) fn write(&mut self, group: &mut Group) -> Result<(), SegmentError> {
        if self.is_due(group.lines.len() as u64) {
            self.change_segment(true)?;
        }
        let sync = self.config.durability == Durability::Fsync;
        let mut patience = None;
        loop {
            self.wait_for_min_free(&mut patience)?;
            let clock = self.clock.clone();
            let Some(open) = self.ensure_open(&mut patience)? else {
                continue;
            };
            // After the header's own: the clock never goes back within a segment.
            let mono_ns = clock.mono_ns();
            match open
                .segment
                .commit(&mut group.lines, &group.tally, mono_ns, sync)
            {
                Ok(()) => break,
                Err(WriteFault::NoSpace) => self.wait_for_space(&mut patience)?,
                Err(WriteFault::Poisoned(error)) => {
                    self.poisoned(&error)?;
                    if error.is_no_space() {
                        // Some file systems look for room only when they are told to sync.
                        self.wait_for_space(&mut patience)?;
                    }
                }
            }
        }
        self.connections.apply(&group.changes);
        self.failed = false;
        self.signals
            .waiting_for_space
            .store(false, Ordering::Relaxed);
        self.publish_if_due();
        Ok(())
    }

    /// Seals the open segment if its age or the hour says so. Called also when the feed is silent.
    pub(crate) fn tick(&mut self) -> Result<(), SegmentError> {
        if self.has_records() && self.is_due(0) {
            self.change_segment(true)?;
        }
        self.publish_if_due();
        Ok(())
    }

    /// Seals the open segment, if there is one with records, and publishes.
    pub(crate) fn rotate(&mut self) -> Result<(), SegmentError> {
        if self.has_records() {
            self.change_segment(true)?;
        }
        self.publish(0);
        Ok(())
    }

    /// Seals and publishes everything; what cannot be published is safe in active/ and is an error.
    pub(crate) fn close(&mut self) -> Result<(), SegmentError> {
        self.change_segment(false)?;
        self.publish_error.take().map_or(Ok(()), Err)
    }

    /// Closes the open segment. While connections are open, the next one is there before that: its
    /// header names them, so that a crash between the two still ends them in a gap.
    fn change_segment(&mut self, goes_on: bool) -> Result<(), SegmentError> {
        let had_records = self.has_records();
        if let Some(Open { mut segment, .. }) = self.open.take() {
            if goes_on && !self.connections.is_empty() {
                self.open = Some(self.open_successor()?);
            }
            if !had_records {
                // Opened for its header, and then nothing came.
                let removed = remove(self.vfs.as_ref(), segment.path());
                drop(segment);
                self.publish(0);
                self.publish_error = self.publish_error.take().or(removed.err());
                return Ok(());
            }
            let mut patience = None;
            loop {
                let unsealed = match segment.seal(self.config.durability) {
                    Ok(sealed) => {
                        self.failed = false;
                        self.unpublished.push_back(Unpublished::Sealed(sealed));
                        break;
                    }
                    Err(unsealed) => *unsealed,
                };
                match unsealed.fault {
                    WriteFault::NoSpace => {
                        segment = unsealed.segment;
                        self.wait_for_space(&mut patience)?;
                    }
                    WriteFault::Poisoned(error) => {
                        // All its groups are durable: a copy of them can be sealed.
                        self.unpublished
                            .push_back(Unpublished::Poisoned(unsealed.segment));
                        self.count_failure(&error)?;
                        break;
                    }
                }
            }
            self.signals
                .waiting_for_space
                .store(false, Ordering::Relaxed);
            self.sealed += 1;
        }
        self.publish(0);
        Ok(())
    }

    /// Whether anything is left to do as time passes.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none() && self.unpublished.is_empty()
    }

    /// Why sealed segments still lie in active/.
    pub(crate) fn publish_error(&self) -> Option<String> {
        self.publish_error.as_ref().map(ToString::to_string)
    }

    fn has_records(&self) -> bool {
        let tally = self.open.as_ref().map(|open| open.segment.tally());
        tally.is_some_and(|tally| tally.frames + tally.events > 0)
    }

    fn is_due(&self, incoming: u64) -> bool {
        let Some(open) = &self.open else { return false };
        let age = self.clock.mono_ns().saturating_sub(open.opened_ns);
        let is_full = open.segment.len() + incoming > self.config.segment_max_bytes;
        (is_full && self.has_records())
            || age >= self.config.segment_max_ns
            || Hour::of(self.clock.wall_ns()) > open.hour
    }

    fn open_successor(&mut self) -> Result<Open, SegmentError> {
        let mut patience = None;
        loop {
            match self.open_next() {
                Ok(open) => return Ok(open),
                Err(error) if error.is_no_space() => self.wait_for_space(&mut patience)?,
                Err(error) => self.count_failure(&error)?,
            }
        }
    }

    /// The open segment, a new one if there is none; `None` if opening it failed and may be tried
    /// again.
    fn ensure_open(
        &mut self,
        patience: &mut Option<u64>,
    ) -> Result<Option<&mut Open>, SegmentError> {
        if self.open.is_none() {
            match self.open_next() {
                Ok(open) => self.open = Some(open),
                Err(error) if error.is_no_space() => {
                    self.wait_for_space(patience)?;
                    return Ok(None);
                }
                Err(error) => {
                    self.count_failure(&error)?;
                    return Ok(None);
                }
            }
        }
        Ok(self.open.as_mut())
    }

    /// Counter, header and directory are durable when this returns.
    fn open_next(&mut self) -> Result<Open, SegmentError> {
        let (vfs, config) = (self.vfs.as_ref(), &self.config);
        let now_ns = self.clock.wall_ns();
        // A name that was taken and not used is still ours: a full disk does not eat numbers.
        let Reserved { name, hour, holder } = match self.reserved.take() {
            Some(reserved) => reserved,
            None => Reserved::free(self.counter.take(vfs, Hour::of(now_ns))?),
        };
        let path = config.place.active.join(&name);
        let hidden = opening_path(&config.place.active, config.writer.as_deref());
        let uid = Uid::from_bytes(self.clock.unique());
        let continues = (self.continues.clone()).filter(|_| !is_left_out(Rule::Continues));
        let writer = config.writer.as_deref();
        let mut header = Header::new(name.clone(), uid, &config.source, writer, now_ns, continues);
        header.open = self.connections.to_header();
        let mut line = Vec::with_capacity(256);
        header.push(&mut line);
        let opened_ns = self.clock.mono_ns();
        let created = ActiveSegment::create(vfs, &hidden, header, &line, opened_ns);
        let mut segment = match created {
            Ok(segment) => segment,
            Err(error) => {
                self.reserved = Some(Reserved { name, hour, holder });
                return Err(error);
            }
        };
        if let Err(error) = segment.take_name(vfs, &path, holder.is_some()) {
            // Once it has the name it is what the next one replaces; unlocked, it would pass for a
            // dead writer's, and its connections for lost.
            let has_name = segment.path() == path;
            let holder = if has_name { Some(segment) } else { holder };
            if holder.is_some() {
                self.reserved = Some(Reserved { name, hour, holder });
            }
            return Err(error);
        }
        self.continues = None;
        Ok(Open {
            segment,
            hour,
            opened_ns,
        })
    }

    /// Gives the open file up for good. What it does not hold goes to the next one.
    fn poisoned(&mut self, error: &SegmentError) -> Result<(), SegmentError> {
        let has_records = self.has_records();
        match self.open.take() {
            Some(Open { segment, .. }) if has_records => {
                let checkpoint = segment.last_checkpoint();
                let uid = segment.header().uid.clone();
                self.continues = Some(Continues { uid, checkpoint });
                self.unpublished.push_back(Unpublished::Poisoned(segment));
            }
            Some(Open { segment, hour, .. }) => {
                let header = segment.header();
                self.continues.clone_from(&header.continues);
                let (name, holder) = (header.name.clone(), Some(segment));
                self.reserved = Some(Reserved { name, hour, holder });
            }
            None => {}
        }
        self.count_failure(error)
    }

    /// The second failure in a row is the last; a full disk is none.
    fn count_failure(&mut self, error: &SegmentError) -> Result<(), SegmentError> {
        self.poisonings += 1;
        if error.is_no_space() {
            return Ok(());
        }
        if std::mem::replace(&mut self.failed, true) {
            return Err(SegmentError::Stopped {
                errno: error.errno(),
                message: format!(
                    "{error}; a new segment did not help, so capture has stopped. What was \
                     reported durable is safe and will be recovered at the next start: check the \
                     disk, then start again"
                ),
            });
        }
        Ok(())
    }

    /// Publishes what waits: at once the first time, and now and then after a failure, whether the
    /// feed is silent or not.
    ///
    /// Without an open segment the last of them stays: it alone tells a recovery which connections
    /// were open.
    fn publish_if_due(&mut self) {
        let kept = usize::from(self.open.is_none() && !self.connections.is_empty());
        if self.unpublished.len() <= kept {
            return;
        }
        let waited = || self.clock.mono_ns().saturating_sub(self.published_at);
        if self.publish_error.is_none() || waited() >= PUBLISH_RETRY_NS {
            self.publish(kept);
        }
    }

    /// Publishes in order all but the last `kept`, up to the first that fails; that one is tried
    /// again later.
    fn publish(&mut self, kept: usize) {
        self.published_at = self.clock.mono_ns();
        self.publish_error = None;
        while self.unpublished.len() > kept {
            match self.publish_one(&self.unpublished[0]) {
                Ok(()) => drop(self.unpublished.pop_front()),
                Err(error) => {
                    self.publish_error = Some(error);
                    return;
                }
            }
        }
    }

    fn publish_one(&self, next: &Unpublished) -> Result<(), SegmentError> {
        let (vfs, place) = (self.vfs.as_ref(), &self.config.place);
        let segment = match next {
            Unpublished::Sealed(sealed) => return sealed.publish(vfs, &place.ready),
            Unpublished::Poisoned(segment) => segment,
        };
        let plan = Plan {
            cut: Some(segment.last_checkpoint()),
            ends_connections: false,
            quarantine: &place.quarantine,
            apart: None,
        };
        let header = segment.header().clone();
        let connections = &mut OpenConnections::default();
        match rewrite(
            vfs,
            segment.file(),
            segment.path(),
            header,
            &plan,
            connections,
        )? {
            Rewritten::Sealed(closed) => closed.segment.publish(vfs, &place.ready),
            Rewritten::Empty => remove(vfs, segment.path()),
            Rewritten::Unprovable => Err(SegmentError::Damaged {
                path: segment.path().to_owned(),
                detail: "its durable groups cannot be read back".to_owned(),
            }),
        }
    }

    fn wait_for_min_free(&mut self, patience: &mut Option<u64>) -> Result<(), SegmentError> {
        let dir: &Path = &self.config.place.active.clone();
        let wanted = self.config.min_free_bytes;
        if wanted == 0 {
            return Ok(());
        }
        // A file system that cannot say how full it is does not stop capture.
        while let Some(free) = self.vfs.free_bytes(dir).ok().filter(|free| *free < wanted) {
            let lack = Lack::MinFree { dir, free, wanted };
            lack.wait(self.clock.as_ref(), &self.signals, patience)?;
            self.publish_if_due();
        }
        Ok(())
    }

    fn wait_for_space(&mut self, patience: &mut Option<u64>) -> Result<(), SegmentError> {
        let lack = Lack::Space {
            dir: &self.config.place.active,
        };
        lack.wait(self.clock.as_ref(), &self.signals, patience)?;
        // What lies in ready/ can be consumed, and makes room.
        self.publish_if_due();
        Ok(())
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
