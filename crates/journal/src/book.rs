//! The book: everything the journal holds in memory, behind one lock, and every change to it.
//!
//! A change puts its record into the round that is being filled and takes effect in memory in the
//! same step, so the order of the records is the order of the changes, for all groups together.

use std::collections::HashMap;

use bytes::Bytes;

use crate::error::JournalError;
use crate::group::{Group, GroupState, Mark, SnapshotInfo};
use crate::limits::RECORD_BYTES_MAX;
use crate::record::{Place, Record, RecordKind};
use crate::round::{Moved, Rounds};
use crate::snapshot::SnapshotName;

/// What is left of the former lives of a group that was removed.
#[derive(Debug, Default)]
pub(crate) struct Former {
    pub lives: u64,
    /// Number of the last snapshot that was begun.
    pub snapshots: u64,
}

/// See the module.
pub(crate) struct Book {
    pub groups: HashMap<u32, Group>,
    /// Groups removed since the journal was opened: what still comes for a former life is refused.
    pub removed: HashMap<u32, Former>,
    pub identity: Option<Mark<Bytes>>,
    pub rounds: Rounds,
    pub cached_bytes: u64,
    /// Groups with released entries that are not written yet.
    pub release_waits: Vec<u32>,
    pub failure: Option<JournalError>,
    pub closing: bool,
    pub parked: Parked,
}

/// Whether the writing thread sleeps and has to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// It works.
    No,
    /// It sleeps until some time soon.
    Briefly,
    /// It sleeps until it is woken.
    UntilWoken,
}

impl Book {
    /// Why nothing can be written any more, if so.
    pub(crate) fn check_open(&self) -> Result<(), JournalError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.closing => Err(JournalError::Closed),
            None => Ok(()),
        }
    }

    /// Which life of a group this is: how often it was removed since the journal was opened.
    pub(crate) fn life(&self, group: u32) -> u64 {
        self.removed.get(&group).map_or(0, |former| former.lives)
    }

    /// The same for one life of a group, which may have ended.
    pub(crate) fn check_group(&self, group: u32, life: u64) -> Result<(), JournalError> {
        self.check_open()?;
        if self.life(group) == life {
            Ok(())
        } else {
            Err(JournalError::Closed)
        }
    }

    pub(crate) fn state(&self, group: u32) -> GroupState {
        let Some(known) = self.groups.get(&group) else {
            return GroupState::default();
        };
        GroupState {
            vote: known.vote.as_ref().map(|mark| mark.value.clone()),
            committed: self.rounds.committed.get(group),
            descriptor: known.descriptor.as_ref().map(|mark| mark.value.clone()),
            purged: known.purged.as_ref().map(|mark| mark.value.clone()),
            first_index: known.first_index(),
            next_index: known.next_index(),
            snapshot: known.snapshot.as_ref().map(|mark| mark.value.clone()),
        }
    }

    pub(crate) fn append(
        &mut self,
        group: u32,
        first_index: u64,
        entries: Vec<Bytes>,
    ) -> Result<(), JournalError> {
        let known = self.groups.entry(group).or_default();
        let begins_anywhere = known.entries.is_empty() && known.purged.is_none();
        let purged = known
            .purged
            .as_ref()
            .is_some_and(|mark| first_index <= mark.value.0);
        let next_index = known.next_index();
        if purged || (first_index > next_index && !begins_anywhere) {
            return Err(JournalError::failed(format!(
                "entries from {first_index} on do not continue the log of group {group}, which \
                 ends before {next_index}"
            )));
        }
        for entry in &entries {
            check_length(entry.len())?;
        }
        if first_index < next_index && !entries.is_empty() {
            self.truncate_from(group, first_index);
        }
        let known = self.groups.entry(group).or_default();
        for (index, entry) in (first_index..).zip(entries) {
            let place = self.rounds.push(RecordKind::Entry, group, index, &[&entry]);
            self.cached_bytes += entry.len() as u64;
            known.entries.push(index, place, entry);
        }
        Ok(())
    }

    pub(crate) fn truncate_from(&mut self, group: u32, index: u64) {
        let known = self.groups.entry(group).or_default();
        if known.entries.is_empty() || known.entries.end() <= index {
            return;
        }
        self.rounds
            .push_dead(RecordKind::Truncate, group, index, &[]);
        let cached_before = known.entries.cached_bytes();
        while let Some(place) = known.entries.pop_back_from(index) {
            self.rounds.ledger.release(place);
        }
        self.cached_bytes -= cached_before - known.entries.cached_bytes();
        known.released_end = known.released_end.min(index);
    }

    pub(crate) fn purge(
        &mut self,
        group: u32,
        up_to: u64,
        log_id: Bytes,
    ) -> Result<(), JournalError> {
        check_length(log_id.len())?;
        let known = self.groups.entry(group).or_default();
        if known
            .purged
            .as_ref()
            .is_some_and(|mark| mark.value.0 >= up_to)
        {
            return Ok(());
        }
        let place = self
            .rounds
            .push(RecordKind::Purge, group, up_to, &[&log_id]);
        let mark = Mark {
            value: (up_to, log_id),
            place,
        };
        if let Some(old) = known.purged.replace(mark) {
            self.rounds.ledger.release(old.place);
        }
        let cached_before = known.entries.cached_bytes();
        while let Some(place) = known.entries.pop_front_to(up_to) {
            self.rounds.ledger.release(place);
        }
        self.cached_bytes -= cached_before - known.entries.cached_bytes();
        Ok(())
    }

    pub(crate) fn save_vote(&mut self, group: u32, vote: Bytes) -> Result<(), JournalError> {
        check_length(vote.len())?;
        let place = self.rounds.push(RecordKind::Vote, group, 0, &[&vote]);
        let known = self.groups.entry(group).or_default();
        if let Some(old) = known.vote.replace(Mark { value: vote, place }) {
            self.rounds.ledger.release(old.place);
        }
        Ok(())
    }

    pub(crate) fn save_descriptor(
        &mut self,
        group: u32,
        descriptor: Bytes,
    ) -> Result<(), JournalError> {
        check_length(descriptor.len())?;
        let place = self
            .rounds
            .push(RecordKind::Descriptor, group, 0, &[&descriptor]);
        let known = self.groups.entry(group).or_default();
        if let Some(old) = known.descriptor.replace(Mark {
            value: descriptor,
            place,
        }) {
            self.rounds.ledger.release(old.place);
        }
        Ok(())
    }

    pub(crate) fn save_committed(&mut self, group: u32, committed: Bytes) {
        self.groups.entry(group).or_default();
        self.rounds.committed.set(group, committed);
    }

    pub(crate) fn save_identity(&mut self, identity: Bytes) -> Result<(), JournalError> {
        check_length(identity.len())?;
        let place = self.rounds.push(RecordKind::Identity, 0, 0, &[&identity]);
        if let Some(old) = self.identity.replace(Mark {
            value: identity,
            place,
        }) {
            self.rounds.ledger.release(old.place);
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, group: u32) {
        self.rounds.push_dead(RecordKind::Removed, group, 0, &[]);
        let former = self.removed.entry(group).or_default();
        former.lives += 1;
        self.rounds.committed.forget(group, &mut self.rounds.ledger);
        let Some(known) = self.groups.remove(&group) else {
            return;
        };
        let counts = known.snapshot.as_ref().map_or(0, |mark| mark.value.number);
        former.snapshots = former.snapshots.max(known.begun_snapshot).max(counts);
        for place in known.places() {
            self.rounds.ledger.release(place);
        }
        self.cached_bytes -= known.entries.cached_bytes();
        if let Some(snapshot) = known.snapshot {
            self.rounds.delete_with(SnapshotName {
                group,
                number: snapshot.value.number,
            });
        }
    }

    /// The snapshots that count.
    pub(crate) fn snapshots(&self) -> Vec<(SnapshotName, SnapshotInfo)> {
        let counting = self.groups.iter().filter_map(|(&group, known)| {
            let info = known.snapshot.as_ref()?.value.clone();
            Some((
                SnapshotName {
                    group,
                    number: info.number,
                },
                info,
            ))
        });
        counting.collect()
    }

    /// The number of a new snapshot of the group.
    pub(crate) fn begin_snapshot(&mut self, group: u32) -> SnapshotName {
        // The files of a former life may still be on their way out.
        let former = self.removed.get(&group).map_or(0, |it| it.snapshots);
        let known = self.groups.entry(group).or_default();
        let counts = known.snapshot.as_ref().map_or(0, |mark| mark.value.number);
        known.begun_snapshot = known.begun_snapshot.max(counts).max(former) + 1;
        SnapshotName {
            group,
            number: known.begun_snapshot,
        }
    }

    /// From now on the finished snapshot counts, unless a newer one does.
    pub(crate) fn save_snapshot(
        &mut self,
        group: u32,
        snapshot: SnapshotInfo,
    ) -> Result<(), JournalError> {
        check_length(snapshot.meta.len())?;
        let number = snapshot.number;
        let known = self.groups.entry(group).or_default();
        if known
            .snapshot
            .as_ref()
            .is_some_and(|mark| mark.value.number > number)
        {
            self.rounds.delete_with(SnapshotName { group, number });
            return Ok(());
        }
        let size = snapshot.bytes.to_le_bytes();
        let place = self.rounds.push(
            RecordKind::Snapshot,
            group,
            number,
            &[&size, &snapshot.meta],
        );
        if let Some(old) = known.snapshot.replace(Mark {
            value: snapshot,
            place,
        }) {
            self.rounds.ledger.release(old.place);
            self.rounds.delete_with(SnapshotName {
                group,
                number: old.value.number,
            });
        }
        Ok(())
    }

    /// Entries of the group below `end` need not stay in memory, once they are written.
    pub(crate) fn release(&mut self, group: u32, end: u64) {
        let written = self.rounds.written;
        let Some(known) = self.groups.get_mut(&group) else {
            return;
        };
        known.released_end = known.released_end.max(end.min(known.entries.end()));
        let cached_before = known.entries.cached_bytes();
        let some_stay = known.entries.uncache(known.released_end, written);
        self.cached_bytes -= cached_before - known.entries.cached_bytes();
        if some_stay && !known.release_waits {
            known.release_waits = true;
            self.release_waits.push(group);
        }
    }

    /// Lets go of what was released before it was written.
    pub(crate) fn release_written(&mut self) {
        for group in std::mem::take(&mut self.release_waits) {
            if let Some(known) = self.groups.get_mut(&group) {
                known.release_waits = false;
                let end = known.released_end;
                self.release(group, end);
            }
        }
    }

    /// Lets go of written entries, released or not, until at most half of `bytes_max` is left.
    pub(crate) fn shrink_cache(&mut self, bytes_max: u64) {
        let written = self.rounds.written;
        for known in self.groups.values_mut() {
            if self.cached_bytes <= bytes_max / 2 {
                return;
            }
            let cached_before = known.entries.cached_bytes();
            known.entries.uncache(u64::MAX, written);
            self.cached_bytes -= cached_before - known.entries.cached_bytes();
        }
    }

    /// Writes the record again if it is still needed and stands at `place`.
    pub(crate) fn renew(&mut self, record: &Record<'_>, place: Place) {
        let group = record.group;
        if record.kind == RecordKind::Committed {
            if self.rounds.committed.place(group) == Some(place) {
                self.rounds.committed.renew(group);
            }
            return;
        }
        if self.current_place(record) != Some(place) {
            return;
        }
        if record.kind == RecordKind::Entry {
            self.rounds
                .push_moved(group, record.number, record.content, place);
            return;
        }
        let new = self
            .rounds
            .push(record.kind, group, record.number, &[record.content]);
        self.rounds.ledger.release(place);
        if record.kind == RecordKind::Identity {
            if let Some(mark) = &mut self.identity {
                mark.place = new;
            }
            return;
        }
        let Some(known) = self.groups.get_mut(&group) else {
            return;
        };
        match record.kind {
            RecordKind::Vote => renew_mark(&mut known.vote, new),
            RecordKind::Descriptor => renew_mark(&mut known.descriptor, new),
            RecordKind::Purge => renew_mark(&mut known.purged, new),
            RecordKind::Snapshot => renew_mark(&mut known.snapshot, new),
            RecordKind::Entry
            | RecordKind::Truncate
            | RecordKind::Removed
            | RecordKind::Committed
            | RecordKind::Identity => {}
        }
    }

    /// Entries written again are in the store now.
    pub(crate) fn finish_moves(&mut self, moved: &[Moved]) {
        self.rounds.note_moved(moved.len());
        for moved in moved {
            let entries = self
                .groups
                .get_mut(&moved.group)
                .map(|known| &mut known.entries);
            let stays = entries.filter(|entries| entries.place(moved.index) == Some(moved.from));
            if let Some(entries) = stays {
                entries.relocate(moved.index, moved.to);
                self.rounds.ledger.release(moved.from);
            } else {
                self.rounds.ledger.release(moved.to);
            }
        }
    }

    /// Where the thing that the record speaks of is written now.
    fn current_place(&self, record: &Record<'_>) -> Option<Place> {
        if record.kind == RecordKind::Identity {
            return self.identity.as_ref().map(|mark| mark.place);
        }
        let known = self.groups.get(&record.group)?;
        match record.kind {
            RecordKind::Entry => known.entries.place(record.number),
            RecordKind::Vote => known.vote.as_ref().map(|mark| mark.place),
            RecordKind::Descriptor => known.descriptor.as_ref().map(|mark| mark.place),
            RecordKind::Purge => known.purged.as_ref().map(|mark| mark.place),
            RecordKind::Snapshot => known.snapshot.as_ref().map(|mark| mark.place),
            RecordKind::Committed => self.rounds.committed.place(record.group),
            RecordKind::Truncate | RecordKind::Removed | RecordKind::Identity => None,
        }
    }
}

fn renew_mark<T>(mark: &mut Option<Mark<T>>, place: Place) {
    if let Some(mark) = mark {
        mark.place = place;
    }
}

pub(crate) fn check_length(bytes: usize) -> Result<(), JournalError> {
    if bytes > RECORD_BYTES_MAX {
        let what = format!("a record of {bytes} bytes is longer than {RECORD_BYTES_MAX}");
        return Err(JournalError::failed(what));
    }
    Ok(())
}
