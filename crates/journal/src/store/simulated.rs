//! A disk in memory that fails, tears and forgets on demand, for tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::error::JournalError;
use crate::ledger::Retired;
use crate::shared::Shared;
use crate::snapshot::SnapshotHome;
use crate::stepped::{Desk, SteppedWriter, WriterStep};
use crate::store::{ChunkVisitor, RoundStore};
use crate::writer::Writer;

type Chunks = BTreeMap<(u64, u32), Vec<u8>>;

#[derive(Clone, Debug)]
enum Change {
    Write((u64, u32), Vec<u8>),
    Remove((u64, u32)),
}

#[derive(Debug, Default)]
struct Disk {
    /// What a crash cannot take away.
    durable: Chunks,
    durable_mark: u64,
    /// What readers see.
    visible: Chunks,
    /// What separates the two, in order.
    unsynced: Vec<Change>,
    /// Counts openings: a store of an earlier one has no effect any more.
    opening: u64,
    syncs: u64,
    writes_until_failure: Option<u64>,
    syncs_until_failure: Option<u64>,
    hold_unsynced: bool,
    full: bool,
}

impl Disk {
    fn apply(chunks: &mut Chunks, change: Change) {
        match change {
            Change::Write(key, value) => {
                chunks.insert(key, value);
            }
            Change::Remove(key) => {
                chunks.remove(&key);
            }
        }
    }

    fn error(&self, doing: &str) -> JournalError {
        if self.full {
            return JournalError::Full {
                what: format!("{doing}: simulated full disk"),
            };
        }
        JournalError::failed(format!("{doing}: simulated failure"))
    }
}

/// Counts one down; true when it was the last.
fn strikes(countdown: &mut Option<u64>) -> bool {
    match countdown {
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

/// How journals on a disk write, if not by threads of their own.
#[derive(Clone)]
struct Steps {
    desk: Desk,
    woken: Arc<dyn Fn() + Send + Sync>,
    acknowledges_early: bool,
}

/// A simulated disk. Clones are the same disk. It outlives the journals opened on it.
#[derive(Clone)]
pub struct SimulatedDisk {
    disk: Arc<Mutex<Disk>>,
    snapshots: SnapshotHome,
    steps: Option<Steps>,
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = self.disk.lock();
        write!(formatter, "SimulatedDisk({} chunks)", disk.visible.len())
    }
}

impl Default for SimulatedDisk {
    fn default() -> SimulatedDisk {
        SimulatedDisk {
            disk: Arc::default(),
            snapshots: SnapshotHome::in_memory(),
            steps: None,
        }
    }
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> SimulatedDisk {
        SimulatedDisk::default()
    }

    /// The same disk, on which journals have no thread that writes: [`begin_round`](Self::begin_round)
    /// and [`finish_round`](Self::finish_round) do what it would do, and `woken` is called when a
    /// writer that rests has something to do. `acknowledges_early` breaks the journal's promise, so
    /// that a test can show that it finds out: rounds are acknowledged before they are durable.
    #[must_use]
    pub fn stepped(
        &self,
        woken: Arc<dyn Fn() + Send + Sync>,
        acknowledges_early: bool,
    ) -> SimulatedDisk {
        let steps = Steps {
            desk: Desk::default(),
            woken,
            acknowledges_early,
        };
        SimulatedDisk {
            steps: Some(steps),
            ..self.clone()
        }
    }

    /// Hands the next round to the disk, or does other work of the writer.
    #[must_use]
    pub fn begin_round(&self, now: Instant) -> WriterStep {
        let steps = self.steps.as_ref();
        steps.map_or(WriterStep::Closed, |steps| steps.desk.begin(now))
    }

    /// Makes the round that was begun durable, and acknowledges it.
    pub fn finish_round(&self, now: Instant) {
        if let Some(steps) = &self.steps {
            steps.desk.finish(now);
        }
    }

    /// Takes a journal's writer, unless it is to have a thread.
    pub(crate) fn take_over(&self, writer: Writer) -> Option<Writer> {
        let Some(steps) = &self.steps else {
            return Some(writer);
        };
        let writer = SteppedWriter::new(writer, steps.acknowledges_early);
        steps.desk.put(writer);
        None
    }

    pub(crate) fn wake_writer(&self) {
        if let Some(steps) = &self.steps {
            (steps.woken)();
        }
    }

    pub(crate) fn work_off(&self, now: Instant) {
        if let Some(steps) = &self.steps {
            steps.desk.work_off(now);
        }
    }

    pub(crate) fn close_writer(&self, shared: &Arc<Shared>) {
        if let Some(steps) = &self.steps {
            steps.desk.close(shared);
        }
    }

    /// Takes the power: of what was not synced only the first `kept` changes stay, and of the next
    /// one only the first `torn_bytes`, if it is a write and they are not 0. The journal that is
    /// open has no effect on the disk any more.
    pub fn crash(&self, kept: usize, torn_bytes: usize) {
        let mut disk = self.disk.lock();
        let mut changes = std::mem::take(&mut disk.unsynced).into_iter();
        for change in changes.by_ref().take(kept) {
            Disk::apply(&mut disk.durable, change);
        }
        if let Some(Change::Write(key, mut value)) = changes.next()
            && torn_bytes > 0
        {
            value.truncate(torn_bytes);
            disk.durable.insert(key, value);
        }
        disk.visible = disk.durable.clone();
        disk.opening += 1;
        disk.writes_until_failure = None;
        disk.syncs_until_failure = None;
        drop(disk);
        if let Some(steps) = &self.steps {
            steps.desk.clear();
        }
    }

    /// Changes that a crash may take away.
    #[must_use]
    pub fn unsynced_changes(&self) -> usize {
        self.disk.lock().unsynced.len()
    }

    /// Has every write fail after `writes` more; full if `full`.
    pub fn fail_writes_after(&self, writes: u64, full: bool) {
        let mut disk = self.disk.lock();
        disk.writes_until_failure = Some(writes);
        disk.full = full;
    }

    /// Has one sync fail after `syncs` more; those after it would succeed again, and lie.
    pub fn fail_one_sync_after(&self, syncs: u64) {
        self.disk.lock().syncs_until_failure = Some(syncs);
    }

    /// Has a sync that fails leave it to the next crash what is kept.
    pub fn hold_unsynced(&self) {
        self.disk.lock().hold_unsynced = true;
    }

    /// Syncs asked for so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.disk.lock().syncs
    }

    /// Rounds that have at least one chunk on the disk.
    #[must_use]
    pub fn rounds(&self) -> Vec<u64> {
        let disk = self.disk.lock();
        let mut rounds = disk.visible.keys().map(|key| key.0).collect::<Vec<_>>();
        rounds.dedup();
        rounds
    }

    /// Removes a chunk behind the journal's back.
    pub fn lose_chunk(&self, round: u64, chunk: u32) {
        let mut disk = self.disk.lock();
        disk.durable.remove(&(round, chunk));
        disk.visible.remove(&(round, chunk));
    }

    /// Flips a byte of a chunk behind the journal's back; false if there is none.
    pub fn flip_byte(&self, round: u64, chunk: u32, byte: usize) -> bool {
        let disk = &mut *self.disk.lock();
        let mut flipped = false;
        for chunks in [&mut disk.durable, &mut disk.visible] {
            if let Some(byte) = chunks
                .get_mut(&(round, chunk))
                .and_then(|it| it.get_mut(byte))
            {
                *byte ^= 0xff;
                flipped = true;
            }
        }
        flipped
    }

    pub(crate) fn open(&self) -> Result<SimulatedStore, JournalError> {
        let mut disk = self.disk.lock();
        disk.opening += 1;
        Ok(SimulatedStore {
            disk: Arc::clone(&self.disk),
            opening: disk.opening,
        })
    }

    pub(crate) fn snapshots(&self) -> SnapshotHome {
        self.snapshots.clone()
    }
}

/// A simulated disk as one journal sees it.
pub(crate) struct SimulatedStore {
    disk: Arc<Mutex<Disk>>,
    opening: u64,
}

impl SimulatedStore {
    fn change(&self, change: Change) -> Result<(), JournalError> {
        let mut disk = self.disk.lock();
        if disk.opening != self.opening {
            return Err(JournalError::failed("simulated power loss"));
        }
        if strikes(&mut disk.writes_until_failure) {
            return Err(disk.error("writing"));
        }
        Disk::apply(&mut disk.visible, change.clone());
        disk.unsynced.push(change);
        Ok(())
    }
}

impl RoundStore for SimulatedStore {
    fn write(&self, round: u64, chunk: u32, value: &[u8]) -> Result<(), JournalError> {
        self.change(Change::Write((round, chunk), value.to_vec()))
    }

    fn flush(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), JournalError> {
        let mut disk = self.disk.lock();
        if disk.opening != self.opening {
            return Err(JournalError::failed("simulated power loss"));
        }
        disk.syncs += 1;
        if strikes(&mut disk.syncs_until_failure) {
            disk.syncs_until_failure = None;
            if !disk.hold_unsynced {
                // As disks do: what was to be synced is forgotten, and the next one knows nothing.
                disk.unsynced.clear();
            }
            return Err(disk.error("syncing"));
        }
        for change in std::mem::take(&mut disk.unsynced) {
            Disk::apply(&mut disk.durable, change);
        }
        Ok(())
    }

    fn read(&self, round: u64, chunk: u32) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.disk.lock().visible.get(&(round, chunk)).cloned())
    }

    fn remove(&self, retired: Retired) -> Result<(), JournalError> {
        (0..retired.chunks)
            .try_for_each(|chunk| self.change(Change::Remove((retired.round, chunk))))
    }

    fn last(&self) -> Result<Option<(u64, u32, Vec<u8>)>, JournalError> {
        let disk = self.disk.lock();
        Ok(disk
            .visible
            .last_key_value()
            .map(|(key, value)| (key.0, key.1, value.clone())))
    }

    fn scan(&self, visit: &mut ChunkVisitor<'_>) -> Result<(), JournalError> {
        let chunks = self.disk.lock().visible.clone();
        chunks
            .iter()
            .try_for_each(|(key, value)| visit(key.0, key.1, value))
    }

    fn mark(&self) -> Result<u64, JournalError> {
        Ok(self.disk.lock().durable_mark)
    }

    fn save_mark(&self, round: u64) -> Result<(), JournalError> {
        let mut disk = self.disk.lock();
        if disk.opening != self.opening {
            return Err(JournalError::failed("simulated power loss"));
        }
        disk.durable_mark = round;
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.disk
            .lock()
            .visible
            .values()
            .map(|value| value.len() as u64)
            .sum()
    }
}
