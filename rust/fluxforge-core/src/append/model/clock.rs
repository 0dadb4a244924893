//! Time as the model tells it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::vfs::faulty::FaultyVfs;

const BEGIN_NS: i64 = 1_764_770_400_000_000_000;
const MS: i64 = 1_000_000;

/// Goes on by a millisecond at each look.
#[derive(Debug, Default)]
pub(in crate::append) struct TestClock {
    ms: AtomicU64,
    /// How far the wall clock is from what it would be had nobody set it.
    set_ms: AtomicI64,
    uids: AtomicU64,
    /// A full disk that someone tidies while the writer waits.
    full: Mutex<Option<FaultyVfs>>,
}

impl TestClock {
    pub(in crate::append) fn free_at_next_pause(&self, disk: &FaultyVfs) {
        *self.full.lock().unwrap() = Some(disk.clone());
    }

    /// Someone sets the wall clock.
    pub(in crate::append) fn set_back(&self, by: Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap();
        self.set_ms.fetch_sub(ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn wall_ns(&self) -> i64 {
        let set_ns = self.set_ms.load(Ordering::Relaxed) * MS;
        BEGIN_NS + set_ns + i64::try_from(self.mono_ns()).unwrap()
    }
    fn mono_ns(&self) -> u64 {
        self.ms.fetch_add(1, Ordering::Relaxed) * MS.unsigned_abs()
    }
    fn unique(&self) -> [u8; 16] {
        u128::from(self.uids.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }
    fn pause(&self, duration: Duration) {
        if let Some(disk) = self.full.lock().unwrap().take() {
            disk.set_capacity(None);
            disk.set_longest_synced(None);
        }
        self.ms.fetch_add(
            u64::try_from(duration.as_millis()).unwrap(),
            Ordering::Relaxed,
        );
    }
}
