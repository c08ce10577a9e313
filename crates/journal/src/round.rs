//! Rounds on their way to the store: the one that is being filled, those that are full, and the
//! ledger of those that were written.
//!
//! A record is encoded where it is given, under the lock of the book, so its place is known at
//! once and nothing has to be looked up when the round was written.

use std::collections::VecDeque;

use crate::committed::CommittedMarks;
use crate::error::Completion;
use crate::ledger::Ledger;
use crate::limits::{
    ROUND_BYTES_MAX, ROUND_RECORDS_MAX, SPARE_BUFFER_BYTES_MAX, SPARE_BUFFERS_MAX,
};
use crate::record::{Place, RecordKind, encode_record};
use crate::snapshot::SnapshotName;

/// An entry that was written again. Readers look for it at its old place until the new one is in
/// the store, and the old round stays as long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub group: u32,
    pub index: u64,
    pub from: Place,
    pub to: Place,
}

/// One round: records, whom to tell, and which snapshots nothing names once it is durable.
#[derive(Default)]
pub(crate) struct Round {
    pub number: u64,
    pub floor: u64,
    pub bytes: Vec<u8>,
    pub records: u32,
    pub completions: Vec<Completion>,
    pub obsolete: Vec<SnapshotName>,
    pub moved: Vec<Moved>,
}

impl Round {
    fn place_next(&self, length: usize) -> Place {
        Place {
            round: self.number,
            offset: self.bytes.len() as u32,
            bytes: length as u32,
        }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.completions.is_empty() && self.obsolete.is_empty()
    }
}

/// See the module.
pub(crate) struct Rounds {
    filling: Round,
    sealed: VecDeque<Round>,
    spare: Vec<Vec<u8>>,
    pub ledger: Ledger,
    pub committed: CommittedMarks,
    moving: usize,
    /// Last round that was acknowledged.
    pub written: u64,
    /// Rounds below may be removed from the store: a durable round says that they are not needed.
    pub removable_below: u64,
}

impl Rounds {
    /// The rounds of a journal whose last written round is `written` and says `floor`.
    pub(crate) fn new(
        written: u64,
        floor: u64,
        ledger: Ledger,
        committed: CommittedMarks,
    ) -> Rounds {
        Rounds {
            filling: Round {
                number: written + 1,
                ..Round::default()
            },
            sealed: VecDeque::new(),
            spare: Vec::new(),
            ledger,
            committed,
            moving: 0,
            written,
            removable_below: floor,
        }
    }

    /// Adds a record that is needed until it is released.
    pub(crate) fn push(
        &mut self,
        kind: RecordKind,
        group: u32,
        number: u64,
        parts: &[&[u8]],
    ) -> Place {
        let place = self.push_dead(kind, group, number, parts);
        self.ledger.add(place);
        place
    }

    /// Adds a record that is needed only as long as older rounds are there.
    pub(crate) fn push_dead(
        &mut self,
        kind: RecordKind,
        group: u32,
        number: u64,
        parts: &[&[u8]],
    ) -> Place {
        if self.filling.bytes.len() >= ROUND_BYTES_MAX || self.filling.records >= ROUND_RECORDS_MAX
        {
            self.seal();
        }
        let length = parts.iter().map(|part| part.len()).sum();
        let place = self.filling.place_next(length);
        encode_record(&mut self.filling.bytes, kind, group, number, parts);
        self.filling.records += 1;
        place
    }

    /// Has `done` called once all that was pushed so far is durable.
    pub(crate) fn complete_with(&mut self, done: Completion) {
        self.filling.completions.push(done);
    }

    /// Has the snapshot's file deleted once all that was pushed so far is durable.
    pub(crate) fn delete_with(&mut self, snapshot: SnapshotName) {
        self.filling.obsolete.push(snapshot);
    }

    /// Writes an entry again. It has moved once the round is written.
    pub(crate) fn push_moved(&mut self, group: u32, index: u64, content: &[u8], from: Place) {
        let to = self.push(RecordKind::Entry, group, index, &[content]);
        self.filling.moved.push(Moved {
            group,
            index,
            from,
            to,
        });
        self.moving += 1;
    }

    /// Entries that are written again and have not moved yet.
    pub(crate) fn moving(&self) -> usize {
        self.moving
    }

    /// Notes that entries have moved, or were dropped meanwhile.
    pub(crate) fn note_moved(&mut self, entries: usize) {
        self.moving -= entries;
    }

    /// Whether there is anything to write that does not merely ride along.
    pub(crate) fn has_work(&self) -> bool {
        !self.sealed.is_empty() || !self.filling.is_empty()
    }

    /// Number of the round that is being filled.
    pub(crate) fn filling_number(&self) -> u64 {
        self.filling.number
    }

    /// Completes the round that is being filled, whatever it holds, and begins the next.
    pub(crate) fn seal(&mut self) {
        self.committed
            .write_into(&mut self.filling, &mut self.ledger);
        let number = self.filling.number;
        self.ledger.seal(number, self.filling.bytes.len());
        // Decided here and not when it is written: later changes are not part of this round, and
        // a crash may lose them while it keeps this one.
        self.filling.floor = self.ledger.retire(number);
        let bytes = self.spare.pop().unwrap_or_default();
        let next = Round {
            number: number + 1,
            bytes,
            ..Round::default()
        };
        self.sealed
            .push_back(std::mem::replace(&mut self.filling, next));
    }

    /// The next round to write.
    pub(crate) fn take(&mut self) -> Option<Round> {
        if self.sealed.is_empty() && !self.filling.is_empty() {
            self.seal();
        }
        self.sealed.pop_front()
    }

    /// Notes that a round was written, and keeps its buffer for another.
    pub(crate) fn note_written(&mut self, number: u64, mut buffer: Vec<u8>) {
        self.written = number;
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BUFFER_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// All completions that wait: for the day that nothing can be written any more.
    pub(crate) fn abandon(&mut self) -> Vec<Completion> {
        let mut completions = Vec::new();
        for mut round in std::mem::take(&mut self.sealed) {
            completions.append(&mut round.completions);
        }
        completions.append(&mut self.filling.completions);
        self.filling.bytes.clear();
        self.filling.obsolete.clear();
        completions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_does_not_give_up_what_only_later_rounds_make_needless() {
        let mut rounds = Rounds::new(0, 1, Ledger::new(1), CommittedMarks::default());
        let place = rounds.push(RecordKind::Entry, 1, 0, &[b"entry"]);
        rounds.seal();
        rounds.push(RecordKind::Vote, 1, 0, &[b"vote"]);
        rounds.seal();
        rounds.push(RecordKind::Purge, 1, 0, &[b"log id"]);
        rounds.ledger.release(place);
        let floors = std::iter::from_fn(|| rounds.take()).map(|round| (round.number, round.floor));
        assert_eq!(floors.collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 2)]);
    }
}
