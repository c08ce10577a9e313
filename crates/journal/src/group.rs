//! What the journal knows of one group.

use bytes::Bytes;

use crate::entry_table::EntryTable;
use crate::record::Place;

/// What is stored of a group, in one consistent look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// The last saved vote.
    pub vote: Option<Bytes>,
    /// The last saved committed mark.
    pub committed: Option<Bytes>,
    /// The last saved descriptor.
    pub descriptor: Option<Bytes>,
    /// Up to where the log was purged, and the log id given with it.
    pub purged: Option<(u64, Bytes)>,
    /// Index of the oldest entry; equal to `next_index` when there is none.
    pub first_index: u64,
    /// Index after the newest entry.
    pub next_index: u64,
    /// The snapshot that counts.
    pub snapshot: Option<SnapshotInfo>,
}

/// The snapshot of a group that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its number; later snapshots of the group have higher ones.
    pub number: u64,
    /// What was given when it was finished.
    pub meta: Bytes,
    /// Bytes of its pieces.
    pub bytes: u64,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Mark<T> {
    pub value: T,
    pub place: Place,
}

/// See the module. Committed marks are kept elsewhere, since they ride along with any round.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub entries: EntryTable,
    pub vote: Option<Mark<Bytes>>,
    pub descriptor: Option<Mark<Bytes>>,
    pub purged: Option<Mark<(u64, Bytes)>>,
    pub snapshot: Option<Mark<SnapshotInfo>>,
    /// Number of the last snapshot that was begun since the journal was opened.
    pub begun_snapshot: u64,
    /// Entries below were released.
    pub released_end: u64,
    pub release_waits: bool,
}

impl Group {
    /// Index after the newest entry; without entries, the one after the purged ones.
    pub(crate) fn next_index(&self) -> u64 {
        if self.entries.is_empty() {
            self.purged.as_ref().map_or(0, |mark| mark.value.0 + 1)
        } else {
            self.entries.end()
        }
    }

    /// Index of the oldest entry, or `next_index`.
    pub(crate) fn first_index(&self) -> u64 {
        if self.entries.is_empty() {
            self.next_index()
        } else {
            self.entries.first()
        }
    }

    /// Where everything that is needed of this group is.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let marks = [
            self.vote.as_ref().map(|mark| mark.place),
            self.descriptor.as_ref().map(|mark| mark.place),
            self.purged.as_ref().map(|mark| mark.place),
            self.snapshot.as_ref().map(|mark| mark.place),
        ];
        marks.into_iter().flatten().chain(self.entries.places())
    }
}
