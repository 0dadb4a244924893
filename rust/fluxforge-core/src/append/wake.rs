//! A pipe that an event loop can watch: at most one byte is in it, however many groups pass.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::segment::SegmentError;

#[derive(Debug)]
pub(crate) struct WakePipe {
    reader: OwnedFd,
    writer: OwnedFd,
    /// A byte is in the pipe, or about to be.
    armed: AtomicBool,
}

impl WakePipe {
    pub(crate) fn new() -> Result<Self, SegmentError> {
        let (reader, writer) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|errno| {
                SegmentError::Stopped {
                    message: format!("cannot create a pipe: {errno}"),
                    errno: Some(errno.raw_os_error()),
                }
            })?;
        Ok(Self {
            reader,
            writer,
            armed: AtomicBool::new(false),
        })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// Called after what the waiter will look at has been published.
    pub(crate) fn wake(&self) {
        if !self.armed.swap(true, Ordering::SeqCst) {
            // The pipe is empty, so one byte fits; both ends live as long as this.
            let _ = rustix::io::write(&self.writer, &[1]);
        }
    }

    /// Called before the waiter looks. Empties first and disarms then: the other way round a byte
    /// written in between would be lost with the pipe still armed.
    pub(crate) fn acknowledge(&self) {
        let mut bytes = [0; 16];
        while matches!(rustix::io::read(&self.reader, &mut bytes), Ok(n) if n == bytes.len()) {}
        self.armed.store(false, Ordering::SeqCst);
    }
}
