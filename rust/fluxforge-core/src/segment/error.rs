//! What can go wrong with a segment, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the writing side: append, seal and recover.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The disk refused an operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done, as in "cannot *create*".
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another live process writes under the same name.
    #[error(
        "another live process writes to {} {}: stop it, or give this one its own \
         ingestion.writer_id", dir.display(), describe_writer(writer.as_deref())
    )]
    Locked {
        /// The directory of active segments.
        dir: PathBuf,
        /// The id that both use.
        writer: Option<String>,
    },
    /// A file that a newer version wrote. Nothing was changed.
    #[error(
        "{} has format {format}, newer than the {} this version knows: upgrade fluxforge",
        path.display(), super::FORMAT
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format's number.
        format: u64,
    },
    /// A file of ours that makes no sense.
    #[error("{}: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        detail: String,
    },
    /// An argument that cannot be written.
    #[error("{0}")]
    Invalid(String),
    /// The queue has no room for the frame now.
    #[error(
        "the writer's queue is full ({queued} of {limit} bytes): await drain() and append again"
    )]
    QueueFull {
        /// Bytes that wait to become durable.
        queued: usize,
        /// The bound.
        limit: usize,
    },
    /// The writer has been closed.
    #[error("the writer is closed")]
    Closed,
    /// The writer stopped for good.
    #[error("{message}")]
    Stopped {
        /// What happened, to which file, and what is safe.
        message: String,
        /// The system's error number, where there was one.
        errno: Option<i32>,
    },
}

fn describe_writer(writer: Option<&str>) -> String {
    writer.map_or_else(
        || "without a writer_id".to_owned(),
        |id| format!("as writer {id:?}"),
    )
}

impl SegmentError {
    /// Wraps what the system said with what was being done.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// The system's error number, where there was one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } => source.raw_os_error(),
            Self::Stopped { errno, .. } => *errno,
            _ => None,
        }
    }

    /// Says whether waiting may help: the disk or the quota is full.
    pub(crate) fn is_no_space(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_no_space(source))
    }
}

/// Says whether the error means that the disk or the quota is full.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
