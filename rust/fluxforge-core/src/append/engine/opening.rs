//! Opening a segment: its name, its header, and what lies under a name that was not used up.

use super::{Engine, Open};
use crate::append::active::ActiveSegment;
use crate::append::counter::opening_path;
use crate::rules::{Rule, is_left_out};
use crate::segment::{Header, Hour, SegmentError, Uid};

/// A name that the next segment takes.
#[derive(Debug)]
pub(super) struct Reserved {
    pub(super) name: String,
    pub(super) hour: Hour,
    /// What lies there, without a durable record. The next segment replaces it, so that a disk that
    /// refuses again and again is not littered with them; until then it stays locked.
    pub(super) holder: Option<ActiveSegment>,
}

impl Reserved {
    fn free((name, hour): (String, Hour)) -> Self {
        let holder = None;
        Self { name, hour, holder }
    }
}

impl Engine {
    pub(super) fn open_successor(&mut self) -> Result<Open, SegmentError> {
        loop {
            match self.open_next() {
                Ok(open) => return Ok(open),
                Err(error) if error.is_no_space() => self.wait_for_space()?,
                Err(error) => self.count_failure(&error)?,
            }
        }
    }

    /// The open segment, a new one if there is none; `None` if opening it failed and may be tried
    /// again.
    pub(super) fn ensure_open(&mut self) -> Result<Option<&mut Open>, SegmentError> {
        if self.open.is_none() {
            match self.open_next() {
                Ok(open) => self.open = Some(open),
                Err(error) if error.is_no_space() => {
                    self.wait_for_space()?;
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
        header.durability = Some(config.durability);
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
}
