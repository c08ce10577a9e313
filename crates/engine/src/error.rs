//! What can go wrong, by what the caller should do about it.

use std::io;

use raft_kv_journal::JournalError;

/// Why the engine could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The directory is in use.
    #[error("{0}")]
    DirectoryLocked(String),
    /// Stored data is damaged, missing, or of another format.
    #[error("{0}")]
    DataCorrupted(String),
    /// The disk is full; this node's storage has stopped for good.
    #[error("{0}")]
    StorageFull(String),
    /// The storage failed; it has stopped for good.
    #[error("{0}")]
    StorageFailed(String),
    /// The directory belongs to another cluster.
    #[error("the directory belongs to cluster {stored:?}, not to {given:?}")]
    ClusterMismatch {
        /// The name found in the directory.
        stored: String,
        /// The name that was asked for.
        given: String,
    },
    /// A node belongs, or this one does, to another cluster.
    #[error("{0}")]
    OtherCluster(String),
    /// A node was given up for lost: it, or this one, does not belong to the cluster any more.
    #[error("{0}")]
    NodeLost(String),
    /// Another program listens there.
    #[error("{0}")]
    AddressInUse(String),
    /// An option of listening may not be.
    #[error("{0}")]
    InvalidOption(String),
    /// Another node was not reached: it got nothing.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Too much is under way; nothing was taken.
    #[error("too much is under way: {0}")]
    Overloaded(String),
    /// The engine, or the group, is closed.
    #[error("closed")]
    Closed,
    /// This node has no such group, or it is not open.
    #[error("this node has no open group {0}")]
    NoSuchGroup(u32),
    /// The host was not asked for this snapshot, or no longer is.
    #[error("group {group} has no snapshot {number} under way")]
    NoSuchSnapshot {
        /// The group.
        group: u32,
        /// The number that was given.
        number: u64,
    },
    /// The group is open already, or exists with another descriptor.
    #[error("group {0} exists already")]
    AlreadyAdded(u32),
    /// Nobody leads the group.
    #[error("group {0} has no leader")]
    NoLeader(u32),
    /// Another node leads the group, or none that is known.
    #[error("this node does not lead group {group}")]
    NotLeader {
        /// The group.
        group: u32,
        /// The node that leads, or 0.
        leader: u64,
    },
    /// It did not happen in time; it may yet happen.
    #[error("timed out: {0}")]
    TimedOut(String),
    /// A frame of commands does not hold to its layout; nothing of it was taken.
    #[error("malformed frame: {0}")]
    MalformedFrame(String),
    /// An argument or option may not be.
    #[error("{0}")]
    InvalidArgument(String),
}

impl EngineError {
    /// The error's code in the public API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            EngineError::DirectoryLocked(_) => "DATA_DIR_LOCKED",
            EngineError::DataCorrupted(_) => "DATA_CORRUPTED",
            EngineError::StorageFull(_) => "STORAGE_FULL",
            EngineError::StorageFailed(_) => "STORAGE_FAILED",
            EngineError::ClusterMismatch { .. } | EngineError::OtherCluster(_) => {
                "CLUSTER_MISMATCH"
            }
            EngineError::NodeLost(_) => "NODE_LOST",
            EngineError::AddressInUse(_) => "ADDRESS_IN_USE",
            EngineError::InvalidOption(_) => "INVALID_OPTION",
            EngineError::NotSent(_) => "NOT_SENT",
            EngineError::Overloaded(_) => "OVERLOADED",
            EngineError::Closed => "CLOSED",
            EngineError::NoSuchGroup(_) => "NO_SUCH_GROUP",
            EngineError::NoSuchSnapshot { .. } => "NO_SUCH_SNAPSHOT",
            EngineError::AlreadyAdded(_) => "ALREADY_ADDED",
            EngineError::NoLeader(_) => "NO_LEADER",
            EngineError::NotLeader { .. } => "NOT_LEADER",
            EngineError::TimedOut(_) => "TIMED_OUT",
            EngineError::MalformedFrame(_) => "MALFORMED_FRAME",
            EngineError::InvalidArgument(_) => "INVALID_ARGUMENT",
        }
    }
}

impl From<JournalError> for EngineError {
    fn from(error: JournalError) -> Self {
        let text = error.to_string();
        match error {
            JournalError::Locked { .. } => EngineError::DirectoryLocked(text),
            JournalError::Corrupted { .. } | JournalError::FormatVersion { .. } => {
                EngineError::DataCorrupted(text)
            }
            JournalError::Full { .. } => EngineError::StorageFull(text),
            JournalError::Failed { .. } => EngineError::StorageFailed(text),
            JournalError::Closed => EngineError::Closed,
        }
    }
}

/// As openraft wants to hear of a failure of the journal.
pub(crate) fn io_error(error: JournalError) -> io::Error {
    io::Error::other(error)
}
