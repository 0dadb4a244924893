//! What the thread and its callers tell each other while the thread works, or waits for the disk.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{WriterStats, lock};

#[derive(Debug, Default)]
pub(crate) struct Signals {
    closing: AtomicBool,
    /// Whoever empties ready/ does not keep up: nothing more is written for now.
    held: AtomicBool,
    waiting_for_space: AtomicBool,
    segments_sealed: AtomicU64,
    poisonings: AtomicU64,
    publish_error: Mutex<Option<String>>,
    damage: Mutex<Option<String>>,
}

impl Signals {
    /// From now on nobody waits for ever.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Closing ends it.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed) && !self.is_closing()
    }

    pub(crate) fn wait_for_space(&self, waits: bool) {
        self.waiting_for_space.store(waits, Ordering::Relaxed);
    }

    pub(crate) fn sealed(&self) {
        self.segments_sealed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn poisoned(&self) {
        self.poisonings.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_publish_error(&self, error: Option<String>) {
        *lock(&self.publish_error) = error;
    }

    /// Adds to what is known to be lost; that is never taken back.
    pub(crate) fn damaged(&self, what: &str) {
        let damage = &mut *lock(&self.damage);
        match damage {
            // A step after the alarm failed, and all was tried again.
            Some(known) if known.contains(what) => {}
            Some(known) => {
                known.push_str("; ");
                known.push_str(what);
            }
            None => *damage = Some(what.to_owned()),
        }
    }

    pub(crate) fn damage(&self) -> Option<String> {
        lock(&self.damage).clone()
    }

    /// Fills in what a snapshot has from here.
    pub(crate) fn fill(&self, stats: &mut WriterStats) {
        stats.segments_sealed = self.segments_sealed.load(Ordering::Relaxed);
        stats.poisonings = self.poisonings.load(Ordering::Relaxed);
        stats.waiting_for_space = self.waiting_for_space.load(Ordering::Relaxed);
        stats.publish_error.clone_from(&lock(&self.publish_error));
        stats.damage = self.damage();
    }
}
