//! Opening: the book is rebuilt from the rounds in the store, each of them checked.
//!
//! All rounds from the floor of the last one to the last one have to be there. The last one may be
//! incomplete if it was never acknowledged: then it never was. Everything else that is missing or
//! damaged is an error.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::book::{Book, Parked};
use crate::chunk::{ChunkFault, decode_chunk};
use crate::committed::CommittedMarks;
use crate::entry_table::EntryTable;
use crate::error::JournalError;
use crate::group::{Group, Mark, SnapshotInfo};
use crate::ledger::{Ledger, Retired};
use crate::limits::{ENTRY_GAP_MAX, INDEX_END};
use crate::record::{Place, Record, RecordKind, Records};
use crate::round::Rounds;
use crate::shared::{chunk_error, missing_chunk};
use crate::store::RoundStore;

/// Rebuilds the book of what `store` holds.
pub(crate) fn recover(store: &dyn RoundStore) -> Result<Book, JournalError> {
    let mark = store.mark()?;
    let (last, floor) = match find_tail(store, mark)? {
        Tail::Empty => (0, 1),
        Tail::Whole { round, floor } => (round, floor),
        Tail::Torn { round, chunks } => {
            tracing::warn!(
                round,
                "the last round was never completed nor acknowledged: dropped"
            );
            store.remove(Retired { round, chunks })?;
            store.flush()?;
            store.sync()?;
            match find_tail(store, mark)? {
                Tail::Empty => (0, 1),
                Tail::Whole { round, floor } => (round, floor),
                Tail::Torn { round, chunks } => return Err(missing_chunk(round, chunks)),
            }
        }
    };
    if last < mark {
        let what = format!(
            "rounds {} to {mark} of the log are missing at its end",
            last + 1
        );
        return Err(JournalError::corrupted(what, format!("round {}", last + 1)));
    }
    let mut recovery = Recovery::new(last, floor);
    store.scan(&mut |round, chunk, value| recovery.visit(round, chunk, value))?;
    recovery.finish()
}

enum Tail {
    Empty,
    Whole { round: u64, floor: u64 },
    Torn { round: u64, chunks: u32 },
}

/// Looks at the last round. `mark` is the last one known to have been acknowledged.
fn find_tail(store: &dyn RoundStore, mark: u64) -> Result<Tail, JournalError> {
    let Some((round, last_chunk, value)) = store.last()? else {
        return Ok(Tail::Empty);
    };
    let torn = |chunk| {
        if round <= mark {
            return Err(missing_chunk(round, chunk));
        }
        Ok(Tail::Torn {
            round,
            chunks: last_chunk + 1,
        })
    };
    let (chunks, floor) = match decode_chunk(round, last_chunk, &value) {
        Ok(chunk) => (chunk.chunks, chunk.floor),
        Err(ChunkFault::Short) => return torn(last_chunk),
        Err(fault) => return Err(chunk_error(round, last_chunk, fault)),
    };
    if last_chunk + 1 < chunks {
        return torn(last_chunk + 1);
    }
    for chunk in 0..last_chunk {
        let Some(value) = store.read(round, chunk)? else {
            return torn(chunk);
        };
        match decode_chunk(round, chunk, &value) {
            Ok(_) => {}
            Err(ChunkFault::Short) => return torn(chunk),
            Err(fault) => return Err(chunk_error(round, chunk, fault)),
        }
    }
    if floor == 0 || floor > round {
        let place = format!("round {round}");
        return Err(JournalError::corrupted("its floor is impossible", place));
    }
    Ok(Tail::Whole { round, floor })
}

/// A group while rounds are read: its entries may come in any order, since old ones are written
/// again later.
#[derive(Default)]
struct RecoveringGroup {
    first: u64,
    places: VecDeque<Option<Place>>,
    marks: Group,
    committed: Option<(Bytes, Place)>,
}

impl RecoveringGroup {
    fn end(&self) -> u64 {
        self.first + self.places.len() as u64
    }

    /// `false` when the entry is farther from the others than entries of a log can be.
    fn set(&mut self, index: u64, place: Place) -> bool {
        if self.places.is_empty() {
            self.first = index;
        }
        let gap = (self.first.saturating_sub(index)).max(index.saturating_sub(self.end()));
        if gap > ENTRY_GAP_MAX {
            return false;
        }
        while index < self.first {
            self.places.push_front(None);
            self.first -= 1;
        }
        while index >= self.end() {
            self.places.push_back(None);
        }
        self.places[(index - self.first) as usize] = Some(place);
        true
    }

    fn truncate(&mut self, index: u64) {
        self.places
            .truncate(index.saturating_sub(self.first) as usize);
    }

    fn purge(&mut self, up_to: u64) {
        while !self.places.is_empty() && self.first <= up_to {
            self.places.pop_front();
            self.first += 1;
        }
    }

    fn finish(mut self, group: u32) -> Result<(Group, Option<(Bytes, Place)>), JournalError> {
        if let Some(gap) = self.places.iter().position(Option::is_none) {
            return Err(missing_entry(group, self.first + gap as u64));
        }
        if let (Some(purged), false) = (&self.marks.purged, self.places.is_empty())
            && self.first != purged.value.0 + 1
        {
            return Err(missing_entry(group, purged.value.0 + 1));
        }
        let places = self.places.into_iter().flatten().collect();
        self.marks.entries = EntryTable::restored(self.first, places);
        Ok((self.marks, self.committed))
    }
}

fn missing_entry(group: u32, index: u64) -> JournalError {
    JournalError::corrupted(
        "an entry is missing",
        format!("group {group}, index {index}"),
    )
}

fn has_index(kind: RecordKind) -> bool {
    matches!(
        kind,
        RecordKind::Entry | RecordKind::Truncate | RecordKind::Purge
    )
}

fn impossible_index(Place { round, offset, .. }: Place) -> JournalError {
    let at = format!("round {round}, offset {offset}");
    JournalError::corrupted("a record has an impossible index", at)
}

/// The round whose chunks are being put together.
struct Assembly {
    round: u64,
    chunks: u32,
    next_chunk: u32,
    bytes: Vec<u8>,
}

struct Recovery {
    last: u64,
    floor: u64,
    assembly: Assembly,
    ledger: Ledger,
    retired: Option<Retired>,
    groups: HashMap<u32, RecoveringGroup>,
    identity: Option<Mark<Bytes>>,
}

impl Recovery {
    fn new(last: u64, floor: u64) -> Recovery {
        // The assembly begins as if the round before the floor had been completed.
        let assembly = Assembly {
            round: floor - 1,
            chunks: 0,
            next_chunk: 0,
            bytes: Vec::new(),
        };
        Recovery {
            last,
            floor,
            assembly,
            ledger: Ledger::new(floor),
            retired: None,
            groups: HashMap::new(),
            identity: None,
        }
    }

    fn visit(&mut self, round: u64, chunk: u32, value: &[u8]) -> Result<(), JournalError> {
        if round < self.floor {
            self.note_retired(round, chunk);
            return Ok(());
        }
        let assembly = &mut self.assembly;
        if assembly.next_chunk == assembly.chunks {
            let next = assembly.round + 1;
            *assembly = Assembly {
                round: next,
                chunks: 1,
                next_chunk: 0,
                bytes: std::mem::take(&mut assembly.bytes),
            };
            assembly.bytes.clear();
        }
        if (round, chunk) != (assembly.round, assembly.next_chunk) {
            return Err(missing_chunk(assembly.round, assembly.next_chunk));
        }
        let checked =
            decode_chunk(round, chunk, value).map_err(|fault| chunk_error(round, chunk, fault))?;
        assembly.chunks = checked.chunks;
        assembly.next_chunk += 1;
        assembly.bytes.extend_from_slice(checked.content);
        if assembly.next_chunk < assembly.chunks {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.assembly.bytes);
        self.ledger.seal(round, bytes.len());
        for record in Records::new(round, &bytes) {
            self.apply(round, &record?)?;
        }
        self.assembly.bytes = bytes;
        Ok(())
    }

    /// Rounds below the floor were on their way out; they come in order.
    fn note_retired(&mut self, round: u64, chunk: u32) {
        if let Some(retired) = self.retired.take_if(|retired| retired.round != round) {
            self.ledger.note_retired(retired);
        }
        self.retired = Some(Retired {
            round,
            chunks: chunk + 1,
        });
    }

    fn apply(&mut self, round: u64, record: &Record<'_>) -> Result<(), JournalError> {
        let place = Place {
            round,
            offset: record.offset,
            bytes: record.content.len() as u32,
        };
        let value = || Bytes::copy_from_slice(record.content);
        if record.kind == RecordKind::Removed {
            self.groups.remove(&record.group);
            return Ok(());
        }
        if record.kind == RecordKind::Identity {
            self.identity = Some(Mark {
                value: value(),
                place,
            });
            return Ok(());
        }
        if has_index(record.kind) && record.number >= INDEX_END {
            return Err(impossible_index(place));
        }
        let group = self.groups.entry(record.group).or_default();
        match record.kind {
            RecordKind::Entry if !group.set(record.number, place) => {
                return Err(impossible_index(place));
            }
            RecordKind::Entry => {}
            RecordKind::Truncate => group.truncate(record.number),
            RecordKind::Purge => {
                group.purge(record.number);
                group.marks.purged = Some(Mark {
                    value: (record.number, value()),
                    place,
                });
            }
            RecordKind::Vote => {
                group.marks.vote = Some(Mark {
                    value: value(),
                    place,
                })
            }
            RecordKind::Committed => group.committed = Some((value(), place)),
            RecordKind::Descriptor => {
                group.marks.descriptor = Some(Mark {
                    value: value(),
                    place,
                });
            }
            RecordKind::Snapshot => {
                let Some((bytes, meta)) = record.content.split_first_chunk::<8>() else {
                    let at = format!("round {round}, offset {}", record.offset);
                    return Err(JournalError::corrupted(
                        "a snapshot's mark is too short",
                        at,
                    ));
                };
                let bytes = u64::from_le_bytes(*bytes);
                let meta = Bytes::copy_from_slice(meta);
                let value = SnapshotInfo {
                    number: record.number,
                    meta,
                    bytes,
                };
                group.marks.snapshot = Some(Mark { value, place });
            }
            RecordKind::Removed | RecordKind::Identity => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Book, JournalError> {
        let assembly = &self.assembly;
        let whole = assembly.next_chunk == assembly.chunks;
        if !whole || assembly.round < self.last {
            let chunk = if whole { 0 } else { assembly.next_chunk };
            return Err(missing_chunk(assembly.round + u64::from(whole), chunk));
        }
        if let Some(retired) = self.retired.take() {
            self.ledger.note_retired(retired);
        }
        let mut committed = CommittedMarks::default();
        let mut groups = HashMap::new();
        for (number, group) in self.groups {
            let (group, mark) = group.finish(number)?;
            if let Some((value, place)) = mark {
                committed.restore(number, value, place);
            }
            group.places().for_each(|place| self.ledger.add(place));
            groups.insert(number, group);
        }
        committed.places().for_each(|place| self.ledger.add(place));
        self.identity
            .iter()
            .for_each(|mark| self.ledger.add(mark.place));
        Ok(Book {
            groups,
            removed: HashMap::new(),
            identity: self.identity,
            rounds: Rounds::new(self.last, self.floor, self.ledger, committed),
            cached_bytes: 0,
            release_waits: Vec::new(),
            failure: None,
            closing: false,
            parked: Parked::No,
        })
    }
}
