//! What the journal needs of a store of rounds, and the stores.

pub(crate) mod directory;
pub(crate) mod front;
pub(crate) mod memory;
#[cfg(any(test, feature = "testing"))]
pub mod simulated;
pub(crate) mod sled_store;

use crate::error::JournalError;
use crate::ledger::Retired;

/// Called for each chunk in order: round, chunk, value.
pub(crate) type ChunkVisitor<'a> = dyn FnMut(u64, u32, &[u8]) -> Result<(), JournalError> + 'a;

/// Keeps the chunks of rounds, and the number of the last round known to be durable.
///
/// To be correct, an implementation must
/// - keep all that was written and removed before a `sync` that returned `Ok`,
/// - after a crash hold what was written and removed up to some point, and nothing later,
/// - give back values exactly as written, or an error, or nothing.
///
/// Only one thread writes; any thread reads.
pub(crate) trait RoundStore: Send + Sync {
    /// Writes one chunk. The chunks of a round come in order, and can be read once they are flushed.
    fn write(&self, round: u64, chunk: u32, value: &[u8]) -> Result<(), JournalError>;

    /// Hands all that was written to the operating system.
    fn flush(&self) -> Result<(), JournalError>;

    /// Makes all that was flushed durable.
    fn sync(&self) -> Result<(), JournalError>;

    /// One chunk, or `None` if it is not there.
    fn read(&self, round: u64, chunk: u32) -> Result<Option<Vec<u8>>, JournalError>;

    /// Removes chunks 0 to `retired.chunks` of a round.
    fn remove(&self, retired: Retired) -> Result<(), JournalError>;

    /// The last chunk of the last round, with its value. Only before the first round is written.
    fn last(&self) -> Result<Option<(u64, u32, Vec<u8>)>, JournalError>;

    /// All chunks, in order. Only before the first round is written.
    fn scan(&self, visit: &mut ChunkVisitor<'_>) -> Result<(), JournalError>;

    /// The number last given to `save_mark`, 0 at first.
    fn mark(&self) -> Result<u64, JournalError>;

    /// Durably notes that all rounds up to `round` are durable.
    fn save_mark(&self, round: u64) -> Result<(), JournalError>;

    /// One bounded turn of taking what was written to where it stays; `everything` when there is
    /// time for it, otherwise only what has to go soon. Returns whether there is more to do at once.
    fn settle(&self, everything: bool) -> Result<bool, JournalError> {
        let _ = everything;
        Ok(false)
    }

    /// Takes everything to where it stays, durably: nothing is written any more.
    fn finish(&self) -> Result<(), JournalError> {
        Ok(())
    }

    /// Bytes on disk.
    fn disk_bytes(&self) -> u64;
}
