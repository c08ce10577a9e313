//! How a journal is opened.

use std::path::PathBuf;

use crate::limits::{
    CACHED_BYTES_MAX, CLEAN_DEAD_BYTES_MIN, FRONT_BYTES, FRONT_ROUND_BYTES_MAX, RESERVE_BYTES,
};

/// Where a journal lives.
#[derive(Clone, Debug)]
pub enum Location {
    /// In memory: nothing outlives the journal.
    Memory,
    /// In a directory of its own, created if it is missing.
    Directory(PathBuf),
    /// On a simulated disk, which outlives the journal and can fail on demand.
    #[cfg(any(test, feature = "testing"))]
    Simulated(crate::store::simulated::SimulatedDisk),
}

/// When a change counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After the disk confirmed it.
    Fsync,
    /// After the operating system took it; the disk follows a little later. Survives a crash of
    /// the process, not of the machine.
    Buffered,
}

/// How a journal is opened.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Where it lives.
    pub location: Location,
    /// When a change counts as durable.
    pub durability: Durability,
    /// Entries kept in memory beyond this many bytes are dropped although they were not released.
    pub cached_bytes_max: u64,
    /// Dead bytes that are tolerated before old rounds are rewritten.
    pub clean_dead_bytes_min: u64,
    /// Size of the file whose removal lets a full disk be opened again.
    pub reserve_bytes: usize,
    /// Size of the file in front of the log, when it is made.
    pub front_bytes: usize,
    /// A round that takes more bytes in that file goes to the log at once.
    pub front_round_bytes_max: usize,
}

impl JournalOptions {
    /// The usual options for a journal at `location`.
    #[must_use]
    pub fn new(location: Location) -> JournalOptions {
        JournalOptions {
            location,
            durability: Durability::Fsync,
            cached_bytes_max: CACHED_BYTES_MAX,
            clean_dead_bytes_min: CLEAN_DEAD_BYTES_MIN,
            reserve_bytes: RESERVE_BYTES,
            front_bytes: FRONT_BYTES,
            front_round_bytes_max: FRONT_ROUND_BYTES_MAX,
        }
    }
}
