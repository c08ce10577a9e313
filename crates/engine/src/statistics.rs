//! Counters of an engine.

use std::sync::atomic::{AtomicU64, Ordering};

pub use raft_kv_journal::JournalStatistics;

/// What an engine did since it was opened, and how much is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStatistics {
    /// Groups that are open.
    pub groups: u64,
    /// Groups that left what their member here had promised.
    pub groups_left_over: u64,
    /// Commands taken.
    pub commands: u64,
    /// Entries proposed.
    pub entries_proposed: u64,
    /// Entries with commands given to the host.
    pub entries_applied: u64,
    /// Commands refused after they were taken.
    pub commands_refused: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Commands that were taken and are not yet applied.
    pub pending_commands: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Bytes of events that wait for the host.
    pub event_bytes: u64,
    /// The journal's counters.
    pub journal: JournalStatistics,
}

/// The counters that the engine keeps.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commands: AtomicU64,
    pub(crate) entries_proposed: AtomicU64,
    pub(crate) entries_applied: AtomicU64,
    pub(crate) commands_refused: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) pending_commands: AtomicU64,
    pub(crate) pending_bytes: AtomicU64,
}

impl Counters {
    /// The counters now; the caller fills in what is counted elsewhere.
    pub(crate) fn read(&self) -> EngineStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EngineStatistics {
            commands: read(&self.commands),
            entries_proposed: read(&self.entries_proposed),
            entries_applied: read(&self.entries_applied),
            commands_refused: read(&self.commands_refused),
            snapshots: read(&self.snapshots),
            pending_commands: read(&self.pending_commands),
            pending_bytes: read(&self.pending_bytes),
            ..EngineStatistics::default()
        }
    }
}
