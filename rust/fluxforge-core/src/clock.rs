//! Time and randomness, handed in: tests replay them, and nothing else in the core asks for either.

use std::fmt::Debug;
use std::time::Duration;

/// What the writer wants to know about time, and where its segments' names come from.
pub trait Clock: Debug + Send + Sync {
    /// Nanoseconds since 1970 in UTC. May jump, also backwards.
    fn wall_ns(&self) -> i64;
    /// Nanoseconds since some fixed moment. Never goes back.
    fn mono_ns(&self) -> u64;
    /// Sixteen bytes that nobody has seen before: a segment's identity.
    fn unique(&self) -> [u8; 16];
    /// Waits before something that failed is tried again.
    fn pause(&self, duration: Duration);
}

/// The machine's clocks and the kernel's randomness.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic side starts now.
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    pub fn new() -> Self {
        Self {
            origin: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one real clock")]
    fn wall_ns(&self) -> i64 {
        let now = std::time::SystemTime::now();
        match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        }
    }

    fn mono_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn unique(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            match rustix::rand::getrandom(
                &mut bytes[filled..],
                rustix::rand::GetRandomFlags::empty(),
            ) {
                Ok(n) => filled += n,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => panic!("the kernel has no randomness to give: {errno}"),
            }
        }
        bytes
    }

    fn pause(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
