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

use crate::book::{Book, Parked};
use crate::chunk::{CHUNK_CONTENT_BYTES, chunk_count, encode_chunk};
use crate::cleaning::{clean_turn, retire_idle};
use crate::clock::{self, Clock};
use crate::error::JournalError;
use crate::limits::{
    BUFFERED_SYNC_INTERVAL, CHUNK_BYTES_MAX, COMMITTED_IDLE, MARK_INTERVAL,
    REMOVED_CHUNKS_PER_TURN, SETTLE_IDLE, SLOW_ROUND,
};
use crate::options::Durability;
use crate::round::Round;
use crate::shared::{Shared, run_completions};
use crate::snapshot::SnapshotName;
use crate::store::RoundStore;

/// What the writer does when no round waits.
pub(crate) enum Rest {
    /// There is something to do after all.
    Work,
    /// Nothing until this time.
    Until(Instant),
    /// Nothing until it is woken.
    UntilWoken,
    /// The journal is closing, and nothing is left to write.
    Over,
}

/// See the module.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    pub clock: Clock,
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
    /// Whether something was given to the store since it settled everything.
    unsettled: bool,
    last_round_at: Instant,
    /// When the round that is being written was begun.
    begun_at: Instant,
    failed: bool,
}

impl Writer {
    /// The writer of a journal whose last round was `written`.
    pub(crate) fn new(shared: Arc<Shared>, written: u64) -> Writer {
        let clock = Clock::System;
        Writer {
            shared,
            clock,
            value: Vec::with_capacity(CHUNK_BYTES_MAX),
            written,
            synced: written,
            marked: written,
            floor: 0,
            obsolete: Vec::new(),
            unsynced_since: None,
            unmarked_since: None,
            unsettled: false,
            last_round_at: clock.now(),
            begun_at: clock.now(),
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
                clock::pause(MARK_INTERVAL);
            }
        }
        Self::let_go(&shared);
    }

    fn let_go(shared: &Shared) {
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
            let more = self.tidy(idle);
            if idle && !more && !self.wait() {
                break;
            }
        }
        self.sync_at_end();
    }

    fn sync_at_end(&mut self) {
        if !self.failed {
            self.guarded(|writer| writer.finish().map(|()| false));
        }
    }

    /// Whether this is the writer of that journal.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn writes_for(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// Ends a writer without a thread.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn leave(mut self) {
        self.sync_at_end();
        Self::let_go(&self.shared);
    }

    /// One bounded turn of housekeeping. Returns whether there is more to do at once.
    pub(crate) fn tidy(&mut self, idle: bool) -> bool {
        !self.failed && self.guarded(|writer| writer.housekeep(idle))
    }

    pub(crate) fn take(&mut self) -> Option<Round> {
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
        if self.begin(&mut round) {
            self.end(round);
        }
    }

    /// Hands a round to the store; whether that worked.
    pub(crate) fn begin(&mut self, round: &mut Round) -> bool {
        self.begun_at = self.clock.now();
        let shared = Arc::clone(&self.shared);
        let written = shared.with_store(|store| self.write(store, round));
        self.settle_failure(round, written)
    }

    /// Makes a round that was begun durable, and tells those who wait for it.
    pub(crate) fn end(&mut self, mut round: Round) {
        let shared = Arc::clone(&self.shared);
        if self.shared.options.durability == Durability::Fsync {
            let synced = shared.with_store(|store| self.sync(store));
            if !self.settle_failure(&mut round, synced) {
                return;
            }
            self.synced = round.number;
        }
        let now = self.clock.now();
        self.note_round(&round, now, now - self.begun_at);
        {
            let mut book = shared.book.lock();
            book.rounds
                .note_written(round.number, std::mem::take(&mut round.bytes));
            book.finish_moves(&round.moved);
            book.release_written();
            if book.cached_bytes > shared.options.cached_bytes_max {
                book.shrink_cache(shared.options.cached_bytes_max);
            }
        }
        run_completions(std::mem::take(&mut round.completions), &Ok(()));
        self.obsolete.append(&mut round.obsolete);
        self.discard_obsolete();
    }

    /// A failure is told to those who wait for the round; whether there was none.
    fn settle_failure(&mut self, round: &mut Round, result: Result<(), JournalError>) -> bool {
        let Err(error) = result else { return true };
        self.failed = true;
        // Set before the completions run, so that whoever asks why finds the reason.
        self.shared
            .book
            .lock()
            .failure
            .get_or_insert_with(|| error.clone());
        let completions = std::mem::take(&mut round.completions);
        run_completions(completions, &Err(error.clone()));
        self.shared.fail(&error);
        false
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
        if took > SLOW_ROUND {
            let bytes = round.bytes.len() as u64;
            let ms = took.as_millis() as u64;
            tracing::warn!(ms, bytes, "writing to the log was slow");
        }
        self.written = round.number;
        self.floor = round.floor;
        self.last_round_at = now;
        self.unsettled = true;
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
        store.flush()
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

    fn finish(&mut self) -> Result<(), JournalError> {
        self.sync_and_mark()?;
        self.shared.with_store(|store| store.finish())
    }

    fn save_mark(&mut self, store: &dyn RoundStore) -> Result<(), JournalError> {
        self.unmarked_since = None;
        if self.synced > self.marked {
            store.save_mark(self.synced)?;
            self.marked = self.synced;
        }
        Ok(())
    }

    /// When the next sync, mark or settling is due.
    fn due(&self) -> Option<Instant> {
        let idle = self.unsettled.then(|| self.last_round_at + SETTLE_IDLE);
        self.sync_due().into_iter().chain(idle).min()
    }

    fn sync_due(&self) -> Option<Instant> {
        if self.shared.options.durability == Durability::Buffered {
            self.unsynced_since
                .map(|since| since + BUFFERED_SYNC_INTERVAL)
        } else {
            self.unmarked_since.map(|since| since + MARK_INTERVAL)
        }
    }

    /// One bounded turn. Returns whether there is more to do at once.
    fn housekeep(&mut self, idle: bool) -> Result<bool, JournalError> {
        let now = self.clock.now();
        if self.sync_due().is_some_and(|due| due <= now) {
            if self.unsynced_since.is_some() {
                self.sync_and_mark()?;
            } else {
                let shared = Arc::clone(&self.shared);
                shared.with_store(|store| self.save_mark(store))?;
            }
        }
        let more_to_settle = self.settle(idle && self.last_round_at + SETTLE_IDLE <= now)?;
        let more_to_remove = self.remove_retired()?;
        let cleaned = clean_turn(&self.shared)?;
        let more = more_to_settle || more_to_remove || cleaned;
        Ok(more || (idle && retire_idle(&self.shared)))
    }

    fn settle(&mut self, everything: bool) -> Result<bool, JournalError> {
        if !self.unsettled {
            return Ok(false);
        }
        let more = self.shared.with_store(|store| store.settle(everything))?;
        self.unsettled = more || !everything;
        Ok(more)
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
            self.unsettled = true;
        }
        let book = self.shared.book.lock();
        Ok(!book.closing && book.rounds.ledger.has_retired(book.rounds.removable_below))
    }

    /// Waits for work. Returns false once the journal is closing and nothing is left to write.
    fn wait(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut book = shared.book.lock();
        loop {
            match self.look(&mut book) {
                Rest::Work => return true,
                Rest::Over => return false,
                Rest::Until(wake_at) => {
                    shared.wake.wait_until(&mut book, wake_at);
                }
                Rest::UntilWoken => {
                    shared.wake.wait(&mut book);
                    self.woken();
                }
            }
            book.parked = Parked::No;
        }
    }

    /// Something happened after a long rest: what rides along with rounds waits anew.
    pub(crate) fn woken(&mut self) {
        self.last_round_at = self.clock.now();
    }

    /// What is to be done now that no round waits. The journal wakes who rests.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn rest(&mut self) -> Rest {
        let shared = Arc::clone(&self.shared);
        let mut book = shared.book.lock();
        self.look(&mut book)
    }

    fn look(&mut self, book: &mut Book) -> Rest {
        self.failed |= book.failure.is_some();
        book.parked = Parked::No;
        if !self.failed && book.rounds.has_work() {
            return Rest::Work;
        }
        if book.closing {
            let write_marks = !self.failed && book.rounds.committed.any_waits();
            if write_marks {
                book.rounds.seal();
                return Rest::Work;
            }
            return Rest::Over;
        }
        let now = self.clock.now();
        let due = if self.failed { None } else { self.due() };
        let idle_at = self.last_round_at + COMMITTED_IDLE;
        if due.is_some_and(|due| due <= now) {
            return Rest::Work;
        }
        if now >= idle_at && !self.failed && book.rounds.committed.any_waits() {
            book.rounds.seal();
            return Rest::Work;
        }
        let wake_at = due.or((now < idle_at && !self.failed).then_some(idle_at));
        let Some(wake_at) = wake_at else {
            book.parked = Parked::UntilWoken;
            return Rest::UntilWoken;
        };
        book.parked = Parked::Briefly;
        Rest::Until(wake_at)
    }
}
