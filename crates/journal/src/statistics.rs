//! Counters of a journal.

use std::sync::atomic::AtomicU64;

/// What a journal did since it was opened, and how large it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStatistics {
    /// Rounds written.
    pub rounds: u64,
    /// Times that the disk was asked to make rounds durable.
    pub flushes: u64,
    /// Bytes of records written, rewritten ones included.
    pub appended_bytes: u64,
    /// Bytes of records that are still needed.
    pub live_bytes: u64,
    /// Bytes that the rounds take on disk.
    pub disk_bytes: u64,
    /// How long the last round took to be written and made durable.
    pub last_flush_nanoseconds: u64,
    /// Bytes of entries kept in memory.
    pub cached_bytes: u64,
}

/// The counters that the writing thread keeps.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub rounds: AtomicU64,
    pub flushes: AtomicU64,
    pub appended_bytes: AtomicU64,
    pub last_flush_nanoseconds: AtomicU64,
}
