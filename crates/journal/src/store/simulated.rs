//! A disk in memory that fails, tears and forgets on demand, for tests.

mod disk;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::error::JournalError;
use crate::ledger::Retired;
use crate::options::JournalOptions;
use crate::shared::Shared;
use crate::snapshot::SnapshotHome;
use crate::stepped::{Desk, SteppedWriter, WriterStep};
use crate::store::front::{BLOCK_BYTES, FrontFile, FrontedStore};
use crate::store::{ChunkVisitor, RoundStore};
use crate::writer::Writer;

use disk::{Change, Disk};

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
        write!(
            formatter,
            "SimulatedDisk({} chunks)",
            disk.visible.chunks.len()
        )
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
        let mut locked = self.disk.lock();
        let disk = &mut *locked;
        let mut changes = std::mem::take(&mut disk.unsynced).into_iter();
        let keep = changes.by_ref().take(kept).collect::<Vec<_>>();
        keep.into_iter()
            .for_each(|change| disk.durable.apply(change));
        if torn_bytes > 0
            && let Some(next) = changes.next()
        {
            disk.tear(next, |at| at < torn_bytes);
        }
        disk.restart();
        drop(locked);
        self.forget_writer();
    }

    /// Takes the power, as [`SimulatedDisk::crash`] does, where the home kept its first `kept`
    /// changes while the front file kept of what was written to it whichever blocks of 4 KiB
    /// `block_kept` chooses: told the number of the change and that of the block in it.
    pub fn crash_apart(&self, kept: usize, block_kept: impl Fn(usize, usize) -> bool) {
        let mut locked = self.disk.lock();
        let disk = &mut *locked;
        let unsynced = std::mem::take(&mut disk.unsynced);
        let (front, home): (Vec<_>, Vec<_>) =
            unsynced.into_iter().partition(|change| change.is_front());
        home.into_iter()
            .take(kept)
            .for_each(|change| disk.durable.apply(change));
        for (number, change) in front.into_iter().enumerate() {
            disk.tear(change, |at| block_kept(number, at / BLOCK_BYTES));
        }
        disk.restart();
        drop(locked);
        self.forget_writer();
    }

    fn forget_writer(&self) {
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

    /// Has the disk go silent after `operations` more writes, removals and syncs: from then on all
    /// of them fail without effect, until the power is taken.
    pub fn cut_after(&self, operations: u64) {
        self.disk.lock().operations_until_cut = Some(operations);
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
        let mut rounds = disk
            .visible
            .chunks
            .keys()
            .map(|key| key.0)
            .collect::<Vec<_>>();
        rounds.dedup();
        rounds
    }

    /// Removes a chunk behind the journal's back.
    pub fn lose_chunk(&self, round: u64, chunk: u32) {
        let mut disk = self.disk.lock();
        disk.durable.chunks.remove(&(round, chunk));
        disk.visible.chunks.remove(&(round, chunk));
    }

    /// Flips a byte of a chunk behind the journal's back; false if there is none.
    pub fn flip_byte(&self, round: u64, chunk: u32, byte: usize) -> bool {
        let disk = &mut *self.disk.lock();
        let mut flipped = false;
        for content in [&mut disk.durable, &mut disk.visible] {
            if let Some(byte) = content
                .chunks
                .get_mut(&(round, chunk))
                .and_then(|it| it.get_mut(byte))
            {
                *byte ^= 0xff;
                flipped = true;
            }
        }
        flipped
    }

    /// Flips a byte of the front file behind the journal's back.
    pub fn flip_front_byte(&self, at: usize) {
        let disk = &mut *self.disk.lock();
        disk.durable.front[at] ^= 0xff;
        disk.visible.front[at] ^= 0xff;
    }

    /// The front file as readers see it.
    #[must_use]
    pub fn front(&self) -> Vec<u8> {
        self.disk.lock().visible.front.clone()
    }

    pub(crate) fn open(&self, options: &JournalOptions) -> Result<SimulatedFronted, JournalError> {
        let (opening, is_new) = {
            let mut disk = self.disk.lock();
            disk.opening += 1;
            (disk.opening, disk.durable.front.is_empty())
        };
        let home = SimulatedStore {
            disk: Arc::clone(&self.disk),
            opening,
        };
        let file = SimulatedFile {
            disk: Arc::clone(&self.disk),
            opening,
        };
        if is_new {
            FrontedStore::create(home, file, options)
        } else {
            FrontedStore::open(home, file, options)
        }
    }

    pub(crate) fn snapshots(&self) -> SnapshotHome {
        self.snapshots.clone()
    }
}

/// A simulated disk as one journal sees it.
pub(crate) type SimulatedFronted = FrontedStore<SimulatedStore, SimulatedFile>;

/// The home of the rounds on a simulated disk.
pub(crate) struct SimulatedStore {
    disk: Arc<Mutex<Disk>>,
    opening: u64,
}

/// The front file on a simulated disk.
pub(crate) struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    opening: u64,
}

impl FrontFile for SimulatedFile {
    fn read(&self) -> Result<Vec<u8>, JournalError> {
        Ok(self.disk.lock().visible.front.clone())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), JournalError> {
        let change = Change::Front(offset as usize, bytes.to_vec());
        self.disk.lock().write(self.opening, change)
    }

    fn sync(&self) -> Result<(), JournalError> {
        self.disk.lock().sync(self.opening, true)
    }
}

impl RoundStore for SimulatedStore {
    fn write(&self, round: u64, chunk: u32, value: &[u8]) -> Result<(), JournalError> {
        let change = Change::Write((round, chunk), value.to_vec());
        self.disk.lock().write(self.opening, change)
    }

    fn flush(&self) -> Result<(), JournalError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), JournalError> {
        self.disk.lock().sync(self.opening, false)
    }

    fn read(&self, round: u64, chunk: u32) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self
            .disk
            .lock()
            .visible
            .chunks
            .get(&(round, chunk))
            .cloned())
    }

    fn remove(&self, retired: Retired) -> Result<(), JournalError> {
        let mut disk = self.disk.lock();
        (0..retired.chunks).try_for_each(|chunk| {
            let change = Change::Remove((retired.round, chunk));
            disk.write(self.opening, change)
        })
    }

    fn last(&self) -> Result<Option<(u64, u32, Vec<u8>)>, JournalError> {
        let disk = self.disk.lock();
        Ok(disk
            .visible
            .chunks
            .last_key_value()
            .map(|(key, value)| (key.0, key.1, value.clone())))
    }

    fn scan(&self, visit: &mut ChunkVisitor<'_>) -> Result<(), JournalError> {
        let chunks = self.disk.lock().visible.chunks.clone();
        chunks
            .iter()
            .try_for_each(|(key, value)| visit(key.0, key.1, value))
    }

    fn mark(&self) -> Result<u64, JournalError> {
        Ok(self.disk.lock().durable_mark)
    }

    fn save_mark(&self, round: u64) -> Result<(), JournalError> {
        let mut disk = self.disk.lock();
        disk.check(self.opening)?;
        disk.durable_mark = round;
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        let disk = self.disk.lock();
        disk.visible
            .chunks
            .values()
            .map(|value| value.len() as u64)
            .sum()
    }
}
