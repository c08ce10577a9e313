//! A small file in front of a store of rounds, its *home*.
//!
//! A round is durable once it was written over blocks of a file that never changes its size: that
//! takes one wait for the disk, where the home takes two and wakes threads of its own. The home
//! gets the same rounds in the same order later, many at once. Invariants:
//!
//! 1. A round that was synced is durable in the front file or at home, at every moment.
//! 2. Blocks of a synced round are overwritten only once that round is durably at home.
//! 3. The home by itself is a whole log at every moment, only shorter: it is given all rounds in
//!    order, and a removal only once the rounds written before it are durably there.
//! 4. Rounds of the front that are beyond the home's last one continue it without a gap. At opening
//!    they go home first, and then the file is void: a new epoch begins.
//! 5. What waits in memory to be taken home fits into the file.
//!
//! Rounds too large to gain anything go home at once, after all that waits.

mod file;
mod halves;
mod opening;
mod record;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::JournalError;
use crate::ledger::Retired;
use crate::limits::{REMOVED_CHUNKS_PER_TURN, SETTLED_CHUNKS_PER_TURN};
use crate::options::JournalOptions;
use crate::store::{ChunkVisitor, RoundStore};

pub(crate) use file::{DiskFile, FrontFile};
use halves::Halves;
#[cfg(any(test, feature = "testing"))]
pub(crate) use record::BLOCK_BYTES;
use record::{Claims, FIRST_EPOCH, HEADER_BYTES, Header, RoundRecord};

/// See the module.
pub(crate) struct FrontedStore<H, F> {
    home: H,
    file: F,
    file_bytes: u64,
    round_bytes_max: usize,
    /// The writing thread's own: nobody else waits for this lock.
    line: Mutex<Line>,
    /// Rounds in the file that are not at home, in order, for readers too.
    waiting: Mutex<VecDeque<Arc<RoundRecord>>>,
}

/// How far each round has got.
struct Line {
    header: Header,
    /// Whether a round was given since the store was opened. Before, what is found at home is put
    /// in order there, and only then it is known after which round the epoch begins.
    begun: bool,
    halves: Halves,
    /// The round whose chunks are being written.
    collected: Option<RoundRecord>,
    /// The round that turned out to be too large: its chunks go home as they come.
    large: Option<u64>,
    /// The last round that was given.
    written: u64,
    /// Rounds up to this one are durable, in the file or at home.
    synced: u64,
    /// Rounds up to this one were given to the home.
    given_home: u64,
    /// Rounds up to this one are durably at home.
    home: u64,
    /// Whether the file, and the home, hold something that the next sync has to make durable.
    file_waits: bool,
    home_waits: bool,
    /// What is to be removed from the home once the round beside it is durable there; as many at
    /// most as there are rounds.
    removals: VecDeque<(u64, Retired)>,
}

impl<H: RoundStore, F: FrontFile> FrontedStore<H, F> {
    /// Puts an empty front before `home`.
    pub(crate) fn create(home: H, file: F, options: &JournalOptions) -> Result<Self, JournalError> {
        let header = Header {
            epoch: FIRST_EPOCH - 1,
            salt: 0,
            home: 0,
            half_bytes: Halves::half_bytes(options.front_bytes) as u64,
        };
        let store = FrontedStore::new(home, file, header, options);
        // Written and not merely sized: overwriting then changes nothing but the blocks.
        store.file.write(0, &vec![0; store.file_bytes as usize])?;
        store.begin_epoch(&mut store.line.lock())?;
        Ok(store)
    }

    /// Opens a front that has to be there, and takes home what it holds.
    pub(crate) fn open(home: H, file: F, options: &JournalOptions) -> Result<Self, JournalError> {
        let home_last = home.last()?.map_or(0, |(round, ..)| round);
        let opened = opening::open(&file, home_last, home.mark()?)?;
        let store = FrontedStore::new(home, file, opened.header, options);
        for record in &opened.rounds {
            store.write_home(record)?;
        }
        store.home.flush()?;
        store.home.sync()?;
        Ok(store)
    }

    fn new(home: H, file: F, header: Header, options: &JournalOptions) -> Self {
        let line = Line {
            header,
            begun: false,
            halves: Halves::new(header.half_bytes as usize),
            collected: None,
            large: None,
            written: 0,
            synced: 0,
            given_home: 0,
            home: 0,
            file_waits: false,
            home_waits: false,
            removals: VecDeque::new(),
        };
        FrontedStore {
            home,
            file,
            round_bytes_max: options.front_round_bytes_max,
            file_bytes: HEADER_BYTES as u64 + 2 * header.half_bytes,
            line: Mutex::new(line),
            waiting: Mutex::default(),
        }
    }

    /// Says durably that all rounds are at home and that the file is void.
    fn begin_epoch(&self, line: &mut Line) -> Result<(), JournalError> {
        line.header.epoch += 1;
        line.header.salt = RandomState::new().hash_one(line.header.epoch);
        line.header.home = line.home;
        self.file
            .write(line.header.offset(), &line.header.encode())?;
        self.file.sync()?;
        line.halves = Halves::new(line.header.half_bytes as usize);
        Ok(())
    }

    /// The rounds go on with `round`: all before it were found at home.
    fn begin(&self, line: &mut Line, round: u64) -> Result<(), JournalError> {
        line.written = round - 1;
        line.synced = line.written;
        line.given_home = line.written;
        line.home = line.written;
        self.begin_epoch(line)?;
        line.begun = true;
        Ok(())
    }

    /// Completes the round whose chunks were being written.
    fn place(&self, line: &mut Line) -> Result<(), JournalError> {
        if let Some(round) = line.large.take() {
            self.home.flush()?;
            line.written = round;
            line.given_home = round;
            line.home_waits = true;
            // The home has all that the file has.
            line.file_waits = false;
        }
        let Some(mut record) = line.collected.take() else {
            return Ok(());
        };
        if line.home_waits {
            // Nothing in the file may survive a crash that takes a large round before it.
            self.sync_home(line)?;
        }
        let bytes = record.file_bytes();
        if !line.halves.fits(bytes) {
            let filled = line.halves.filled();
            self.give_home(line, filled, usize::MAX)?;
            self.settle_home(line, filled)?;
            line.halves.turn();
        }
        let offset = line.halves.take(record.round, bytes);
        let claims = Claims {
            home: line.home,
            synced: line.synced,
        };
        let written = record.seal(&line.header, offset, claims);
        self.file.write(offset, written)?;
        line.written = record.round;
        line.file_waits = true;
        self.waiting.lock().push_back(Arc::new(record));
        Ok(())
    }

    /// Has the collected chunks, and all that waits before them, go home.
    fn send_home(&self, line: &mut Line) -> Result<(), JournalError> {
        self.give_home(line, u64::MAX, usize::MAX)?;
        if let Some(record) = line.collected.take() {
            self.write_home(&record)?;
            line.large = Some(record.round);
        }
        Ok(())
    }

    fn write_home(&self, record: &RoundRecord) -> Result<(), JournalError> {
        (0..)
            .zip(record.values())
            .try_for_each(|(chunk, value)| self.home.write(record.round, chunk, value))
    }

    /// Gives the home the oldest rounds that wait, up to round `last`, and stops after `chunks`.
    fn give_home(&self, line: &mut Line, last: u64, chunks: usize) -> Result<(), JournalError> {
        let mut given = 0;
        while given < chunks {
            let Some(record) = self.waiting_up_to(last) else {
                break;
            };
            self.write_home(&record)?;
            given += record.chunks as usize;
            line.given_home = record.round;
            // Only now: a reader that does not find it waiting finds it at home.
            self.waiting.lock().pop_front();
        }
        Ok(())
    }

    fn waiting_up_to(&self, last: u64) -> Option<Arc<RoundRecord>> {
        let waiting = self.waiting.lock();
        waiting.front().filter(|it| it.round <= last).cloned()
    }

    /// Makes what the home was given durable, if round `needed` is not yet.
    fn settle_home(&self, line: &mut Line, needed: u64) -> Result<(), JournalError> {
        if line.home >= needed {
            return Ok(());
        }
        self.home.flush()?;
        self.sync_home(line)
    }

    fn sync_home(&self, line: &mut Line) -> Result<(), JournalError> {
        self.home.sync()?;
        line.home = line.given_home;
        line.synced = line.synced.max(line.home);
        line.home_waits = false;
        Ok(())
    }

    /// Removes a bounded number of rounds whose time has come; whether more are left.
    fn remove_due(&self, line: &mut Line) -> Result<bool, JournalError> {
        let mut chunks = 0;
        while let Some(&(after, retired)) = line.removals.front() {
            if after > line.home || chunks >= REMOVED_CHUNKS_PER_TURN {
                return Ok(after <= line.home);
            }
            self.home.remove(retired)?;
            chunks += retired.chunks as usize;
            line.removals.pop_front();
        }
        Ok(false)
    }
}

impl<H: RoundStore, F: FrontFile> RoundStore for FrontedStore<H, F> {
    fn write(&self, round: u64, chunk: u32, value: &[u8]) -> Result<(), JournalError> {
        let line = &mut *self.line.lock();
        if chunk == 0 {
            self.place(line)?;
            if !line.begun {
                self.begin(line, round)?;
            }
            line.collected = Some(RoundRecord::new(round));
        }
        let Some(record) = &mut line.collected else {
            return self.home.write(round, chunk, value);
        };
        record.push(round, chunk, value)?;
        if record.file_bytes() > self.round_bytes_max.min(line.header.half_bytes as usize) {
            self.send_home(line)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), JournalError> {
        let line = &mut *self.line.lock();
        if line.begun {
            self.place(line)
        } else {
            self.home.flush()
        }
    }

    fn sync(&self) -> Result<(), JournalError> {
        let line = &mut *self.line.lock();
        if !line.begun {
            return self.home.sync();
        }
        if line.home_waits {
            self.sync_home(line)?;
        }
        if line.file_waits {
            self.file.sync()?;
            line.file_waits = false;
        }
        line.synced = line.written;
        Ok(())
    }

    fn read(&self, round: u64, chunk: u32) -> Result<Option<Vec<u8>>, JournalError> {
        {
            let waiting = self.waiting.lock();
            let found = waiting.binary_search_by_key(&round, |record| record.round);
            if let Some(record) = found.ok().and_then(|at| waiting.get(at)) {
                return Ok(record.values().nth(chunk as usize).map(<[u8]>::to_vec));
            }
        }
        self.home.read(round, chunk)
    }

    fn remove(&self, retired: Retired) -> Result<(), JournalError> {
        let line = &mut *self.line.lock();
        if line.removals.is_empty() && line.home >= line.written {
            return self.home.remove(retired);
        }
        line.removals.push_back((line.written, retired));
        Ok(())
    }

    fn last(&self) -> Result<Option<(u64, u32, Vec<u8>)>, JournalError> {
        self.home.last()
    }

    fn scan(&self, visit: &mut ChunkVisitor<'_>) -> Result<(), JournalError> {
        self.home.scan(visit)
    }

    fn mark(&self) -> Result<u64, JournalError> {
        self.home.mark()
    }

    fn save_mark(&self, round: u64) -> Result<(), JournalError> {
        self.home.save_mark(round)
    }

    fn settle(&self, everything: bool) -> Result<bool, JournalError> {
        let line = &mut *self.line.lock();
        let last = if everything {
            line.written
        } else {
            line.halves.filled()
        };
        if line.home < last {
            self.give_home(line, last, SETTLED_CHUNKS_PER_TURN)?;
            if line.given_home < last {
                return Ok(true);
            }
            self.settle_home(line, last)?;
        }
        self.remove_due(line)
    }

    fn finish(&self) -> Result<(), JournalError> {
        let line = &mut *self.line.lock();
        self.place(line)?;
        self.give_home(line, u64::MAX, usize::MAX)?;
        self.settle_home(line, line.written)?;
        if line.begun {
            self.begin_epoch(line)?;
            line.begun = false;
        }
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.home.disk_bytes() + self.file_bytes
    }
}
