//! The durable home of every Raft group of a node: log entries, votes, committed marks, group
//! descriptors and snapshot marks, and of the node's own identity.
//!
//! All groups share one log of *rounds*. A round holds what waited in all groups when the one
//! writing thread was free; it is made durable by one flush, and only then are its completions
//! called (group commit). Snapshots are files beside the rounds.
//!
//! Promises:
//! - What a completion acknowledged with `Ok` is there after a crash of process or machine
//!   ([`Durability::Fsync`]), in the order in which it was given.
//! - Every byte read back was checked. What is damaged or missing is [`JournalError::Corrupted`],
//!   never skipped in silence.
//! - The first error of the storage is final: it is given to every waiting and every later
//!   completion, and a failed flush is never retried.
//!
//! May not: know anything of Raft beyond these names. Entries, votes and marks are opaque bytes.

mod book;
mod chunk;
mod cleaning;
mod clock;
mod committed;
mod entry_table;
mod error;
mod group;
mod group_log;
mod journal;
mod ledger;
mod limits;
mod options;
mod record;
mod recovery;
mod round;
mod shared;
mod snapshot;
mod statistics;
#[cfg(any(test, feature = "testing"))]
mod stepped;
mod store;
mod writer;

pub use error::{Completion, JournalError};
pub use group::{GroupState, SnapshotInfo};
pub use group_log::GroupLog;
pub use journal::Journal;
pub use limits::SNAPSHOT_PIECE_BYTES_MAX;
pub use options::{Durability, JournalOptions, Location};
pub use snapshot::{SnapshotFileReader, SnapshotFileWriter};
pub use statistics::JournalStatistics;
#[cfg(any(test, feature = "testing"))]
pub use stepped::WriterStep;
#[cfg(any(test, feature = "testing"))]
pub use store::simulated::SimulatedDisk;

#[cfg(test)]
mod tests;
