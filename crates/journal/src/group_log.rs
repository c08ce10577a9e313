//! The log of one group: entries, vote, marks and snapshots.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::book::{Book, Parked, check_length};
use crate::error::{Completion, JournalError};
use crate::group::GroupState;
use crate::journal::Inner;
use crate::limits::READ_ATTEMPTS_MAX;
use crate::record::Place;
use crate::shared::{RecordReader, Shared};
use crate::snapshot::{SnapshotFileReader, SnapshotFileWriter};

/// The log of one group. Cheap to clone.
///
/// A change can be read as soon as the call returns. Its completion is called from the writing
/// thread once it and everything given before it, to any group, is durable.
#[derive(Clone)]
pub struct GroupLog {
    inner: Arc<Inner>,
    group: u32,
    /// Of a group that was removed and comes back, each life has a log of its own.
    life: u64,
}

enum Found {
    Cached(Bytes),
    Stored(u64, Place),
}

impl GroupLog {
    pub(crate) fn new(inner: Arc<Inner>, group: u32) -> GroupLog {
        let life = inner.shared.book.lock().life(group);
        GroupLog { inner, group, life }
    }

    /// The number of the group.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.group
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn submit(
        &self,
        done: Completion,
        change: impl FnOnce(&mut Book) -> Result<(), JournalError>,
    ) -> bool {
        self.shared().submit(done, |book| {
            book.check_group(self.group, self.life)?;
            change(book)
        })
    }

    /// What is stored of the group.
    #[must_use]
    pub fn state(&self) -> GroupState {
        let book = self.shared().book.lock();
        if book.life(self.group) == self.life {
            book.state(self.group)
        } else {
            GroupState::default()
        }
    }

    /// The present entries of `range`, in order, until they are `max_bytes` together, but at least
    /// one if there is any. Entries before the oldest present one are left out.
    pub fn entries(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Bytes>, JournalError> {
        let found = self.find(range, max_bytes);
        if found.iter().all(|found| matches!(found, Found::Cached(_))) {
            let cached = found.into_iter().filter_map(|found| match found {
                Found::Cached(entry) => Some(entry),
                Found::Stored(..) => None,
            });
            return Ok(cached.collect());
        }
        let read = self.shared().with_store(|store| {
            let mut reader = RecordReader::new(store);
            let mut entries = Vec::with_capacity(found.len());
            for found in found {
                let entry = match found {
                    Found::Cached(entry) => Some(entry),
                    Found::Stored(index, place) => self.read(&mut reader, index, place)?,
                };
                let Some(entry) = entry else { break };
                entries.push(entry);
            }
            Ok(entries)
        });
        if let Err(error @ JournalError::Corrupted { .. }) = &read {
            self.shared().fail(error);
        }
        read
    }

    /// The newest entry.
    pub fn last_entry(&self) -> Result<Option<Bytes>, JournalError> {
        let next_index = self.state().next_index;
        let Some(index) = next_index.checked_sub(1) else {
            return Ok(None);
        };
        Ok(self.entries(index..next_index, 0)?.pop())
    }

    fn find(&self, range: Range<u64>, max_bytes: usize) -> Vec<Found> {
        let book = self.shared().book.lock();
        let mut found = Vec::new();
        let Some(known) = book.groups.get(&self.group) else {
            return found;
        };
        let mut bytes = 0;
        for index in range.start.max(known.entries.first())..range.end.min(known.entries.end()) {
            let Some(place) = known.entries.place(index) else {
                break;
            };
            bytes += place.bytes as usize;
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            found.push(match known.entries.cached(index) {
                Some(entry) => Found::Cached(entry.clone()),
                None => Found::Stored(index, place),
            });
        }
        found
    }

    /// Reads a stored entry. Meanwhile it may have been written again elsewhere, or dropped.
    fn read(
        &self,
        reader: &mut RecordReader<'_>,
        index: u64,
        place: Place,
    ) -> Result<Option<Bytes>, JournalError> {
        let mut place = place;
        for _ in 0..READ_ATTEMPTS_MAX {
            if let Some(entry) = reader.entry(self.group, index, place)? {
                return Ok(Some(entry));
            }
            let book = self.shared().book.lock();
            let Some(known) = book.groups.get(&self.group) else {
                return Ok(None);
            };
            if let Some(entry) = known.entries.cached(index) {
                return Ok(Some(entry.clone()));
            }
            let Some(now) = known.entries.place(index) else {
                return Ok(None);
            };
            if now == place {
                break;
            }
            place = now;
        }
        let what = format!("entry {index} of group {} is missing", self.group);
        Err(JournalError::corrupted(
            what,
            format!("round {}", place.round),
        ))
    }

    /// Appends entries from `first_index` on. Present entries from there on are dropped first. The
    /// log may begin anywhere, but not have gaps.
    pub fn append(&self, first_index: u64, entries: Vec<Bytes>, done: Completion) {
        self.submit(done, |book| book.append(self.group, first_index, entries));
    }

    /// Drops the entries after `last_index`, or all.
    pub fn truncate_after(&self, last_index: Option<u64>, done: Completion) {
        let index = last_index.map_or(0, |last| last + 1);
        self.submit(done, |book| {
            book.truncate_from(self.group, index);
            Ok(())
        });
    }

    /// Drops the entries up to and including `up_to`, which may be beyond the newest one; the log
    /// goes on after it.
    pub fn purge(&self, up_to: u64, log_id: Bytes, done: Completion) {
        self.submit(done, |book| book.purge(self.group, up_to, log_id));
    }

    /// Saves the vote.
    pub fn save_vote(&self, vote: Bytes, done: Completion) {
        self.submit(done, |book| book.save_vote(self.group, vote));
    }

    /// Saves the committed mark with the next round, whenever there is one; when nothing is
    /// written for a second, and at closing, it is written by itself.
    pub fn save_committed(&self, committed: Bytes) {
        let mut book = self.shared().book.lock();
        if book.check_group(self.group, self.life).is_err() {
            return;
        }
        book.save_committed(self.group, committed);
        if book.parked == Parked::UntilWoken {
            book.parked = Parked::No;
            drop(book);
            self.shared().wake_writer();
        }
    }

    /// Saves the descriptor of the group.
    pub fn save_descriptor(&self, descriptor: Bytes, done: Completion) {
        self.submit(done, |book| book.save_descriptor(self.group, descriptor));
    }

    /// Drops everything of the group as `remove` does, and saves `vote` for the next log, in one
    /// round.
    pub fn remove_but(&self, vote: Bytes, done: Completion) {
        self.submit(done, |book| {
            check_length(vote.len())?;
            book.remove(self.group);
            book.save_vote(self.group, vote)
        });
    }

    /// Drops everything of the group: what still comes by this log is refused. A log that is asked
    /// for from now on is a new one.
    pub fn remove(&self, done: Completion) {
        self.submit(done, |book| {
            book.remove(self.group);
            Ok(())
        });
    }

    /// The entries up to and including `up_to` need not stay in memory.
    pub fn release(&self, up_to: u64) {
        let mut book = self.shared().book.lock();
        if book.life(self.group) == self.life {
            book.release(self.group, up_to.saturating_add(1));
        }
    }

    /// Bytes of the present entries.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        let book = self.shared().book.lock();
        book.groups
            .get(&self.group)
            .map_or(0, |known| known.entries.bytes())
    }

    /// Begins a snapshot. It counts once it is finished.
    pub fn begin_snapshot(&self) -> Result<SnapshotFileWriter, JournalError> {
        let name = {
            let mut book = self.shared().book.lock();
            book.check_group(self.group, self.life)?;
            book.begin_snapshot(self.group)
        };
        SnapshotFileWriter::begin(self.clone(), name)
    }

    /// Opens the snapshot that counts.
    pub fn read_snapshot(&self) -> Result<Option<SnapshotFileReader>, JournalError> {
        let mut counting = self.state().snapshot;
        loop {
            let Some(info) = counting else {
                return Ok(None);
            };
            let read = self.shared().snapshots.read(self.group, info.clone());
            let now = self.state().snapshot;
            if read.is_ok() || now.as_ref().is_some_and(|now| now.number == info.number) {
                return read.map(Some);
            }
            // A newer one came to count, and this one was deleted, before it was opened.
            counting = now;
        }
    }
}
