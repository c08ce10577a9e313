//! The writing thread: the only one that writes to the store.
//!
//! It takes what waits in all groups as one round, writes it, makes it durable, and calls the
//! completions. Between rounds it does bounded turns of housekeeping. A single waiting change is
//! written at once: no timer and no lingering stands before a round. Nor does the thread spin
//! before it sleeps: measured on two busy cores, a spin of 5 to 50 microseconds made a round trip
//! slower by its own length, since it keeps the callers from running.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::book::Parked;
use crate::chunk::{CHUNK_CONTENT_BYTES, chunk_count, encode_chunk};
use crate::cleaning::{clean_turn, retire_idle};
use crate::error::JournalError;
use crate::limits::{
    BUFFERED_SYNC_INTERVAL, CHUNK_BYTES_MAX, COMMITTED_IDLE, MARK_INTERVAL, REMOVED_CHUNKS_PER_TURN,
};
use crate::options::Durability;
use crate::round::Round;
use crate::shared::{Shared, run_completions};
use crate::snapshot::SnapshotName;
use crate::store::RoundStore;

/// See the module.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    value: Vec<u8>,
    written: u64,
    synced: u64,
    marked: u64,
    /// Floor of the last round that was written.
    floor: u64,
    /// Snapshots that do not count any more once the last round is durable.
    obsolete: Vec<SnapshotName>,
    unsynced_since: Option<Instant>,
    unmarked_since: Option<Instant>,
    last_round_at: Instant,
    failed: bool,
}

impl Writer {
    /// The writer of a journal whose last round was `written`.
    pub(crate) fn new(shared: Arc<Shared>, written: u64) -> Writer {
        Writer {
            shared,
            value: Vec::with_capacity(CHUNK_BYTES_MAX),
            written,
            synced: written,
            marked: written,
            floor: 0,
            obsolete: Vec::new(),
            unsynced_since: None,
            unmarked_since: None,
            last_round_at: Instant::now(),
            failed: false,
        }
    }

    /// Works until the journal is closed.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let work = std::panic::AssertUnwindSafe(|| self.work());
        if std::panic::catch_unwind(work).is_err() {
            shared.fail(&JournalError::failed("the writing thread panicked"));
            while !shared.book.lock().closing {
                std::thread::sleep(MARK_INTERVAL);
            }
        }
        // The store goes first: the directory is free only when nothing is open in it.
        *shared.store.write() = None;
        *shared.lock.lock() = None;
    }

    fn work(&mut self) {
        loop {
            let round = self.take();
            let idle = round.is_none();
            if let Some(round) = round {
                self.commit(round);
            }
            let more = !self.failed && self.guarded(|writer| writer.housekeep(idle));
            if idle && !more && !self.wait() {
                break;
            }
        }
        if !self.failed {
            self.guarded(|writer| writer.sync_and_mark().map(|()| false));
        }
    }

    fn take(&mut self) -> Option<Round> {
        let mut book = self.shared.book.lock();
        // A reader may have met the failure.
        self.failed |= book.failure.is_some();
        if self.failed {
            None
        } else {
            book.rounds.take()
        }
    }

    /// Does what may fail; a failure is final.
    fn guarded(&mut self, work: impl FnOnce(&mut Writer) -> Result<bool, JournalError>) -> bool {
        work(self).unwrap_or_else(|error| {
            self.failed = true;
            self.shared.fail(&error);
            false
        })
    }

    /// Writes a round and tells those who wait for it.
    fn commit(&mut self, mut round: Round) {
        let completions = std::mem::take(&mut round.completions);
        let begun = Instant::now();
        let shared = Arc::clone(&self.shared);
        if let Err(error) = shared.with_store(|store| self.write(store, &round)) {
            self.failed = true;
            // Set before the completions run, so that whoever asks why finds the reason.
            shared
                .book
                .lock()
                .failure
                .get_or_insert_with(|| error.clone());
            run_completions(completions, &Err(error.clone()));
            shared.fail(&error);
            return;
        }
        let now = Instant::now();
        self.note_round(&round, now, now - begun);
        {
            let mut book = shared.book.lock();
            book.rounds.note_written(round.number, round.bytes);
            book.finish_moves(&round.moved);
            book.release_written();
            if book.cached_bytes > shared.options.cached_bytes_max {
                book.shrink_cache(shared.options.cached_bytes_max);
            }
        }
        run_completions(completions, &Ok(()));
        self.obsolete.append(&mut round.obsolete);
        self.discard_obsolete();
    }

    /// Lets go of what nothing needs any more, once a crash cannot bring back the need for it.
    fn discard_obsolete(&mut self) {
        if self.synced < self.written {
            return;
        }
        self.shared.book.lock().rounds.removable_below = self.floor;
        for snapshot in self.obsolete.drain(..) {
            self.shared.snapshots.delete(snapshot);
        }
    }

    fn note_round(&mut self, round: &Round, now: Instant, took: Duration) {
        let counters = &self.shared.counters;
        counters.rounds.fetch_add(1, Ordering::Relaxed);
        counters
            .appended_bytes
            .fetch_add(round.bytes.len() as u64, Ordering::Relaxed);
        counters
            .last_flush_nanoseconds
            .store(took.as_nanos() as u64, Ordering::Relaxed);
        self.written = round.number;
        self.floor = round.floor;
        self.last_round_at = now;
        self.unmarked_since.get_or_insert(now);
        if self.synced < self.written {
            self.unsynced_since.get_or_insert(now);
        }
    }

    fn write(&mut self, store: &dyn RoundStore, round: &Round) -> Result<(), JournalError> {
        let chunks = chunk_count(round.bytes.len() as u64);
        for chunk in 0..chunks {
            let from = chunk as usize * CHUNK_CONTENT_BYTES;
            let to = round.bytes.len().min(from + CHUNK_CONTENT_BYTES);
            let content = &round.bytes[from..to];
            encode_chunk(
                &mut self.value,
                round.number,
                chunk,
                chunks,
                round.floor,
                content,
            );
            store.write(round.number, chunk, &self.value)?;
        }
        store.flush()?;
        if self.shared.options.durability == Durability::Fsync {
            self.sync(store)?;
            self.synced = round.number;
        }
        Ok(())
    }

    fn sync(&self, store: &dyn RoundStore) -> Result<(), JournalError> {
        self.shared.counters.flushes.fetch_add(1, Ordering::Relaxed);
        store.sync()
    }

    /// Makes everything written durable and notes that it is.
    fn sync_and_mark(&mut self) -> Result<(), JournalError> {
        let shared = Arc::clone(&self.shared);
        shared.with_store(|store| {
            store.flush()?;
            self.sync(store)?;
            self.synced = self.written;
            self.unsynced_since = None;
            self.save_mark(store)
        })?;
        self.discard_obsolete();
        Ok(())
    }

    fn save_mark(&mut self, store: &dyn RoundStore) -> Result<(), JournalError> {
        self.unmarked_since = None;
        if self.synced > self.marked {
            store.save_mark(self.synced)?;
            self.marked = self.synced;
        }
        Ok(())
    }

    /// When the next sync or mark is due.
    fn due(&self) -> Option<Instant> {
        if self.shared.options.durability == Durability::Buffered {
            self.unsynced_since
                .map(|since| since + BUFFERED_SYNC_INTERVAL)
        } else {
            self.unmarked_since.map(|since| since + MARK_INTERVAL)
        }
    }

    /// One bounded turn. Returns whether there is more to do at once.
    fn housekeep(&mut self, idle: bool) -> Result<bool, JournalError> {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            if self.unsynced_since.is_some() {
                self.sync_and_mark()?;
            } else {
                let shared = Arc::clone(&self.shared);
                shared.with_store(|store| self.save_mark(store))?;
            }
        }
        let more_to_remove = self.remove_retired()?;
        let cleaned = clean_turn(&self.shared)?;
        Ok(more_to_remove || cleaned || (idle && retire_idle(&self.shared)))
    }

    fn remove_retired(&mut self) -> Result<bool, JournalError> {
        let mut chunks = 0;
        while chunks < REMOVED_CHUNKS_PER_TURN {
            let retired = {
                let mut book = self.shared.book.lock();
                let limit = book.rounds.removable_below;
                book.rounds.ledger.take_retired(limit)
            };
            let Some(retired) = retired else {
                return Ok(false);
            };
            chunks += retired.chunks as usize;
            self.shared.with_store(|store| store.remove(retired))?;
        }
        let book = self.shared.book.lock();
        Ok(!book.closing && book.rounds.ledger.has_retired(book.rounds.removable_below))
    }

    /// Waits for work. Returns false once the journal is closing and nothing is left to write.
    fn wait(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut book = shared.book.lock();
        loop {
            self.failed |= book.failure.is_some();
            if !self.failed && book.rounds.has_work() {
                return true;
            }
            if book.closing {
                let write_marks = !self.failed && book.rounds.committed.any_waits();
                if write_marks {
                    book.rounds.seal();
                }
                return write_marks;
            }
            let now = Instant::now();
            let due = if self.failed { None } else { self.due() };
            let idle_at = self.last_round_at + COMMITTED_IDLE;
            if due.is_some_and(|due| due <= now) {
                return true;
            }
            if now >= idle_at && !self.failed && book.rounds.committed.any_waits() {
                book.rounds.seal();
                return true;
            }
            let wake_at = due.or((now < idle_at && !self.failed).then_some(idle_at));
            if let Some(wake_at) = wake_at {
                book.parked = Parked::Briefly;
                shared.wake.wait_until(&mut book, wake_at);
            } else {
                book.parked = Parked::UntilWoken;
                shared.wake.wait(&mut book);
                self.last_round_at = Instant::now();
            }
            book.parked = Parked::No;
        }
    }
}
