//! What can go wrong, by what the caller should do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Called once, after the flush that made the change durable, or with the reason why it never
/// will be. Called from the writing thread: it must not block.
pub type Completion = Box<dyn FnOnce(Result<(), JournalError>) + Send>;

/// Why the journal could not do what was asked.
#[derive(Clone, Debug, Error)]
pub enum JournalError {
    /// Another process, or another journal of this process, holds the directory.
    #[error("the directory {directory:?} is in use{}", holder(.process_id))]
    Locked {
        /// The directory.
        directory: PathBuf,
        /// The process that holds it, where it can be told.
        process_id: Option<u32>,
    },
    /// Stored data is damaged or missing.
    #[error("{what} ({place}): {advice}")]
    Corrupted {
        /// What is damaged.
        what: String,
        /// Where: file, round, chunk.
        place: String,
        /// What the operator can do.
        advice: String,
    },
    /// No space is left on the disk.
    #[error("the disk is full: {what}")]
    Full {
        /// What was to be written.
        what: String,
    },
    /// The storage failed, or the request makes no sense.
    #[error("{what}")]
    Failed {
        /// What failed and why.
        what: String,
    },
    /// The journal is closed, or the group was removed.
    #[error("the journal is closed")]
    Closed,
    /// The directory was written by another version of the format.
    #[error("the data has format {found}, this version reads format {supported}")]
    FormatVersion {
        /// The format found.
        found: u32,
        /// The format that this version can read and write.
        supported: u32,
    },
}

const ADVICE: &str = "do not go on with this directory: keep a copy of it, and restore the node \
                      from a backup or rebuild it from the other members under a new identity";

impl JournalError {
    /// Damaged data, with the usual advice.
    pub(crate) fn corrupted(what: impl Into<String>, place: impl Into<String>) -> JournalError {
        JournalError::Corrupted {
            what: what.into(),
            place: place.into(),
            advice: ADVICE.into(),
        }
    }

    /// A failure that is none of the others.
    pub(crate) fn failed(what: impl Into<String>) -> JournalError {
        JournalError::Failed { what: what.into() }
    }

    /// What an operation on files came to.
    pub(crate) fn io(doing: &str, error: &io::Error) -> JournalError {
        let what = format!("{doing}: {error}");
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                JournalError::Full { what }
            }
            _ => JournalError::Failed { what },
        }
    }
}

fn holder(process_id: &Option<u32>) -> String {
    process_id.map_or_else(String::new, |id| format!(" by process {id}"))
}
