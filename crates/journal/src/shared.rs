//! What callers and the writing thread share, and the reading of stored entries.

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::book::{Book, Parked};
use crate::chunk::{CHUNK_CONTENT_BYTES, ChunkFault, decode_chunk};
use crate::error::{Completion, JournalError};
use crate::options::JournalOptions;
use crate::record::{Place, RECORD_HEADER_BYTES, RecordKind, Records};
use crate::snapshot::SnapshotHome;
use crate::statistics::Counters;
use crate::store::RoundStore;
use crate::store::directory::DirectoryLock;

/// Told of the first failure.
pub(crate) type FailureListener = Box<dyn Fn(JournalError) + Send + Sync>;

/// See the module.
pub(crate) struct Shared {
    pub options: JournalOptions,
    pub book: Mutex<Book>,
    pub wake: Condvar,
    /// Gone once the journal is closed.
    pub store: RwLock<Option<Box<dyn RoundStore>>>,
    pub lock: Mutex<Option<DirectoryLock>>,
    pub snapshots: SnapshotHome,
    pub counters: Counters,
    pub listeners: Mutex<Vec<FailureListener>>,
}

impl Shared {
    /// Makes a change and has `done` called once it is durable. Returns whether it was accepted.
    pub(crate) fn submit(
        &self,
        done: Completion,
        change: impl FnOnce(&mut Book) -> Result<(), JournalError>,
    ) -> bool {
        let mut book = self.book.lock();
        if let Err(error) = book.check_open().and_then(|()| change(&mut book)) {
            drop(book);
            done(Err(error));
            return false;
        }
        book.rounds.complete_with(done);
        let parked = std::mem::replace(&mut book.parked, Parked::No);
        drop(book);
        if parked != Parked::No {
            self.wake_writer();
        }
        true
    }

    /// Wakes the writer, which rests.
    pub(crate) fn wake_writer(&self) {
        self.wake.notify_one();
        #[cfg(any(test, feature = "testing"))]
        if let crate::options::Location::Simulated(disk) = &self.options.location {
            disk.wake_writer();
        }
    }

    /// Uses the store, unless the journal is closed.
    pub(crate) fn with_store<T>(
        &self,
        work: impl FnOnce(&dyn RoundStore) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        match self.store.read().as_deref() {
            Some(store) => work(store),
            None => Err(JournalError::Closed),
        }
    }

    /// Ends all writing for good: the first error is given to all that wait and all that come.
    pub(crate) fn fail(&self, error: &JournalError) {
        let (waiting, failure) = {
            let mut book = self.book.lock();
            let failure = book.failure.get_or_insert_with(|| error.clone()).clone();
            (book.rounds.abandon(), failure)
        };
        tracing::error!(error = %failure, "the storage failed; nothing is written any more");
        run_completions(waiting, &Err(failure));
        self.tell_listeners();
    }

    /// Ends all writing for good, without a failure: what waits is given up.
    pub(crate) fn abandon(&self) {
        self.listeners.lock().clear();
        let waiting = {
            let mut book = self.book.lock();
            book.failure.get_or_insert(JournalError::Closed);
            book.rounds.abandon()
        };
        run_completions(waiting, &Err(JournalError::Closed));
    }

    /// Tells the listeners of the failure, if there is one, and each of them once.
    pub(crate) fn tell_listeners(&self) {
        let Some(failure) = self.book.lock().failure.clone() else {
            return;
        };
        for listener in std::mem::take(&mut *self.listeners.lock()) {
            listener(failure.clone());
        }
    }
}

/// Calls each completion; one that panics does not take the others, or the thread, with it.
pub(crate) fn run_completions(completions: Vec<Completion>, result: &Result<(), JournalError>) {
    for completion in completions {
        let result = result.clone();
        let call = std::panic::AssertUnwindSafe(|| completion(result));
        if std::panic::catch_unwind(call).is_err() {
            tracing::error!("a completion panicked");
        }
    }
}

/// Reads records, and keeps the last chunk for the next one.
pub(crate) struct RecordReader<'a> {
    store: &'a dyn RoundStore,
    at: Option<(u64, u32)>,
    value: Vec<u8>,
}

impl<'a> RecordReader<'a> {
    pub(crate) fn new(store: &'a dyn RoundStore) -> RecordReader<'a> {
        RecordReader {
            store,
            at: None,
            value: Vec::new(),
        }
    }

    /// The checked content of a chunk, or `None` if it is not there.
    fn content(&mut self, round: u64, chunk: u32) -> Result<Option<&[u8]>, JournalError> {
        if self.at != Some((round, chunk)) {
            self.at = None;
            let Some(value) = self.store.read(round, chunk)? else {
                return Ok(None);
            };
            self.value = value;
        }
        let checked = decode_chunk(round, chunk, &self.value)
            .map_err(|fault| chunk_error(round, chunk, fault))?;
        self.at = Some((round, chunk));
        Ok(Some(checked.content))
    }

    /// The entry of `group` at `index` that stands at `place`, or `None` if its round is gone.
    pub(crate) fn entry(
        &mut self,
        group: u32,
        index: u64,
        place: Place,
    ) -> Result<Option<Bytes>, JournalError> {
        let mut record = Vec::with_capacity(place.record_bytes() as usize);
        let mut offset = place.offset as usize;
        let end = offset + place.record_bytes() as usize;
        while offset < end {
            let chunk = (offset / CHUNK_CONTENT_BYTES) as u32;
            let Some(content) = self.content(place.round, chunk)? else {
                return Ok(None);
            };
            let from = offset % CHUNK_CONTENT_BYTES;
            let to = content.len().min(from + end - offset);
            if from >= to {
                return Err(wrong_record(group, index, place));
            }
            record.extend_from_slice(&content[from..to]);
            offset += to - from;
        }
        let read = Records::new(place.round, &record).next().transpose()?;
        let fits = read.is_some_and(|read| {
            read.kind == RecordKind::Entry
                && read.group == group
                && read.number == index
                && read.content.len() == place.bytes as usize
        });
        if !fits {
            return Err(wrong_record(group, index, place));
        }
        Ok(Some(Bytes::from(record).slice(RECORD_HEADER_BYTES..)))
    }

    /// All records of a round as one piece, which has to be there.
    pub(crate) fn round(&mut self, round: u64) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::new();
        let mut chunk = 0;
        let mut chunks = 1;
        while chunk < chunks {
            let Some(content) = self.content(round, chunk)? else {
                return Err(missing_chunk(round, chunk));
            };
            bytes.extend_from_slice(content);
            if chunk == 0 {
                chunks = decode_chunk(round, chunk, &self.value)
                    .map_err(|fault| chunk_error(round, chunk, fault))?
                    .chunks;
            }
            chunk += 1;
        }
        Ok(bytes)
    }
}

fn wrong_record(group: u32, index: u64, place: Place) -> JournalError {
    let place = format!("round {}, offset {}", place.round, place.offset);
    JournalError::corrupted(
        format!("entry {index} of group {group} is not where it was"),
        place,
    )
}

/// The error for a chunk that is not there.
pub(crate) fn missing_chunk(round: u64, chunk: u32) -> JournalError {
    JournalError::corrupted(
        "a part of the log is missing",
        format!("round {round}, chunk {chunk}"),
    )
}

/// The error for a chunk with a fault.
pub(crate) fn chunk_error(round: u64, chunk: u32, fault: ChunkFault) -> JournalError {
    let what = match fault {
        ChunkFault::Short => "a part of the log is cut off".to_string(),
        ChunkFault::Damaged => "a part of the log is damaged: its checksum does not fit".into(),
        ChunkFault::Misplaced => "a part of the log is not where it belongs".into(),
        ChunkFault::Version(found) => format!("a part of the log has the unknown format {found}"),
    };
    JournalError::corrupted(what, format!("round {round}, chunk {chunk}"))
}
