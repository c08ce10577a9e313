//! A store of rounds that keeps nothing beyond its own life.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::error::JournalError;
use crate::ledger::Retired;
use crate::store::{ChunkVisitor, RoundStore};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    chunks: Mutex<BTreeMap<(u64, u32), Vec<u8>>>,
    bytes: AtomicU64,
}

impl RoundStore for MemoryStore {
    fn write(&self, round: u64, chunk: u32, value: &[u8]) -> Result<(), JournalError> {
        self.bytes.fetch_add(value.len() as u64, Ordering::Relaxed);
        self.chunks.lock().insert((round, chunk), value.to_vec());
        Ok(())
    }

    fn flush(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn read(&self, round: u64, chunk: u32) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.chunks.lock().get(&(round, chunk)).cloned())
    }

    fn remove(&self, retired: Retired) -> Result<(), JournalError> {
        let mut chunks = self.chunks.lock();
        for chunk in 0..retired.chunks {
            if let Some(value) = chunks.remove(&(retired.round, chunk)) {
                self.bytes.fetch_sub(value.len() as u64, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn last(&self) -> Result<Option<(u64, u32, Vec<u8>)>, JournalError> {
        let chunks = self.chunks.lock();
        Ok(chunks
            .last_key_value()
            .map(|(key, value)| (key.0, key.1, value.clone())))
    }

    fn scan(&self, visit: &mut ChunkVisitor<'_>) -> Result<(), JournalError> {
        for (&(round, chunk), value) in self.chunks.lock().iter() {
            visit(round, chunk, value)?;
        }
        Ok(())
    }

    fn mark(&self) -> Result<u64, JournalError> {
        Ok(0)
    }

    fn save_mark(&self, _round: u64) -> Result<(), JournalError> {
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
